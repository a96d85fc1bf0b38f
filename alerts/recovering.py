"""An alert recovers, fires again and still fires: what is noted of it, and the notices that tell so."""

from datetime import datetime

from alerts.followups import open_at
from alerts.kinds import AlertKind
from alerts.models import Alert, AlertEventKind, Severity
from alerts.notices import notice_write
from alerts.services import bounded
from alerts.standing import alert_noted, channels_told, governing_rule


def alert_recovers(alert: Alert, *, note: str, now: datetime) -> None:
    """All is well again. It is told unless the alert is snoozed or its rule muted."""
    quiet = alert.snoozed_until is not None and alert.snoozed_until > now
    alert.recovered_at, alert.snoozed_until = now, None
    alert.save(update_fields=["recovered_at", "snoozed_until"])
    alert_noted(alert, AlertEventKind.RECOVERED, now, note=note)
    told = [] if quiet else channels_told(alert.organization_id, alert.rule, now)
    # An incident is closed also where nobody is told, or where the rule tells others by now.
    told += [channel for channel in open_at(alert) if channel not in told]
    if told or not quiet:
        notice_write(alert, AlertKind.RECOVERY, "Recovered", Severity.INFO, told, now)


def alert_fires_again(alert: Alert, *, note: str, now: datetime) -> None:
    """It turned bad again in its period: the same alert opens again, and whoever its rule tells is told."""
    alert.recovered_at = alert.acknowledged_at = alert.snoozed_until = None
    alert.acknowledged_by = ""
    alert.save(
        update_fields=["recovered_at", "acknowledged_at", "acknowledged_by", "snoozed_until", "rule", "severity"]
    )
    alert_noted(alert, AlertEventKind.FIRED_AGAIN, now, note=note)
    told = channels_told(alert.organization_id, alert.rule, now)
    notice_write(alert, AlertKind.REMINDER, "Again", alert.severity, told, now)


def recovered_fires_again(*, organization_id: int, dedup_key: str, note: str, now: datetime) -> bool:
    """The same for what is raised where it happens, if the alert of this key had recovered and its rule is on.

    From then on it answers to the rule that decides now, which may not be the one that it first fired under. Without a
    rule, and where the rule leaves that open, it is as severe as it was.
    """
    recovered = Alert.objects.select_for_update(of=("self",)).filter(
        organization_id=organization_id, dedup_key=bounded(dedup_key), recovered_at__isnull=False
    )
    for alert in recovered:
        rule = governing_rule(organization_id, alert.kind, alert.subject)
        if rule is None or rule.enabled:
            alert.rule, alert.severity = rule, (rule.severity if rule else "") or alert.severity
            alert_fires_again(alert, note=note, now=now)
            return True
    return False


def alert_still_fires(alert: Alert, *, now: datetime) -> None:
    """Its snooze is over."""
    alert_noted(alert, AlertEventKind.REMINDED, now)
    told = channels_told(alert.organization_id, alert.rule, now)
    notice_write(alert, AlertKind.REMINDER, "Still firing", alert.severity, told, now)
