"""Pages of alerts: what fired, and whether anybody could know."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from alerts.facts import Line, lines_of, link_of
from alerts.incident_views import SNOOZES
from alerts.kinds import AlertKind
from alerts.models import OPEN_STATUSES, Alert, AlertState, Severity
from alerts.positions import cursor_after, position_at
from alerts.selectors import (
    AlertFilter,
    alert_list,
    channel_list,
    delivery_summary,
    gathered_alerts,
    notices_of,
    with_attempts,
    with_deliveries,
)
from alerts.services import alert_acknowledge
from common.filters import filter_choices
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.roles import Permission

PAGE_SIZE = 50
SEVERITY_TONES = {Severity.INFO: "info", Severity.WARNING: "warn", Severity.CRITICAL: "bad"}
STATUS_TONES = {
    "pending": "warn",
    "sending": "warn",
    "sent": "good",
    "gathered": "info",
    "failed": "bad",
    "blocked": "bad",
}
STATE_TONES = {"firing": "bad", "snoozed": "warn", "acknowledged": "info", "recovered": "good"}


@dataclass(frozen=True, slots=True)
class Row:
    """One alert as the list shows it."""

    alert: Alert
    tone: str
    lines: list[Line]
    delivery: str
    delivery_tone: str
    state_tone: str


@require_safe
@organization_page()
def alerts(request: HttpRequest, access: Access) -> HttpResponse:
    chosen = _chosen(request)
    narrowed = AlertFilter(chosen.get("severity"), chosen.get("kind"), state=chosen.get("state"))
    cursor = request.GET.get("cursor", "")
    found = alert_list(
        organization_id=access.organization.id, narrowed=narrowed, after=_position(cursor), limit=PAGE_SIZE + 1
    )
    shown = found[:PAGE_SIZE]
    more = {**chosen, "cursor": cursor_after(shown[-1])} if len(found) > PAGE_SIZE else None
    here = request.path
    context = {
        "nav": "alerts",
        "now": timezone.now(),
        "rows": _rows(shown),
        "filters": _filters(chosen),
        "clear_url": here if chosen else "",
        "summary": f"{len(shown)} alerts" if len(shown) != 1 else "1 alert",
        "previous_url": f"{here}?{urlencode(chosen)}" if cursor else "",
        "next_url": f"{here}?{urlencode(more)}" if more else "",
        "has_channels": any(channel.enabled for channel in channel_list(organization_id=access.organization.id)),
        "may_edit": access.may(Permission.EDIT_CHANNELS),
    }
    return render(request, "alerts/alerts.html", context)


@require_safe
@organization_page()
def alert(request: HttpRequest, access: Access, alert_id: int) -> HttpResponse:
    """One alert; asked for by HTMX, its deliveries only, for as long as one is still to be made."""
    found = _alert(access, alert_id)
    told = with_attempts(found)
    history = [(each, STATUS_TONES[each.delivery.status]) for each in told.deliveries]
    context = {
        "nav": "alerts",
        "now": timezone.now(),
        "alert": found,
        "tone": SEVERITY_TONES[Severity(found.severity)],
        "lines": lines_of(found.facts),
        "link": link_of(found.facts),
        "history": history,
        "gathered": gathered_alerts(told) if found.kind == AlertKind.DIGEST else [],
        "events": told.events,
        "notices": notices_of(found),
        "state_tone": STATE_TONES[found.state],
        "snoozes": SNOOZES,
        "waiting": any(each.delivery.status in OPEN_STATUSES for each, _ in history),
        "may_edit": access.may(Permission.EDIT_CHANNELS),
    }
    part = bool(getattr(request, "htmx", False))
    return render(request, "alerts/_deliveries.html" if part else "alerts/alert.html", context)


@require_POST
@organization_page(Permission.EDIT_CHANNELS)
def acknowledge(request: HttpRequest, access: Access, alert_id: int) -> HttpResponse:
    found = _alert(access, alert_id)
    if alert_acknowledge(alert=found, actor=access.user, now=timezone.now()):
        messages.success(request, "The alert is acknowledged.")
    else:
        messages.info(request, f"{found.acknowledged_by} had acknowledged this alert already.")
    return redirect("alert", org_slug=access.organization.slug, alert_id=found.id)


def _alert(access: Access, alert_id: int) -> Alert:
    return get_object_or_404(Alert, organization=access.organization, id=alert_id)


def _rows(found: list[Alert]) -> list[Row]:
    return [
        Row(
            history.alert,
            SEVERITY_TONES[Severity(history.alert.severity)],
            lines_of(history.alert.facts),
            *delivery_summary(history),
            STATE_TONES[history.alert.state],
        )
        for history in with_deliveries(found)
    ]


def _chosen(request: HttpRequest) -> dict[str, str]:
    """The filters of the URL that are known; anything else is as good as not given."""
    known = {"severity": Severity.values, "kind": AlertKind.values, "state": AlertState.values}
    given = {name: request.GET.get(name, "") for name in known}
    return {name: value for name, value in given.items() if value in known[name]}


def _position(cursor: str) -> Any:
    try:
        return position_at(cursor) if cursor else None
    except Problem:
        return None


def _filters(chosen: dict[str, str]) -> list[dict[str, Any]]:
    choices = {
        "severity": ("Severity", Severity.choices),
        "state": ("State", AlertState.choices),
        "kind": ("Kind", AlertKind.choices),
    }
    return filter_choices(choices, chosen)
