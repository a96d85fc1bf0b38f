"""The pages of spend: translate the address, ask the selectors, hand over to the pure modules, render."""

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from analytics import events as single
from analytics import selectors
from analytics.explain import PICO_DIGITS, explain
from analytics.figures import Compared
from analytics.filters import DIMENSIONS, LABELLED, LABELS, Asked, range_links
from analytics.names import Directory, directory
from analytics.options import budgets_about, filter_choices, label_choices, status_choices
from analytics.overview import Choice, Paths
from analytics.overview import overview as overview_of
from analytics.page import frame, read, sensible
from budgets.selectors import budget_states
from common.display import compact
from pricing.models import ListPrice, PriceRule
from pricing.reasons import reason_in_words
from tenants.access import Access, organization_page
from tenants.roles import Permission
from usage.adjustments import adjustments_of, booked_sums
from usage.dimensions import TAG, TAG_PREFIX
from usage.models import UsageEvent
from usage.present import key_of, present_costs

# What a caller may have said about an event, as it is called on its page.
_LABELS = {
    "customer": "Customer",
    "feature": "Feature",
    "agent": "Agent",
    "end_user": "User",
    "trace_id": "Trace",
    "span_id": "Span",
    "parent_span_id": "Parent span",
    "session": "Session",
    "authorization_id": "Authorization",
}
FIRST_USAGE = "first"  # what the overview of an organization without usage says it has seen


@require_safe
@organization_page()
@sensible
def overview(request: HttpRequest, access: Access) -> HttpResponse:
    asked, names = read(request, access)
    context = _overview(access, asked, names)
    if not context["page"].total.now.requests and not selectors.has_usage(access.organization.id):
        return render(request, "analytics/first_usage.html", _first_usage(access))
    return render(request, "analytics/overview.html", context)


@require_safe
@organization_page()
@sensible
def overview_live(request: HttpRequest, access: Access) -> HttpResponse:
    """The figures of the overview, when they are others than the ones the reader has; 204 when they are not."""
    seen = request.GET.get("seen", "")
    if seen == FIRST_USAGE:
        response = HttpResponse(status=204)
        if selectors.has_usage(access.organization.id):
            response["HX-Refresh"] = "true"
        return response
    asked, names = read(request, access)
    if seen == _state(access, asked):
        return HttpResponse(status=204)
    return render(request, "analytics/_overview.html", _overview(access, asked, names))


@require_safe
@organization_page()
@sensible
def events(request: HttpRequest, access: Access) -> HttpResponse:
    asked, names = read(request, access)
    cursor = request.GET.get("cursor", "")
    after = single.position_at(cursor) if cursor else None
    found = single.event_page(organization_id=access.organization.id, asked=asked, directory=names, after=after)
    path = reverse("event", kwargs={"org_slug": access.organization.slug})
    used = _names_used(access, asked)
    present = present_costs(access.organization.id, found.events)
    only = {
        "status": asked.status or None,
        "unpriced": "1" if asked.unpriced else None,
        "session": asked.session or None,
        "trace": asked.trace or None,
    }
    context = frame(access, asked, names, "events") | {
        "filters": filter_choices(asked, names, used) + status_choices(asked),
        "more_filters": label_choices(asked, used),
        "clear_url": asked.url(request.path, **dict.fromkeys(DIMENSIONS))
        if asked.filters or any(only.values())
        else "",
        "events": [
            _event_row(event, names, asked.range.zone, path) | {"present": present[key_of(event)]}
            for event in found.events
        ],
        "total": single.events_total(organization_id=access.organization.id, asked=asked, directory=names),
        "described": _described(asked, names),
        "newest_url": asked.url(request.path, **only) if cursor else "",
        "older_url": asked.url(request.path, **only, cursor=found.cursor) if found.cursor else "",
        "all_url": request.path,
        "has_usage": bool(found.events) or selectors.has_usage(access.organization.id),
    }
    context["ranges"] = range_links(asked, request.path, **{name: value for name, value in only.items() if value})
    return render(request, "analytics/events.html", context)


