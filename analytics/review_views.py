"""The page of a cost review, made to be printed too, and the same review as a PDF."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header, urlencode
from django.views.decorators.http import require_safe

from analytics.filters import InvalidAddress
from analytics.page import sensible
from analytics.ranges import InvalidRange
from analytics.review_pdf import file_name, review_pdf
from analytics.review_periods import MONTH, WEEK, ReviewPeriod, last_ended, parse_period
from analytics.reviews import Review, review
from common.ids import parse_id
from tenants.access import Access, organization_page
from tenants.models import Team


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an address asks for. `period`: 2026-11 or 2026-W47, the last whole month for none; `team`: a team and
    everything below it."""

    period: ReviewPeriod
    team: Team | None
    review: Review

    def query(self, period: ReviewPeriod) -> str:
        return urlencode({"period": period.parameter} | ({"team": str(self.team.id)} if self.team else {}))


def _asked(request: HttpRequest, access: Access, now: datetime) -> _Asked:
    """InvalidAddress for a period that is none, Http404 for a team that is not the organization's."""
    try:
        period = parse_period(request.GET.get("period", ""), now, ZoneInfo(access.organization.timezone))
    except InvalidRange as error:
        raise InvalidAddress(str(error)) from error
    team = _team(request, access)
    found = review(access.organization, period, now=now, team_id=team.id if team else None)
    return _Asked(period, team, found)


def _team(request: HttpRequest, access: Access) -> Team | None:
    given = request.GET.get("team", "")
    return access.team(parse_id(given) or 0) if given else None


@require_safe
@organization_page()
@sensible
def cost_review(request: HttpRequest, access: Access) -> HttpResponse:
    now = timezone.now()
    asked = _asked(request, access, now)
    period, found = asked.period, asked.review
    path = reverse("review", kwargs={"org_slug": access.organization.slug})

    def url(of: ReviewPeriod) -> str:
        return f"{path}?{asked.query(of)}"

    latest = last_ended(period.every, now, period.zone)
    context: dict[str, Any] = {
        "nav": "review",
        "now": now,
        "review": found,
        "because": f"mostly {found.total.because.lower()}" if found.total.because else "",
        "versus": f"vs {period.previous.label}",
        "zone": period.zone.key,
        "whole_url": f"{path}?{urlencode({'period': period.parameter})}" if asked.team else "",
        "pdf_url": f"{reverse('review_pdf', kwargs={'org_slug': access.organization.slug})}?{asked.query(period)}",
        "earlier_url": url(period.previous),
        "later_url": url(period.next) if period.first < latest.first else "",
        "kinds": [
            {"text": text, "url": url(last_ended(every, now, period.zone)), "current": period.every == every}
            for every, text in ((WEEK, "Weekly"), (MONTH, "Monthly"))
        ],
    }
    return render(request, "analytics/review.html", context)


@require_safe
@organization_page()
@sensible
def cost_review_pdf(request: HttpRequest, access: Access) -> HttpResponse:
    now = timezone.now()
    asked = _asked(request, access, now)
    content = review_pdf([asked.review], organization=access.organization.name, now=now)
    name = file_name(access.organization.slug, asked.period, asked.team.slug if asked.team else "")
    disposition = content_disposition_header(as_attachment=True, filename=name) or ""
    return HttpResponse(content, content_type="application/pdf", headers={"Content-Disposition": disposition})
