"""Single events by what they belong to, and traces as a whole. Runs inside the organization's scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from usage.dimensions import COLUMNS, TAG_PREFIX
from usage.models import Trace, UsageEvent


def having(dimension: str, values: Sequence[str]) -> Q:
    """Events whose dimension (a name of `usage.dimensions.COLUMNS`, or "tag." and a name) has one of the values."""
    if dimension.startswith(TAG_PREFIX):
        name, found = dimension.removeprefix(TAG_PREFIX), Q()
        for value in values:
            found |= Q(tags__contains={name: value})
        return found
    return Q(**{f"{COLUMNS[dimension]}__in": list(values)})


def of_trace(organization_id: int, trace_id: str) -> Q:
    """Events of a trace, with the time it took beside its id, so that only its months are looked through."""
    trace = trace_find(organization_id, trace_id)
    if trace is None:
        return Q(time__in=[])
    return Q(trace_id=trace_id, time__gte=trace.first_at, time__lte=trace.last_at)


# A trace of more calls than this is shown by its first ones; its sums count all of them.
MAX_CALLS = 10_000
TraceOrder = Literal["newest", "dearest"]
Place = tuple[datetime | int, str]  # last call or cost, and id: where a page of traces ended


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Traces whose last call is in [start, end); empty texts do not filter.

    An agent is looked for among the events of each trace, the others are columns of the trace.
    """

    organization_id: int
    start: datetime
    end: datetime
    session: str = ""
    customer: str = ""
    user: str = ""
    agent: str = ""


def traces(query: TraceQuery, *, order: TraceOrder, limit: int, after: Place | None = None) -> list[Trace]:
    """At most `limit` traces, the newest or the dearest first."""
    column = "last_at" if order == "newest" else "cost"
    found = _matching(query)
    if after is not None:
        place, trace_id = after
        found = found.filter(Q(**{f"{column}__lt": place}) | Q(**{column: place}, trace_id__lt=trace_id))
    return list(found.order_by(f"-{column}", "-trace_id")[:limit])


@dataclass(frozen=True, slots=True)
class TraceSums:
    """Of several traces; cost in nano-USD."""

    traces: int
    events: int
    cost: int


def traces_total(query: TraceQuery) -> TraceSums:
    sums = _matching(query).aggregate(traces=Count("trace_id"), events=Sum("events"), cost=Sum("cost"))
    return TraceSums(sums["traces"], int(sums["events"] or 0), int(sums["cost"] or 0))


def _matching(query: TraceQuery) -> QuerySet[Trace]:
    found = Trace.objects.filter(organization_id=query.organization_id, last_at__gte=query.start, last_at__lt=query.end)
    columns = {"session": query.session, "customer": query.customer, "end_user": query.user}
    found = found.filter(**{name: value for name, value in columns.items() if value})
    if query.agent:
        found = found.filter(
            Exists(
                UsageEvent.objects.filter(
                    organization_id=query.organization_id,
                    trace_id=OuterRef("trace_id"),
                    time__gte=OuterRef("first_at"),
                    time__lte=OuterRef("last_at"),
                    agent=query.agent,
                ).values("event_id")
            )
        )
    return found


def trace_find(organization_id: int, trace_id: str) -> Trace | None:
    return Trace.objects.filter(organization_id=organization_id, trace_id=trace_id).first()


def trace_events(trace: Trace) -> list[UsageEvent]:
    """The first calls of a trace, by time, at most MAX_CALLS."""
    found = UsageEvent.objects.filter(
        organization_id=trace.organization_id,
        trace_id=trace.trace_id,
        time__gte=trace.first_at,
        time__lte=trace.last_at,
    )
    return list(found.only(*_OF_CALLS).order_by("time", "event_id")[:MAX_CALLS])


# A trace has thousands of calls; what they were tagged with and priced by is no part of its tree.
_OF_CALLS = (
    "time", "event_id", "span_id", "parent_span_id", "provider", "model", "agent", "status", "cost", "requests",
    "latency_ms", "uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "output",
    "reasoning_output", "output_audio",
)  # fmt: skip
