"""Alerts that are over although nobody found that all is well again: nobody is told, and no incident stays open."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from alerts.followups import open_at
from alerts.kinds import AlertKind
from alerts.models import SUBJECT_LENGTH, Alert, AlertEventKind, RuleStanding, Severity
from alerts.notices import notice_write
from alerts.standing import alert_noted


def alerts_end(alerts: Iterable[Alert], *, why: str, now: datetime) -> None:
    """Ends open alerts without a word, but to the channels that hold an incident of theirs open."""
    for alert in alerts:
        alert.recovered_at, alert.snoozed_until = now, None
        alert.save(update_fields=["recovered_at", "snoozed_until"])
        alert_noted(alert, AlertEventKind.ENDED, now, note=why)
        if channels := open_at(alert):
            notice_write(alert, AlertKind.ENDED, "Ended", Severity.INFO, channels, now)


def subject_ends(*, organization_id: int, subject: str, why: str, now: datetime) -> None:
    """Ends whatever fires about a subject that is no more, such as "budget:17"."""
    subject = subject[:SUBJECT_LENGTH]
    # First the standings, then the alerts: the order in which rules take them.
    RuleStanding.objects.filter(organization_id=organization_id, subject=subject).delete()
    alerts_end(open_alerts(organization_id).filter(subject=subject), why=why, now=now)


def open_alerts(organization_id: int) -> QuerySet[Alert]:
    """Alerts that have neither recovered nor ended, locked until the end of the transaction."""
    return Alert.objects.select_for_update(of=("self",)).filter(
        organization_id=organization_id, about__isnull=True, recovered_at__isnull=True
    )
