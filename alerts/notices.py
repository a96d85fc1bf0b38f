"""Notices that follow an alert: what became of it, told in an alert of their own that is about it."""

from collections.abc import Iterable
from datetime import datetime

from alerts.kinds import AlertKind
from alerts.models import Alert, Channel
from alerts.services import alert_write


def notice_write(
    alert: Alert, kind: AlertKind, words: str, severity: str, channels: Iterable[Channel], now: datetime
) -> None:
    """To just these channels; `words` go before the alert's title, such as "Recovered"."""
    alert_write(
        alert.organization_id, channels, kind, f"{kind}:{alert.id}:{now.isoformat()}", severity,
        f"{words}: {alert.title}", alert.facts, now, rule=alert.rule, subject=alert.subject, about=alert,
    )  # fmt: skip