@require_safe
@organization_page()
def event(request: HttpRequest, access: Access) -> HttpResponse:
    """One event and its cost, line by line. Found by time and id: both are in the address."""
    at, event_id = _moment(request.GET.get("at", "")), request.GET.get("id", "")
    if at is None or not event_id.isprintable():
        raise Http404("No such event")
    found = single.event_at(organization_id=access.organization.id, at=at, event_id=event_id)
    if found is None:
        raise Http404("No such event")
    zone = ZoneInfo(access.organization.timezone)
    price = ListPrice.objects.select_related("model__provider").filter(id=found.price_id or 0).first()
    rule = PriceRule.objects.filter(organization=access.organization, id=found.rule_id or 0).first()
    context = {
        "nav": "events",
        "now": timezone.now(),
        "event": found,
        "row": _event_row(found, directory(access.organization), zone, request.path),
        "present": present_costs(access.organization.id, [found])[key_of(found)],
        "adjustments": list(adjustments_of(access.organization.id, event_time=found.time, event_id=found.event_id)),
        "received_at": found.received_at.astimezone(zone),
        "price": price,
        "rule": rule,
        "saved": (found.list_cost or 0) - (found.cost or 0),
        "paid_on_top": (found.cost or 0) - (found.list_cost or 0),
        "explanation": explain(found, price, rule.as_rule() if rule else None),
        "reason": reason_in_words(found.unpriced_reason) if found.cost is None else None,
        "reported": None if found.reported_cost is None else Decimal(found.reported_cost).scaleb(-PICO_DIGITS),
        "labels": _labels(access, found),
        "tags": sorted((found.tags or {}).items()),
        "zone": zone.key,
    }
    return render(request, "analytics/event.html", context)


def _labels(access: Access, event: UsageEvent) -> list[tuple[str, str, str]]:
    """What the caller said about the event: name, value and the page of everything with that value, if there is one."""
    where = {"org_slug": access.organization.slug}
    pages = {
        "trace_id": ("trace", "id"),
        "session": ("traces", "session"),
        "end_user": ("overview", "user"),
        **{name: ("overview", name) for name in ("customer", "feature", "agent")},
    }
    urls = {
        column: f"{reverse(page, kwargs=where)}?{urlencode({name: getattr(event, column)})}"
        for column, (page, name) in pages.items()
    }
    return [(label, value, urls.get(name, "")) for name, label in _LABELS.items() if (value := getattr(event, name))]


def _paths(access: Access) -> Paths:
    where = {"org_slug": access.organization.slug}
    return Paths(*(reverse(name, kwargs=where) for name in ("overview", "events", "unpriced")))


def _overview(access: Access, asked: Asked, names: Directory) -> dict[str, Any]:
    organization_id, now = access.organization.id, timezone.now()
    filters, paths = asked.filters.values(names), _paths(access)
    found = selectors.parts(organization_id=organization_id, chosen=asked.range, filters=filters)
    points = selectors.trend(
        organization_id=organization_id,
        dimension=DIMENSIONS[asked.by],
        interval=asked.interval,
        chosen=asked.range,
        filters=filters,
    )
    used, tags = _names_used(access, asked), selectors.tag_names(organization_id=organization_id, chosen=asked.range)
    labelled = _labelled(organization_id, asked, filters, used, tags)
    page = overview_of(asked, parts=found, labelled=labelled, points=points, directory=names, paths=paths)
    state, shown = _state(access, asked), page.total.now
    return frame(access, asked, names, "overview") | {
        "filters": filter_choices(asked, names, used),
        "more_filters": label_choices(asked, used),
        "page": page,
        "by_label": LABELS[asked.by],
        "tag_choices": [
            Choice(tag, asked.url(paths.overview, **(asked.layout | {"tag": tag})), tag == asked.tag) for tag in tags
        ],
        "adjusted": None if asked.filters else booked_sums(**_span(access, asked)),
        "adjustments_url": asked.url(reverse("adjustments", kwargs={"org_slug": access.organization.slug})),
        "errors_hint": f"{compact(shown.errors)} of {compact(shown.requests)}" if shown.errors else "None failed",
        "unpriced_hint": "Missing from the spend" if shown.unpriced else "Everything has a price",
        "events_url": asked.url(paths.events),
        "errors_url": asked.url(paths.events, status="error"),
        "unpriced_url": paths.unpriced if not asked.filters else asked.url(paths.events, unpriced="1"),
        "live_url": asked.url(f"{paths.overview}live", **asked.layout, seen=state),
        "budgets": budgets_about(asked.filters, budget_states(organization_id, now)),
        "may_edit_budgets": access.may(Permission.EDIT_BUDGETS),
    }


