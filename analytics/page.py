"""What the pages of spend have in common: a checked address, a frame around the figures."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from analytics.filters import DIMENSIONS, Asked, InvalidAddress, parse, range_links
from analytics.names import Directory, directory
from analytics.ranges import CUSTOM
from tenants.access import Access

Page = Callable[Concatenate[HttpRequest, Access, ...], HttpResponse]


def sensible(page: Page) -> Page:
    """Answers an address that makes no sense with 422 and the reasons, as a page or, for HTMX, as a part of one."""

    @wraps(page)
    def view(request: HttpRequest, access: Access, **arguments: Any) -> HttpResponse:
        try:
            return page(request, access, **arguments)
        except InvalidAddress as error:
            part = bool(getattr(request, "htmx", False))
            template = "analytics/_invalid.html" if part else "analytics/invalid.html"
            return render(request, template, {"reasons": error.reasons}, status=422)

    return view


def read(request: HttpRequest, access: Access) -> tuple[Asked, Directory]:
    names = directory(access.organization)
    zone = ZoneInfo(access.organization.timezone)
    return parse(request.GET, directory=names, zone=zone, now=timezone.now()), names


def frame(access: Access, asked: Asked, names: Directory, nav: str) -> dict[str, Any]:
    """What the pages of spend have in common."""
    path = reverse(nav, kwargs={"org_slug": access.organization.slug})
    layout = asked.layout if nav == "overview" else {}
    return {
        "nav": nav,
        "now": timezone.now(),
        "asked": asked,
        "zone": asked.range.zone.key,
        "ranges": range_links(asked, path, **{k: v for k, v in layout.items() if k != "interval"}),
        "custom_dates": asked.range.name == CUSTOM,
        # The filter form carries the range along, the form of dates the filters.
        "keep": list((asked.range.parameters | layout).items()),
        "more_set": bool(asked.filters.labels),
        "carried": list((asked.filters.parameters | layout).items()),
        "described": asked.filters.described(names),
        "versus": f"vs {asked.range.before_label}",
        "path": path,
        "clear_url": asked.url(path, **layout, **dict.fromkeys(DIMENSIONS)) if asked.filters else "",
    }
