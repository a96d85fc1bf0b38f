"""Traces and agents as pages and the API tell of them: what the store has, put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from analytics.figures import Compared
from analytics.tree import FAILED, AgentShare, Call, Line, Node, agent_shares, lines, tree_of
from common.api import decode_cursor, encode_cursor
from usage.models import Trace, UsageEvent
from usage.present import key_of, present_costs
from usage.questions import Dimension
from usage.selectors import SpendQuery, spend
from usage.traces import Place, TraceOrder, trace_events

MAX_LINES = 150  # nodes of a trace that are printed
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TraceTree:
    """What a trace is made of. `cost` and `wasted` in nano-USD, of the calls that were read.

    `hidden` calls are not among the lines: their cost is in the sums above them.
    """

    events: list[UsageEvent]
    roots: list[Node]
    lines: list[Line]
    shares: list[AgentShare]
    cost: int
    wasted: int
    hidden: int


def trace_tree(trace: Trace, most: int = MAX_LINES) -> TraceTree:
    """The tree of a trace, with what its calls cost today and at most so many lines; two queries."""
    events = trace_events(trace)
    present = present_costs(trace.organization_id, events)
    calls = [call_of(event, present[key_of(event)].cost) for event in events]
    roots = tree_of(calls)
    printed = lines(roots, most)
    shares = agent_shares(calls)
    return TraceTree(
        events=events,
        roots=roots,
        lines=printed,
        shares=shares,
        cost=sum(share.cost for share in shares),
        wasted=sum(share.wasted for share in shares),
        hidden=len(calls) - sum(line.node.call is not None for line in printed),
    )


def call_of(event: UsageEvent, cost: int | None) -> Call:
    return Call(
        id=event.event_id,
        time=event.time,
        span_id=event.span_id,
        parent_span_id=event.parent_span_id,
        provider=event.provider,
        model=event.model,
        agent=event.agent,
        status=event.status,
        cost=cost,
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        latency_ms=event.latency_ms,
    )


@dataclass(frozen=True, slots=True)
class AgentSpend:
    """An agent in a range and before; `failed_cost` in nano-USD was spent on calls that failed or were cancelled."""

    agent: str
    compared: Compared
    failed_cost: int


def failed_costs(*, organization_id: int, start: datetime, end: datetime) -> dict[str, int]:
    """By agent: nano-USD spent on calls that ended in an error or were cancelled, in whole local days."""
    query = SpendQuery(
        organization_id,
        start,
        end,
        group_by=(Dimension.AGENT,),
        filters={Dimension.STATUS.value: sorted(FAILED)},
    )
    return {row.group[Dimension.AGENT]: row.spend.cost for row in spend(query)}


def place_text(trace: Trace, order: TraceOrder) -> str:
    """Where a page of traces ended."""
    if order == "dearest":
        return encode_cursor(order, str(int(trace.cost)), trace.trace_id)
    return encode_cursor(order, str((trace.last_at - _EPOCH) // _MICROSECOND), trace.trace_id)


def place_at(cursor: str, order: TraceOrder) -> Place:
    """The place that `place_text` wrote; ValueError for anything else, Problem for what is no cursor at all."""
    written, number, trace_id = decode_cursor(cursor, (str, str, str))
    if written != order or not trace_id.isprintable() or len(number) > MAX_DIGITS:
        raise ValueError(cursor)
    if order == "dearest":
        return int(number), trace_id
    try:
        return _EPOCH + int(number) * _MICROSECOND, trace_id
    except OverflowError as error:
        raise ValueError(cursor) from error


MAX_DIGITS = 30


def page_of_traces(found: Sequence[Trace], limit: int, order: TraceOrder) -> tuple[list[Trace], str]:
    """At most `limit` of the `limit + 1` that were asked for, and where to go on ("" at the end)."""
    shown = list(found[:limit])
    return shown, place_text(shown[-1], order) if len(found) > limit else ""
