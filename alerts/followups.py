"""What channels that keep incidents (PagerDuty, webhooks) are told after an alert itself.

All that is told of an alert is about one incident, whose key is the alert's: firing again or still does not open a
second one. An incident is open at a channel from the last message that opened it until one that closes it.
"""

from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from alerts.kinds import CLOSING
from alerts.models import Action, Alert, Channel, ChannelKind, Delivery, DeliveryStatus
from alerts.waking import wake_after_commit

INCIDENT_KINDS = (ChannelKind.WEBHOOK, ChannelKind.PAGERDUTY)
# Of these the channel never had the alert as a message of its own.
_UNTOLD = (DeliveryStatus.GATHERED, DeliveryStatus.FAILED, DeliveryStatus.BLOCKED)


def follow_up(*, alert: Alert, now: datetime) -> int:
    """Tells every channel at which the alert's incident is open that somebody has acknowledged it, once each time it
    was opened; how many."""
    following = [
        Delivery(
            organization_id=alert.organization_id,
            alert_id=opened_by,
            channel_id=channel_id,
            action=Action.ACKNOWLEDGE,
            next_attempt_at=now,
        )
        for channel_id, opened_by in _opened(alert).items()
    ]
    if following:
        Delivery.objects.bulk_create(following, ignore_conflicts=True)
        wake_after_commit()
    return len(following)


def open_at(alert: Alert) -> list[Channel]:
    """The channels that are on and at which the alert's incident is open or is about to be."""
    return list(Channel.objects.listening().filter(organization_id=alert.organization_id, id__in=_opened(alert)))


def left_open(channel: Channel) -> list[Alert]:
    """The alerts that are over and whose incident is open at the channel."""
    if channel.kind not in INCIDENT_KINDS:
        return []
    told = _told(channel.organization_id).filter(channel=channel)
    told = told.annotate(incident=Coalesce("alert__about_id", "alert_id"))
    closed = told.filter(alert__kind__in=CLOSING, incident=OuterRef("incident"), id__gt=OuterRef("id"))
    opening = told.exclude(alert__kind__in=CLOSING).filter(~Exists(closed))
    return list(
        Alert.objects.filter(
            organization_id=channel.organization_id, recovered_at__isnull=False, id__in=opening.values("incident")
        ).order_by("id")
    )


def _opened(alert: Alert) -> dict[int, int]:
    """Channel id → the id of the alert or notice whose message opened the incident there last."""
    told = _told(alert.organization_id).filter(
        Q(alert=alert) | Q(alert__about=alert), channel__kind__in=INCIDENT_KINDS, channel__enabled=True
    )
    latest = {
        channel_id: (alert_id, kind)
        for channel_id, alert_id, kind in told.order_by("id").values_list("channel_id", "alert_id", "alert__kind")
    }
    return {channel_id: alert_id for channel_id, (alert_id, kind) in latest.items() if kind not in CLOSING}


def _told(organization_id: int) -> QuerySet[Delivery]:
    """What channels were told or are about to be, each by a message of its own; acknowledgements apart."""
    return Delivery.objects.filter(organization_id=organization_id, action=Action.FIRE).exclude(status__in=_UNTOLD)


def told_since(delivery: Delivery) -> datetime:
    """The moment of what the delivery tells, from which on it grows old: a follow-up is younger than its alert."""
    alert: Alert = delivery.alert
    opening: Alert = alert.about or alert
    if delivery.action == Action.ACKNOWLEDGE and opening.acknowledged_at is not None:
        return max(alert.created_at, opening.acknowledged_at)
    return alert.created_at
