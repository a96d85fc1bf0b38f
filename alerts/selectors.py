"""Reads of alerts and channels. Each runs inside `organization_scope`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from alerts.models import Alert, Attempt, Channel, Delivery, DeliveryStatus


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What a list of alerts is narrowed to; None: not at all."""

    severity: str | None = None
    kind: str | None = None
    acknowledged: bool | None = None


# Where a page of the list ends: the time and id of its last alert.
Position = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class DeliveryHistory:
    delivery: Delivery
    attempts: list[Attempt] = field(default_factory=list)


def alert_list(*, organization_id: int, narrowed: AlertFilter, after: Position | None, limit: int) -> list[Alert]:
    """Alerts, newest first, from right after a position on; at most `limit`."""
    alerts = Alert.objects.filter(organization_id=organization_id)
    if narrowed.severity is not None:
        alerts = alerts.filter(severity=narrowed.severity)
    if narrowed.kind is not None:
        alerts = alerts.filter(kind=narrowed.kind)
    if narrowed.acknowledged is not None:
        alerts = alerts.filter(acknowledged_at__isnull=not narrowed.acknowledged)
    if after is not None:
        at, alert_id = after
        alerts = alerts.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=alert_id))
    return list(alerts.order_by("-created_at", "-id")[:limit])


def open_alert_count(*, organization_id: int) -> int:
    """Alerts nobody has acknowledged."""
    return Alert.objects.filter(organization_id=organization_id, acknowledged_at__isnull=True).count()


def deliveries_of(alerts: Iterable[Alert]) -> dict[int, list[Delivery]]:
    """By alert id, the deliveries with their channels."""
    wanted = {alert.id: alert for alert in alerts}
    found: dict[int, list[Delivery]] = {alert_id: [] for alert_id in wanted}
    organizations = {alert.organization_id for alert in wanted.values()}
    deliveries = Delivery.objects.filter(organization_id__in=organizations, alert_id__in=wanted)
    for delivery in deliveries.select_related("channel").order_by("id"):
        found[delivery.alert_id].append(delivery)
    return found


def history_of(alert: Alert) -> list[DeliveryHistory]:
    """Every delivery of the alert with its attempts, oldest first."""
    histories = {delivery.id: DeliveryHistory(delivery) for delivery in deliveries_of([alert])[alert.id]}
    attempts = Attempt.objects.filter(organization_id=alert.organization_id, delivery_id__in=histories)
    for attempt in attempts.order_by("at", "id"):
        histories[attempt.delivery_id].attempts.append(attempt)
    return list(histories.values())


def channel_list(*, organization_id: int) -> list[Channel]:
    return list(Channel.objects.present().filter(organization_id=organization_id).order_by("name", "id"))


def delivery_summary(deliveries: Iterable[Delivery]) -> tuple[str, str]:
    """All deliveries of an alert in a few words, and the tone (good, warn, bad or nothing) to say them in."""
    counts = Counter(DeliveryStatus(delivery.status) for delivery in deliveries)
    if not counts:
        return "no channel", ""
    failed = counts[DeliveryStatus.FAILED] + counts[DeliveryStatus.BLOCKED]
    waiting = counts[DeliveryStatus.PENDING] + counts[DeliveryStatus.SENDING]
    parts = [(failed, "failed"), (waiting, "waiting"), (counts[DeliveryStatus.SENT], "sent")]
    tone = "bad" if failed else "warn" if waiting else "good"
    return ", ".join(f"{count} {word}" for count, word in parts if count), tone
