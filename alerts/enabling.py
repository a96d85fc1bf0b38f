"""A channel is switched on again: incidents whose alerts were over meanwhile are closed there."""

from datetime import datetime

from alerts.followups import left_open
from alerts.kinds import AlertKind
from alerts.locks import lock_rules
from alerts.models import Alert, AlertEvent, AlertEventKind, Channel, Severity
from alerts.notices import notice_write
from alerts.services import Actor
from tenants.services import audit_record

_WORDS = {AlertKind.RECOVERY: "Recovered", AlertKind.ENDED: "Ended"}


def channel_enable(*, channel: Channel, actor: Actor, now: datetime) -> None:
    """Listens again. Of what recovered or ended while it was off, it is told where it holds an incident open."""
    # What recovers at this moment still finds the channel off: it commits first, or finds it on.
    lock_rules(channel.organization_id)
    channel.enabled, channel.disabled_reason = True, ""
    channel.save(update_fields=["enabled", "disabled_reason"])
    audit_record(
        organization_id=channel.organization_id, actor=actor, action="channel.enabled", target=channel, now=now
    )
    for alert in left_open(channel):
        kind = _how_it_closed(alert)
        notice_write(alert, kind, _WORDS[kind], Severity.INFO, [channel], now)


def _how_it_closed(alert: Alert) -> AlertKind:
    over = AlertEvent.objects.filter(
        organization_id=alert.organization_id, alert=alert, kind__in=(AlertEventKind.RECOVERED, AlertEventKind.ENDED)
    )
    last = over.order_by("at", "id").last()
    return AlertKind.RECOVERY if last is not None and last.kind == AlertEventKind.RECOVERED else AlertKind.ENDED
