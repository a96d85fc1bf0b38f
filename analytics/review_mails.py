"""Cost reviews by email: planned once per organization, period and member, sent at least once.

A worker that dies between sending and recording sends the same mail again, under the same Message-ID. Text and PDF are
made anew at every attempt, out of the same reviews: they never disagree, and nothing is kept that the rollups can say.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from smtplib import SMTPException
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.db.models import F
from django.template.loader import render_to_string
from django.urls import reverse

from alerts.channels.email import unsubscribe_headers
from alerts.facts import one_line
from alerts.mailing import Mails, unsubscribe_url
from alerts.models import MailChoice, ReviewMail
from analytics.review_pdf import file_name, review_pdf
from analytics.review_periods import MONTH, WEEK, ReviewPeriod, last_ended
from analytics.reviews import Review, review
from tenants.access import organization_scope
from tenants.models import Membership, Organization
from tenants.roles import Role

# A review that could not be sent by then is not sent any more; nobody who subscribes later gets an old one.
LATEST = timedelta(days=3)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=10), timedelta(hours=4)
# Of a manager's teams so many have a part of their own.
TEAMS_LIMIT = 10

Clock = Callable[[], datetime]


def reviews_send(*, clock: Clock) -> int:
    """Plans what is due and sends what is planned; returns how many mails the server took."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM alerts_organizations_with_reviews()")
        organization_ids = [organization_id for (organization_id,) in cursor.fetchall()]
    return sum(_send_of(organization_id, clock) for organization_id in organization_ids)


def _send_of(organization_id: int, clock: Clock) -> int:
    with organization_scope(organization_id):
        reviews_plan(Organization.objects.get(id=organization_id), clock())
    sent = 0
    while (claimed := _claimed(organization_id, clock())) is not None:
        planned, membership = claimed
        # Apart from the claim, which stands whatever becomes of this.
        with organization_scope(organization_id):
            mail = _mail(planned, membership, clock())
        try:
            mail.send()
        except (SMTPException, OSError):
            continue
        sent += 1
        with organization_scope(organization_id):
            ReviewMail.objects.filter(organization_id=organization_id, id=planned.id).update(sent_at=clock())
    return sent


def reviews_plan(organization: Organization, now: datetime) -> None:
    """A mail for every member who wants the review of a period that has just ended, unless it was planned before."""
    zone = ZoneInfo(organization.timezone)
    for period in (last_ended(WEEK, now, zone), last_ended(MONTH, now, zone)):
        if not period.sent_from <= now < period.sent_from + LATEST:
            continue
        members = Membership.objects.filter(organization=organization, user__is_active=True).values("user_id")
        wanted = MailChoice.objects.filter(organization=organization, review=period.every, user_id__in=members)
        ReviewMail.objects.bulk_create(
            [
                ReviewMail(
                    organization=organization, user_id=choice.user_id, every=period.every, first=period.first,
                    created_at=now, next_attempt_at=now,
                )
                for choice in wanted
            ],
            ignore_conflicts=True,
        )  # fmt: skip


def _claimed(organization_id: int, now: datetime) -> tuple[ReviewMail, Membership] | None:
    """The next mail to send and to whom, ours until its next attempt is due; None when there is none."""
    with organization_scope(organization_id):
        due = ReviewMail.objects.filter(
            organization_id=organization_id, sent_at=None, next_attempt_at__lte=now, created_at__gt=now - LATEST
        )
        for planned in due.order_by("next_attempt_at", "id")[:50]:
            wait = min(FIRST_WAIT * 2**planned.attempts, LONGEST_WAIT)
            taken = due.filter(id=planned.id).update(attempts=F("attempts") + 1, next_attempt_at=now + wait)
            membership = _member(planned) if taken else None
            if membership is not None:
                return planned, membership
    return None


def _member(planned: ReviewMail) -> Membership | None:
    """Who is to get it; None for who left or changed their mind."""
    still_wanted = MailChoice.objects.filter(
        organization_id=planned.organization_id, user_id=planned.user_id, review=planned.every
    )
    members = Membership.objects.filter(organization_id=planned.organization_id, user_id=planned.user_id)
    return members.select_related("organization", "user").first() if still_wanted.exists() else None


def _mail(planned: ReviewMail, membership: Membership, now: datetime) -> EmailMultiAlternatives:
    organization = membership.organization
    period = ReviewPeriod(planned.every, planned.first, ZoneInfo(organization.timezone))
    stop_url = unsubscribe_url(organization.id, membership.user_id, Mails.REVIEWS)
    page = reverse("review", kwargs={"org_slug": organization.slug})
    reviews = reviews_for(membership, period, now)
    context = {
        "organization": organization,
        "period": period,
        "reviews": reviews,
        "url": f"{settings.BASE_URL}{page}?{urlencode({'period': period.parameter})}",
        "base_url": settings.BASE_URL,
        "unsubscribe_url": stop_url,
    }
    mail = EmailMultiAlternatives(
        subject=one_line(f"Cost review, {period.label} · {organization.name}"),
        body=render_to_string("analytics/email/review.txt", context),
        to=[membership.user.email],
        headers={
            "Message-ID": f"<review-{planned.id}@{urlsplit(settings.BASE_URL).hostname}>",
            "Auto-Submitted": "auto-generated",
            **unsubscribe_headers(stop_url),
        },
    )
    mail.attach_alternative(render_to_string("analytics/email/review.html", context), "text/html")
    mail.attach(
        file_name(organization.slug, period),
        review_pdf(reviews, organization=organization.name, now=now),
        "application/pdf",
    )
    return mail


def reviews_for(membership: Membership, period: ReviewPeriod, now: datetime) -> list[Review]:
    """What one mail tells: a manager's own teams first, then the organization."""
    team_ids = membership.team_ids[:TEAMS_LIMIT] if membership.role == Role.MANAGER else []
    return [review(membership.organization, period, now=now, team_id=team_id) for team_id in [*team_ids, None]]
