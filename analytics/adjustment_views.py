"""What was booked after the event, or without one: the page that says which figures changed, when and why."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from analytics.filters import InvalidAddress, range_links
from analytics.page import frame, read, sensible
from common.api import decode_cursor, encode_cursor
from common.problems import Problem
from tenants.access import Access, organization_page
from usage.adjustments import booked_between, booked_sums
from usage.models import Adjustment
from usage.tables import ADJUSTMENT_KINDS

PAGE_SIZE = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# How each kind reads; what it is about stands in its reason.
KINDS = {kind: kind.capitalize() for kind in ADJUSTMENT_KINDS} | {"late": "Late event", "reprice": "Repriced"}


@require_safe
@organization_page()
@sensible
def adjustments(request: HttpRequest, access: Access) -> HttpResponse:
    asked, names = read(request, access)
    kind, cursor = request.GET.get("kind", ""), request.GET.get("cursor", "")
    if kind and kind not in KINDS:
        raise InvalidAddress(f"“kind” can be {', '.join(KINDS)}.")
    span = asked.range.whole
    within = {"organization_id": access.organization.id, "start": span.start, "end": span.end, "kind": kind}
    found = list(booked_between(**within, before=_place(cursor))[: PAGE_SIZE + 1])
    kept = {"kind": kind} if kind else {}
    following = found[PAGE_SIZE - 1] if len(found) > PAGE_SIZE else None
    context = frame(access, asked, names, "adjustments") | {
        "filters": [_kinds(kind)],
        "keep": list(asked.range.parameters.items()),
        "carried": list(kept.items()),
        "ranges": range_links(asked, request.path, **kept),
        "clear_url": asked.url(request.path) if kind else "",
        "rows": [_row(access, each, asked.range.zone) for each in found[:PAGE_SIZE]],
        "sums": booked_sums(**within),
        "kind_name": KINDS.get(kind, ""),
        "older_url": asked.url(request.path, **kept, cursor=_text(following)) if following else "",
        "newest_url": asked.url(request.path, **kept) if cursor else "",
    }
    return render(request, "analytics/adjustments.html", context)


def _kinds(chosen: str) -> dict[str, Any]:
    options = [{"value": kind, "text": text} for kind, text in KINDS.items()]
    return {"name": "kind", "label": "Kind", "value": chosen, "options": options}


def _row(access: Access, each: Adjustment, zone: ZoneInfo) -> dict[str, Any]:
    url = ""
    if each.event_time is not None:
        where = reverse("event", kwargs={"org_slug": access.organization.slug})
        url = f"{where}?{urlencode({'at': each.event_time.isoformat(), 'id': each.event_id})}"
    return {
        "adjustment": each,
        "kind": KINDS[each.kind],
        "booked": each.booked_at.astimezone(zone),
        "created": each.created_at.astimezone(zone),
        "event_time": each.event_time and each.event_time.astimezone(zone),
        "url": url,
    }


def _text(last: Adjustment) -> str:
    return encode_cursor((last.booked_at - _EPOCH) // _MICROSECOND, last.id)


def _place(cursor: str) -> tuple[datetime, int] | None:
    if not cursor:
        return None
    try:
        microseconds, row_id = decode_cursor(cursor, (int, int))
        if abs(row_id) >= 1 << 63:
            raise OverflowError
        return _EPOCH + microseconds * _MICROSECOND, row_id
    except (Problem, OverflowError) as error:
        raise InvalidAddress("This page of the list does not exist. Start again from the newest ones.") from error
