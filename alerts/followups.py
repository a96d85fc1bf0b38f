"""Telling channels that keep incidents what became of an alert: acknowledged, recovered."""

from datetime import datetime

from alerts.models import Action, Alert, ChannelKind, Delivery, DeliveryStatus
from alerts.waking import wake_after_commit

INCIDENT_KINDS = (ChannelKind.WEBHOOK, ChannelKind.PAGERDUTY)
# Of these the channel never had the alert as a message of its own.
_UNTOLD = (DeliveryStatus.GATHERED, DeliveryStatus.FAILED, DeliveryStatus.BLOCKED)


def follow_up(*, alert: Alert, action: Action, now: datetime) -> int:
    """A pending delivery of `action` to every such channel that is on and had the alert, once; returns how many had."""
    told = Delivery.objects.filter(
        organization_id=alert.organization_id,
        alert=alert,
        action=Action.FIRE,
        channel__kind__in=INCIDENT_KINDS,
        channel__enabled=True,
    ).exclude(status__in=_UNTOLD)
    following = [
        Delivery(
            organization_id=alert.organization_id,
            alert=alert,
            channel_id=channel_id,
            action=action,
            next_attempt_at=now,
        )
        for channel_id in told.values_list("channel_id", flat=True)
    ]
    if following:
        Delivery.objects.bulk_create(following, ignore_conflicts=True)
        wake_after_commit()
    return len(following)