def _labelled(
    organization_id: int, asked: Asked, filters: selectors.Filter, used: dict[str, list[str]], tags: list[str]
) -> dict[str, dict[str, Compared]]:
    """The sums by what callers added, where they did."""
    wanted = {name: str(dimension) for name, dimension in LABELLED.items() if used[dimension]}
    found: dict[str, dict[str, Compared]] = {}
    if not filters:
        whole = selectors.labelled_by_each(
            organization_id=organization_id, chosen=asked.range, dimensions=list(wanted.values())
        )
        found = {name: whole[wanted[name]] for name in wanted}
        wanted = {}
    if asked.tag in tags:
        wanted[TAG] = TAG_PREFIX + asked.tag
    found |= {
        name: selectors.labelled(
            organization_id=organization_id, chosen=asked.range, filters=filters, dimension=dimension
        )
        for name, dimension in wanted.items()
    }
    return {name: values for name, values in found.items() if set(values) - {""}}


def _state(access: Access, asked: Asked) -> str:
    """Changes with every event that is settled into the range, and every hour, when the comparison moves on."""
    span = asked.range
    state = selectors.spend_state(organization_id=access.organization.id, start=span.before.start, end=span.whole.end)
    return f"{state}-{span.before.end:%d%H}"


def _span(access: Access, asked: Asked) -> dict[str, Any]:
    whole = asked.range.whole
    return {"organization_id": access.organization.id, "start": whole.start, "end": whole.end}


def _names_used(access: Access, asked: Asked) -> dict[str, list[str]]:
    return selectors.names_used(organization_id=access.organization.id, chosen=asked.range)


def _described(asked: Asked, names: Directory) -> list[str]:
    more = [f"{label} {value}" for label, value in (("Status", asked.status), ("Session", asked.session)) if value]
    more += [f"Trace {asked.trace}"] if asked.trace else []
    return asked.filters.described(names) + more + (["Unpriced only"] if asked.unpriced else [])


def _event_row(event: UsageEvent, names: Directory, zone: ZoneInfo, path: str) -> dict[str, Any]:
    return {
        "event": event,
        "url": f"{path}?{urlencode({'at': event.time.isoformat(), 'id': event.event_id})}",
        "time": event.time.astimezone(zone),
        "key": names.key(event.virtual_key_id),
        "team": names.team(event.team_id),
    }


def _first_usage(access: Access) -> dict[str, Any]:
    """The call to make first, with a time that is accepted when it is pasted soon."""
    call = (
        f"curl {settings.BASE_URL}/api/v1/events \\\n"
        '  -H "Authorization: Bearer $COSTHUB_KEY" -H "Content-Type: application/json" \\\n'
        """  -d '{"id": "first-1", "time": "'$(date -u +%Y-%m-%dT%H:%M:%SZ)'", "provider": "openai", \\\n"""
        """       "model": "gpt-4.1-nano", "usage": {"input_tokens": 1500, "output_tokens": 250}}'"""
    )
    live = reverse("overview_live", kwargs={"org_slug": access.organization.slug})
    return {
        "nav": "overview",
        "call": call,
        "live_url": f"{live}?seen={FIRST_USAGE}",
        "may_issue_keys": access.may(Permission.ISSUE_KEYS),
    }


def _moment(text: str) -> Any:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
