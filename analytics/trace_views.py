"""The pages of agents and traces."""

from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from analytics import palette, selectors
from analytics.figures import Compared
from analytics.filters import Asked, InvalidAddress, range_links
from analytics.options import label_choices
from analytics.overview import Choice, label_of
from analytics.page import frame, read, sensible
from analytics.traces import AgentSpend, failed_costs, page_of_traces, place_at, trace_tree
from analytics.tree import Line
from common.problems import Problem
from tenants.access import Access, organization_page
from usage.dimensions import OVERFLOW
from usage.models import Trace
from usage.questions import Dimension
from usage.traces import Place, TraceOrder, TraceQuery, trace_find, traces, traces_total

PAGE_SIZE = 50
ORDERS: dict[TraceOrder, str] = {"newest": "Newest first", "dearest": "Dearest first"}
_UNNAMED = {"", OVERFLOW}  # no agent's, and of those beyond the limit
_FILTERS = ("customer", "agent", "user")


@require_safe
@organization_page()
@sensible
def agents(request: HttpRequest, access: Access) -> HttpResponse:
    """What each agent costs, what a request of it costs, and what went into calls that failed."""
    asked, names = read(request, access)
    span = asked.range.whole
    found = selectors.labelled(
        organization_id=access.organization.id, chosen=asked.range, filters={}, dimension=Dimension.AGENT
    )
    failed = failed_costs(organization_id=access.organization.id, start=span.start, end=span.end)
    whole = Compared()
    for compared in found.values():
        whole.add(compared)
    drawn = palette.styles("agent", found)
    dearest = sorted(found.items(), key=lambda item: (item[0] in _UNNAMED, -item[1].now.cost))
    rows = [
        {
            "agent": AgentSpend(agent, compared, failed.get(agent, 0)),
            "name": label_of("agent", agent),
            "style": drawn[agent],
            **_agent_urls(access, asked, agent),
        }
        for agent, compared in dearest
    ]
    context = frame(access, asked, names, "agents") | {
        "rows": rows,
        "whole": whole,
        "failed": sum(failed.values()),
        "named": bool(set(found) - {""}),
        "filters": [],
    }
    return render(request, "analytics/agents.html", context)


def _agent_urls(access: Access, asked: Asked, agent: str) -> dict[str, str]:
    where = {"org_slug": access.organization.slug}
    if agent in _UNNAMED:
        return {"url": "", "traces_url": "", "failed_url": ""}
    overview, traced, events = (reverse(name, kwargs=where) for name in ("overview", "traces", "events"))
    return {
        "url": asked.url(overview, agent=agent),
        "traces_url": asked.url(traced, agent=agent),
        "failed_url": asked.url(events, agent=agent, status="error"),
    }


@require_safe
@organization_page()
@sensible
def trace_list(request: HttpRequest, access: Access) -> HttpResponse:
    asked, names = read(request, access)
    order = _order(request.GET.get("order", "newest"))
    query = TraceQuery(
        access.organization.id,
        asked.range.whole.start,
        asked.range.whole.end,
        session=asked.session,
        customer=asked.filters.customer,
        user=asked.filters.user,
        agent=asked.filters.agent,
    )
    after = _place(request.GET.get("cursor", ""), order)
    shown, cursor = page_of_traces(traces(query, order=order, limit=PAGE_SIZE + 1, after=after), PAGE_SIZE, order)
    only = {"session": asked.session or None, "order": None if order == "newest" else order}
    kept = {name: value for name, value in only.items() if value}
    filtered = asked.session or asked.filters
    context = frame(access, asked, names, "traces") | {
        "filters": label_choices(asked, _used(access, asked), *_FILTERS),
        "keep": [*asked.range.parameters.items(), *kept.items()],
        "carried": [*asked.filters.parameters.items(), *kept.items()],
        "ranges": range_links(asked, request.path, **kept),
        "rows": [_row(access, trace, asked.range.zone) for trace in shown],
        "total": traces_total(query),
        "orders": [Choice(text, _ordered(asked, request.path, name), name == order) for name, text in ORDERS.items()],
        "older_url": asked.url(request.path, **only, cursor=cursor) if cursor else "",
        "first_url": asked.url(request.path, **only) if after else "",
        "clear_url": asked.url(request.path, **dict.fromkeys(_FILTERS)) if filtered else "",
        "described": asked.filters.described(names) + ([f"Session {asked.session}"] if asked.session else []),
        "all_url": request.path,
        "filtered": filtered,
    }
    return render(request, "analytics/traces.html", context)


