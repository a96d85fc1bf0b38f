"""Digests: what is due above a channel's limit is gathered and told in one message. Nothing is dropped.

A digest is an alert of its own with one delivery; a gathered delivery names it. Critical alerts, tests, what follows up
an alert, and what some recipients or a keeper of incidents may have already go at once.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet

from alerts.followups import INCIDENT_KINDS
from alerts.kinds import CLOSING, AlertKind
from alerts.limits import HOUR, room_for
from alerts.models import (
    OPEN_STATUSES,
    Action,
    Alert,
    Channel,
    Delivery,
    DeliveryStatus,
    Severity,
)
from common.ids import new_id

_CLAIMING = 1_129_270_341  # any number, as long as no other lock has it


def lock_claims(organization_id: int) -> None:
    """One worker at a time counts and claims an organization's deliveries, until the end of its transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashint8(%s), %s)", [organization_id, _CLAIMING])


def due_deliveries(organization_id: int, now: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        Q(claimed_until__isnull=True) | Q(claimed_until__lte=now),
        organization_id=organization_id,
        status__in=OPEN_STATUSES,
        next_attempt_at__lte=now,
    )


def gather(organization_id: int, now: datetime) -> None:
    """Moves what is due above the limits into digests. Under `lock_claims`."""
    ordinary = (
        due_deliveries(organization_id, now)
        .filter(action=Action.FIRE, reached=[], channel__enabled=True)
        .exclude(alert__severity=Severity.CRITICAL)
        .exclude(alert__kind__in=(AlertKind.CHANNEL_TEST, AlertKind.RULE_TEST, AlertKind.DIGEST))
        .exclude(alert__kind__in=CLOSING, channel__kind__in=INCIDENT_KINDS)
        # Nobody may have heard that it came through: its incident would be in no digest, and stay open.
        .exclude(attempts__gt=0, channel__kind__in=INCIDENT_KINDS)
    )
    by_channel: dict[int, list[int]] = defaultdict(list)
    for channel_id, delivery_id in ordinary.order_by("next_attempt_at", "id").values_list("channel_id", "id"):
        by_channel[channel_id].append(delivery_id)
    for channel in Channel.objects.filter(organization_id=organization_id, id__in=by_channel):
        _gather_of(channel, by_channel[channel.id], now)


def _gather_of(channel: Channel, due: Sequence[int], now: datetime) -> None:
    waiting = _waiting_digest(channel)
    room = room_for(
        due=len(due), recent=_recent(channel, now), limit=channel.hourly_limit, now=now,
        digest_waits=waiting is not None,
    )  # fmt: skip
    above = due[room.now :]
    if not above:
        return
    digest = waiting or _new_digest(channel, room.digest_at, now)
    Delivery.objects.filter(organization_id=channel.organization_id, id__in=above).update(
        status=DeliveryStatus.GATHERED, digest=digest, claimed_until=None
    )


def _waiting_digest(channel: Channel) -> Delivery | None:
    """The digest nobody has tried to send yet; what is gathered now still goes into it."""
    return Delivery.objects.filter(
        organization_id=channel.organization_id, channel=channel, alert__kind=AlertKind.DIGEST,
        status=DeliveryStatus.PENDING, attempts=0,
    ).first()  # fmt: skip


def _recent(channel: Channel, now: datetime) -> list[datetime]:
    """When the messages of the last hour went; in one query, so that none is counted on its way and as sent."""
    counting = Delivery.objects.filter(
        Q(status=DeliveryStatus.SENT, sent_at__gt=now - HOUR)
        | Q(status=DeliveryStatus.SENDING, claimed_until__gt=now)
        # A digest that is tried again is as good as gone.
        | Q(status=DeliveryStatus.PENDING, attempts__gt=0, alert__kind=AlertKind.DIGEST),
        organization_id=channel.organization_id,
        channel=channel,
    )
    return [sent_at or now for sent_at in counting.values_list("sent_at", flat=True)]


def _new_digest(channel: Channel, at: datetime, now: datetime) -> Delivery:
    """It asks nobody to acknowledge it: that is done alert by alert."""
    digest_id = new_id()
    alert = Alert.objects.create(
        id=digest_id, organization_id=channel.organization_id, kind=AlertKind.DIGEST, severity=Severity.INFO,
        dedup_key=f"digest:{digest_id}", title=f"Digest for {channel.name}", facts={"channel": channel.name},
        created_at=now, acknowledged_at=now, acknowledged_by="costhub",
    )  # fmt: skip
    return Delivery.objects.create(
        organization_id=channel.organization_id, alert=alert, channel=channel, next_attempt_at=at
    )


def gathered_in(digest: Delivery) -> list[Alert]:
    """The alerts a digest tells of, oldest first."""
    of_digest = Delivery.objects.filter(organization_id=digest.organization_id, digest=digest)
    return [delivery.alert for delivery in of_digest.select_related("alert").order_by("alert__created_at", "id")]
