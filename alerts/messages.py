"""Alerts put into words for channels."""

from collections.abc import Sequence
from hashlib import sha256
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse

from alerts.channels.base import Message
from alerts.facts import Line, lines_of, link_of, one_line
from alerts.gathering import gathered_in
from alerts.kinds import CLOSING, AlertKind
from alerts.models import Action, Alert, Delivery, Severity
from common import display
from tenants.models import Organization

# A digest names so many; the others are on its page.
DIGEST_LINES = 50
_RANKS = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


def message_of_delivery(organization: Organization, delivery: Delivery) -> Message:
    reference = f"delivery-{delivery.id}"
    if delivery.alert.kind == AlertKind.DIGEST:
        return digest_message(organization, delivery.alert, gathered_in(delivery), reference=reference)
    return message_of(
        organization, delivery.alert, reference=reference, action=Action(delivery.action),
        in_person=delivery.channel_id is None, link=delivery.link,
    )  # fmt: skip


def message_of(
    organization: Organization,
    alert: Alert,
    *,
    reference: str,
    action: Action = Action.FIRE,
    in_person: bool = False,
    link: str = "",
) -> Message:
    """`link`: a path for one person only; else that of the facts. What follows an alert is about its incident."""
    alert_url = _alert_url(organization, alert)
    path = link or link_of(alert.facts)
    return Message(
        reference=reference,
        organization=one_line(organization.name),
        kind=alert.kind_label,
        severity=alert.severity,
        title=alert.title,
        lines=tuple(lines_of(alert.facts)),
        url=settings.BASE_URL + path if path else alert_url,
        alert_url=alert_url,
        incident=f"alert-{alert.about_id or alert.id}",
        thread=_thread(alert, link_of(alert.facts)),
        action=Action.RESOLVE if alert.kind in CLOSING else action,
        kind_name=alert.kind,
        facts=alert.facts,
        fired_at=alert.created_at,
        in_person=in_person,
    )


def digest_message(organization: Organization, digest: Alert, alerts: Sequence[Alert], *, reference: str) -> Message:
    zone = ZoneInfo(organization.timezone)
    url = _alert_url(organization, digest)
    lines = [
        Line(f"{display.moment(alert.created_at.astimezone(zone))} · {alert.get_severity_display()}", alert.title)
        for alert in alerts
    ]
    severity = max((Severity(alert.severity) for alert in alerts), key=_RANKS.__getitem__, default=Severity.INFO)
    return Message(
        reference=reference,
        organization=one_line(organization.name),
        kind=digest.kind_label,
        severity=severity,
        title=f"{len(alerts)} alerts in one message" if len(alerts) != 1 else alerts[0].title,
        lines=tuple(lines[:DIGEST_LINES]),
        url=url,
        alert_url=url,
        incident=f"alert-{digest.id}",
        thread=_thread(digest, None),
        kind_name=digest.kind,
        facts={**digest.facts, "alerts": [str(alert.id) for alert in alerts]},
        fired_at=digest.created_at,
    )


def _alert_url(organization: Organization, alert: Alert) -> str:
    path = reverse("alert", kwargs={"org_slug": organization.slug, "alert_id": alert.id})
    return f"{settings.BASE_URL}{path}"


def _thread(alert: Alert, link: str | None) -> str:
    """The same for alerts of one kind about one thing, so that a mailbox shows them as one conversation."""
    about = f"{alert.organization_id}\0{alert.kind}\0{link or alert.id}"
    return f"thread-{sha256(about.encode()).hexdigest()[:24]}"
