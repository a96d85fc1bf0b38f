"""Whether the figures are up to date: how far settling is behind, for people."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from ingest.selectors import (
    LISTED,
    SEEN_DAYS,
    IngestStatus,
    SourceHealth,
    failing_batches,
    ingest_status,
    key_health,
    refusals,
    source_health,
)
from tenants.access import Access, organization_page
from tenants.roles import Permission

LATE_SECONDS = 60
# A source or key that sent nothing for so long is worth a look.
QUIET = timedelta(hours=1)
SILENT = timedelta(days=1)


@require_safe
@organization_page()
def ingestion(request: HttpRequest, access: Access) -> HttpResponse:
    """The page; asked for by HTMX, the part of it that moves."""
    part = bool(getattr(request, "htmx", False))
    now, organization_id = timezone.now(), access.organization.id
    sources = source_health(organization_id=organization_id, now=now)
    keys = key_health(organization_id=organization_id, now=now)
    more = {
        "sources": [(source, *source_state(source, now)) for source in sources],
        "keys": [(key, *silence(key.last_received_at, now)) for key in keys],
        "refusals": refusals(organization_id=organization_id, now=now),
        "failing": failing_batches(organization_id=organization_id),
        "seen_days": SEEN_DAYS,
        "listed": LISTED,
    }
    return _answer(request, access, "ingest/_status.html" if part else "ingest/ingestion.html", now, more)


@require_safe
@organization_page()
def tile(request: HttpRequest, access: Access) -> HttpResponse:
    """One figure for pages of other apps, which load it by its address."""
    return _answer(request, access, "ingest/_tile.html", timezone.now(), {})


def _answer(request: HttpRequest, access: Access, template: str, now: datetime, more: dict[str, Any]) -> HttpResponse:
    status = ingest_status(organization_id=access.organization.id, now=now)
    text, tone = health(status)
    context = {
        "nav": "ingestion",
        "now": now,
        "status": status,
        "health": text,
        "tone": tone,
        "may_see_error": access.may(Permission.EDIT_ORGANIZATION),
        **more,
    }
    return render(request, template, context)


def health(status: IngestStatus) -> tuple[str, str]:
    """The state in words and its tone."""
    if status.failing_batches:
        return "Needs attention", "bad"
    if status.oldest_unsettled_seconds > LATE_SECONDS:
        return "Behind", "warn"
    return ("Settling", "info") if status.waiting_batches else ("Up to date", "good")


def source_state(source: SourceHealth, now: datetime) -> tuple[str, str]:
    """A source's state in words and its tone."""
    if source.last_received_at is None:
        return "All refused", "bad"
    text, tone = silence(source.last_received_at, now)
    return ("Some refused", "warn") if tone == "good" and source.refused_requests else (text, tone)


def silence(last_received_at: datetime, now: datetime) -> tuple[str, str]:
    """How long nothing came, in words and a tone."""
    since = now - last_received_at
    if since > SILENT:
        return "Silent", "warn"
    return ("Quiet", "info") if since > QUIET else ("Sending", "good")
