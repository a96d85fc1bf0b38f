"""Whether the figures are up to date: how far settling is behind, for people."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from ingest.selectors import IngestStatus, ingest_status
from tenants.access import Access, organization_page
from tenants.roles import Permission

LATE_SECONDS = 60


@require_safe
@organization_page()
def ingestion(request: HttpRequest, access: Access) -> HttpResponse:
    """The page; asked for by HTMX, the part of it that moves."""
    part = bool(getattr(request, "htmx", False))
    return _answer(request, access, "ingest/_status.html" if part else "ingest/ingestion.html")


@require_safe
@organization_page()
def tile(request: HttpRequest, access: Access) -> HttpResponse:
    """One figure for pages of other apps, which load it by its address."""
    return _answer(request, access, "ingest/_tile.html")


def _answer(request: HttpRequest, access: Access, template: str) -> HttpResponse:
    now = timezone.now()
    status = ingest_status(organization_id=access.organization.id, now=now)
    text, tone = health(status)
    context = {
        "nav": "ingestion",
        "now": now,
        "status": status,
        "health": text,
        "tone": tone,
        "may_see_error": access.may(Permission.EDIT_ORGANIZATION),
    }
    return render(request, template, context)


def health(status: IngestStatus) -> tuple[str, str]:
    """The state in words and its tone."""
    if status.failing_batches:
        return "Needs attention", "bad"
    if status.oldest_unsettled_seconds > LATE_SECONDS:
        return "Behind", "warn"
    return ("Settling", "info") if status.waiting_batches else ("Up to date", "good")
