"""Reads of alerts and channels. Each runs inside `organization_scope`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from alerts.gathering import gathered_in
from alerts.kinds import AlertKind
from alerts.models import (
    Alert,
    AlertEvent,
    AlertEventKind,
    AlertRule,
    AlertState,
    Attempt,
    Channel,
    Delivery,
    DeliveryStatus,
)


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What a list of alerts is narrowed to; None: not at all."""

    severity: str | None = None
    kind: str | None = None
    acknowledged: bool | None = None
    state: str | None = None
    rule_id: int | None = None


# As `Alert.state` has it.
IN_STATE = {
    AlertState.RECOVERED: Q(recovered_at__isnull=False),
    AlertState.ACKNOWLEDGED: Q(recovered_at__isnull=True, acknowledged_at__isnull=False),
    AlertState.SNOOZED: Q(recovered_at__isnull=True, acknowledged_at__isnull=True, snoozed_until__isnull=False),
    AlertState.FIRING: Q(recovered_at__isnull=True, acknowledged_at__isnull=True, snoozed_until__isnull=True),
}

# Where a page of the list ends: the time and id of its last alert.
Position = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class DeliveryHistory:
    """A delivery with its channel, and its attempts, oldest first, where they were asked for."""

    delivery: Delivery
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def digest_alert_id(self) -> str | None:
        digest = self.delivery.digest
        return None if digest is None else str(digest.alert_id)

    @property
    def told(self) -> DeliveryStatus:
        """Where telling the channel stands: of a gathered delivery, where its digest does."""
        return DeliveryStatus((self.delivery.digest or self.delivery).status)


@dataclass(frozen=True, slots=True)
class AlertHistory:
    """An alert with its deliveries, and what became of it where that was asked for."""

    alert: Alert
    deliveries: list[DeliveryHistory]
    events: list[AlertEvent] = field(default_factory=list)


def alert_list(*, organization_id: int, narrowed: AlertFilter, after: Position | None, limit: int) -> list[Alert]:
    """Alerts, newest first, from right after a position on; at most `limit`. Digests only when asked for."""
    alerts = Alert.objects.filter(organization_id=organization_id, about__isnull=True)
    if narrowed.kind is None:
        alerts = alerts.exclude(kind=AlertKind.DIGEST)
    if narrowed.severity is not None:
        alerts = alerts.filter(severity=narrowed.severity)
    if narrowed.kind is not None:
        alerts = alerts.filter(kind=narrowed.kind)
    if narrowed.acknowledged is not None:
        alerts = alerts.filter(acknowledged_at__isnull=not narrowed.acknowledged)
    if narrowed.state is not None:
        alerts = alerts.filter(IN_STATE[AlertState(narrowed.state)])
    if narrowed.rule_id is not None:
        alerts = alerts.filter(rule_id=narrowed.rule_id)
    if after is not None:
        at, alert_id = after
        alerts = alerts.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=alert_id))
    return list(alerts.order_by("-created_at", "-id")[:limit])


def open_alert_count(*, organization_id: int) -> int:
    """How many alerts fire; the lists that are narrowed to those have as many."""
    return _firing(organization_id).count()


def _firing(organization_id: int) -> QuerySet[Alert]:
    """What fires, everywhere it is counted: alerts that nobody has acknowledged or put off, and that are not over."""
    return Alert.objects.filter(IN_STATE[AlertState.FIRING], organization_id=organization_id, about__isnull=True)


def events_of(alert: Alert) -> list[AlertEvent]:
    """What became of an alert, oldest first, from its firing on."""
    fired = AlertEvent(alert=alert, at=alert.created_at, kind=AlertEventKind.FIRED)
    events = AlertEvent.objects.filter(organization_id=alert.organization_id, alert=alert)
    return [fired, *events.order_by("at", "id")]


def notices_of(alert: Alert) -> list[Alert]:
    """What was told after the alert itself: that it recovered, or that it still fires."""
    return list(Alert.objects.filter(organization_id=alert.organization_id, about=alert).order_by("created_at", "id"))


def rule_list(*, organization_id: int) -> list[AlertRule]:
    return list(AlertRule.objects.present().filter(organization_id=organization_id).order_by("name", "id"))


def firing_by_rule(*, organization_id: int) -> dict[int, int]:
    """Rule id → how many of its alerts fire."""
    alerts = _firing(organization_id).filter(rule__isnull=False)
    return dict(alerts.values("rule_id").annotate(firing=Count("id")).values_list("rule_id", "firing"))


def with_deliveries(alerts: Sequence[Alert]) -> list[AlertHistory]:
    """The alerts with their deliveries, in the same order."""
    found = {alert.id: AlertHistory(alert, []) for alert in alerts}
    organizations = {alert.organization_id for alert in alerts}
    deliveries = Delivery.objects.filter(organization_id__in=organizations, alert_id__in=found)
    for delivery in deliveries.select_related("channel", "digest").order_by("id"):
        found[delivery.alert_id].deliveries.append(DeliveryHistory(delivery))
    return list(found.values())


def with_attempts(alert: Alert) -> AlertHistory:
    """The alert with its deliveries, every attempt at them, and what became of it."""
    (history,) = with_deliveries([alert])
    history.events.extend(events_of(alert))
    by_delivery = {each.delivery.id: each.attempts for each in history.deliveries}
    attempts = Attempt.objects.filter(organization_id=alert.organization_id, delivery_id__in=by_delivery)
    for attempt in attempts.order_by("at", "id"):
        by_delivery[attempt.delivery_id].append(attempt)
    return history


def channel_list(*, organization_id: int) -> list[Channel]:
    return list(Channel.objects.present().filter(organization_id=organization_id).order_by("name", "id"))


def delivery_summary(history: AlertHistory) -> tuple[str, str]:
    """All deliveries of an alert in a few words, and the tone (good, warn, bad or nothing) to say them in."""
    counts = Counter(each.told for each in history.deliveries)
    if not counts:
        return "no channel", ""
    failed = counts[DeliveryStatus.FAILED] + counts[DeliveryStatus.BLOCKED]
    waiting = counts[DeliveryStatus.PENDING] + counts[DeliveryStatus.SENDING]
    parts = [(failed, "failed"), (waiting, "waiting"), (counts[DeliveryStatus.SENT], "sent")]
    tone = "bad" if failed else "warn" if waiting else "good"
    return ", ".join(f"{count} {word}" for count, word in parts if count), tone


def gathered_alerts(digest: AlertHistory) -> list[Alert]:
    """The alerts that a digest tells of."""
    return [alert for each in digest.deliveries for alert in gathered_in(each.delivery)]
