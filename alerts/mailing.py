"""Which mails members want from an organization, and the signed links by which they stop them.

An address that is no member's gets what its channel is for: whoever may edit the channel takes it off the list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.urls import reverse

from alerts.models import Channel, ChannelKind, Delivery, MailChoice, ReviewEvery
from tenants.access import organization_scope
from tenants.models import Membership, Organization, User
from tenants.roles import Role
from tenants.services import audit_record

_SALT = "alerts.unsubscribe"


class Mails(StrEnum):
    """What one link stops."""

    ALERTS = "alerts"
    REVIEWS = "reviews"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a signed link is about. The link was made for this member and is theirs to use, signed in or not."""

    organization: Organization
    user: User
    mails: Mails


def mails_wanted(channel: Channel) -> Mapping[str, str]:
    """An email channel's recipients but those members who want no alerts; each with the link that stops them, or ""."""
    members = {
        membership.user.email: membership
        for membership in Membership.objects.filter(
            organization_id=channel.organization_id, user__email__in=channel.recipients
        ).select_related("user")
    }
    unwilling = set(
        MailChoice.objects.filter(
            organization_id=channel.organization_id,
            alerts=False,
            user__in=[membership.user_id for membership in members.values()],
        ).values_list("user_id", flat=True)
    )
    wanted = {}
    for recipient in channel.recipients:
        member = members.get(recipient)
        if member is None:
            wanted[recipient] = ""
        elif member.user_id not in unwilling:
            wanted[recipient] = unsubscribe_url(channel.organization_id, member.user_id, Mails.ALERTS)
    return wanted


def owners_to_tell(delivery: Delivery) -> list[str]:
    """The owners' addresses but those that the alert goes to by another channel."""
    told = Channel.objects.filter(
        organization_id=delivery.organization_id,
        kind=ChannelKind.EMAIL,
        enabled=True,
        id__in=Delivery.objects.filter(organization_id=delivery.organization_id, alert_id=delivery.alert_id).values(
            "channel_id"
        ),
    )
    elsewhere = {recipient for channel in told for recipient in channel.recipients}
    owners = Membership.objects.filter(
        organization_id=delivery.organization_id, role=Role.OWNER, user__is_active=True
    ).order_by("user__email")
    return [email for email in owners.values_list("user__email", flat=True) if email not in elsewhere]


def choice_of(organization: Organization, user: User) -> MailChoice:
    """What the member chose, or, unsaved, what holds for who chose nothing."""
    chosen = MailChoice.objects.filter(organization=organization, user=user).first()
    return chosen or MailChoice(organization=organization, user=user)


def choice_set(
    *,
    organization: Organization,
    user: User,
    now: datetime,
    alerts: bool | None = None,
    review: ReviewEvery | None = None,
) -> MailChoice:
    """Changes what is given, for this member only."""
    choice, _ = MailChoice.objects.get_or_create(organization=organization, user=user)
    before = (choice.alerts, choice.review)
    choice.alerts = choice.alerts if alerts is None else alerts
    choice.review = choice.review if review is None else review
    if (choice.alerts, choice.review) != before:
        choice.save(update_fields=["alerts", "review"])
        audit_record(
            organization_id=organization.id, actor=user, action="member.mails_chosen", target=choice, now=now,
            alerts="on" if choice.alerts else "off", review=str(choice.review),
        )  # fmt: skip
    return choice


def unsubscribe_url(organization_id: int, user_id: int, mails: Mails) -> str:
    """The token stands in the query, which access logs leave out."""
    token = signing.dumps([organization_id, user_id, mails], salt=_SALT)
    return f"{settings.BASE_URL}{reverse('mail_unsubscribe')}?{urlencode({'token': token})}"


def subscription_of(token: str) -> Subscription | None:
    """What the link is about; None for one we did not sign, and for who is no member any more. It has no end: mails
    are kept for years, and it can do no more than stop them."""
    try:
        organization_id, user_id, mails = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    with organization_scope(organization_id):
        membership = (
            Membership.objects.filter(organization_id=organization_id, user_id=user_id)
            .select_related("organization", "user")
            .first()
        )
    return None if membership is None else Subscription(membership.organization, membership.user, Mails(mails))


def unsubscribe(subscription: Subscription, *, now: datetime) -> None:
    with organization_scope(subscription.organization.id):
        choice_set(
            organization=subscription.organization,
            user=subscription.user,
            now=now,
            alerts=False if subscription.mails is Mails.ALERTS else None,
            review=ReviewEvery.NEVER if subscription.mails is Mails.REVIEWS else None,
        )