def _used(access: Access, asked: Asked) -> dict[str, list[str]]:
    return selectors.names_used(organization_id=access.organization.id, chosen=asked.range)


def _order(text: str) -> TraceOrder:
    if text not in ORDERS:
        raise InvalidAddress(f"Traces can be ordered by {', '.join(ORDERS)}.")
    return text


def _ordered(asked: Asked, path: str, order: TraceOrder) -> str:
    return asked.url(path, session=asked.session or None, order=None if order == "newest" else order)


def _place(cursor: str, order: TraceOrder) -> Place | None:
    if not cursor:
        return None
    try:
        return place_at(cursor, order)
    except (Problem, ValueError) as error:
        raise InvalidAddress("This page of the list does not exist. Start again from the first traces.") from error


def _row(access: Access, trace: Trace, zone: ZoneInfo) -> dict[str, Any]:
    path = reverse("trace", kwargs={"org_slug": access.organization.slug})
    return {
        "trace": trace,
        "url": f"{path}?{urlencode({'id': trace.trace_id})}",
        "last": trace.last_at.astimezone(zone),
        "seconds": round((trace.last_at - trace.first_at).total_seconds()),
    }


@require_safe
@organization_page()
def trace(request: HttpRequest, access: Access) -> HttpResponse:
    """The calls of one trace as a tree of what they cost."""
    trace_id = request.GET.get("id", "")
    found = trace_find(access.organization.id, trace_id) if trace_id.isprintable() else None
    if found is None:
        raise Http404("No such trace")
    zone = ZoneInfo(access.organization.timezone)
    made, where = trace_tree(found), {"org_slug": access.organization.slug}
    event_path = reverse("event", kwargs=where)
    context = _row(access, found, zone) | {
        "nav": "traces",
        "now": timezone.now(),
        "zone": zone.key,
        "first": found.first_at.astimezone(zone),
        "made": made,
        "counted": f"in {found.events:,} event{'' if found.events == 1 else 's'}",
        "lines": [_line(line, event_path, zone) for line in made.lines],
        "shares": [{"share": share, "name": label_of("agent", share.agent)} for share in made.shares],
        "unread": max(0, int(found.events) - len(made.events)),
        "session_url": f"{reverse('traces', kwargs=where)}?{urlencode({'session': found.session})}",
        "events_url": f"{reverse('events', kwargs=where)}?{urlencode(_days(found, zone) | {'trace': trace_id})}",
    }
    return render(request, "analytics/trace.html", context)


def _days(trace: Trace, zone: ZoneInfo) -> dict[str, str]:
    return {
        "start": trace.first_at.astimezone(zone).date().isoformat(),
        "end": trace.last_at.astimezone(zone).date().isoformat(),
    }


def _line(line: Line, event_path: str, zone: ZoneInfo) -> dict[str, Any]:
    call = line.node.call
    of_call: dict[str, Any] = {}
    if call is not None:
        of_call = {
            "url": f"{event_path}?{urlencode({'at': call.time.isoformat(), 'id': call.id})}",
            "time": call.time.astimezone(zone),
        }
    return of_call | {
        "line": line,
        "node": line.node,
        "call": call,
        "below": line.node.calls - (call is not None),
        "closes": range(line.closes),
    }
