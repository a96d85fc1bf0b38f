"""Counters of coding agents: billed where their resource says `costhub.usage_from=metrics`, else ignored.

Token convention: each agent's own (`agents`). The data points of one interval and one set of attributes, which differ
in `type` only, become one event of usage without a count of requests, for a counter does not know it. Only deltas are
read: what a cumulative counter adds depends on what came before it, and a retry or restart would be billed wrongly.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.formats import foreign
from ingest.formats.foreign import Unreadable
from ingest.formats.otlp import common, wire
from ingest.formats.otlp.agents import BY_COST_METRIC, BY_METRIC, Agent
from ingest.formats.otlp.common import Found
from ingest.formats.otlp.wire import Record, Value

_DELTA = frozenset({1, "AGGREGATION_TEMPORALITY_DELTA"})


@dataclass(slots=True)
class _Interval:
    """What one agent used in one interval under one set of attributes."""

    agent: Agent
    said: dict[str, Value]
    start: int
    end: int
    pointer: str
    counts: dict[str, int] = field(default_factory=dict)
    cost: str | None = None


def read(media_type: str, body: bytes) -> Found:
    """The usage of a request. Problem 400 or 422 when it is none."""
    intervals: dict[Any, _Interval] = {}
    found = Found()
    for record in wire.records(wire.METRICS, media_type, body):
        agent = BY_METRIC.get(record.message.name or "") or BY_COST_METRIC.get(record.message.name or "")
        total = wire.sum_of(record.message)
        if agent is None or total is None:
            continue
        points = total.data_points or ()
        if record.resource.get(common.USAGE_FROM) != "metrics":
            found.elsewhere += len(points)
        elif total.aggregation_temporality not in _DELTA:
            fault = Unreadable("invalid", "must have delta temporality").at(record.pointer)
            found.faults += [fault] * len(points)
        else:
            _add(agent, record, points, intervals, found)
    for interval in intervals.values():
        if interval.counts:
            _bill(interval, found)
    return found


def _bill(interval: _Interval, found: Found) -> None:
    try:
        found.events.append(_event(interval))
        found.pointers.append(interval.pointer)
    except Unreadable as error:
        found.faults.append(error.at(interval.pointer))


def _add(agent: Agent, record: Record, points: Any, intervals: dict[Any, _Interval], found: Found) -> None:
    for point, at in _numbered(points, record.pointer):
        own = wire.attributes(point)
        kind = own.pop("type", None)
        start, end = wire.nanoseconds(point.start_time_unix_nano), wire.nanoseconds(point.time_unix_nano)
        said = record.resource | own
        key = (agent.name, tuple(sorted((name, str(value)) for name, value in said.items())), start, end)
        try:
            number = wire.number_of(point)
            if record.message.name == agent.cost_metric:
                cost = foreign.cost(number)
                intervals.setdefault(key, _Interval(agent, said, start, end, at)).cost = cost
            elif agent.types and (part := agent.types.get(str(kind))):
                counted = foreign.count(number)
                interval = intervals.setdefault(key, _Interval(agent, said, start, end, at))
                interval.counts[part] = interval.counts.get(part, 0) + counted
            else:
                raise Unreadable("invalid", "has no known type of tokens")
        except Unreadable as error:
            found.faults.append(error.at(at))


def _numbered(points: Any, pointer: str) -> Iterator[tuple[Any, str]]:
    for index, point in enumerate(points):
        yield point, f"{pointer}/sum/dataPoints/{index}"


def _event(interval: _Interval) -> dict[str, Any]:
    said, agent = interval.said, interval.agent
    identity = sorted((name, str(value)) for name, value in said.items())
    event = common.attribution(said, (("effort", said.get("effort")), ("subagent", said.get("agent.name")))) | {
        # The parts belong to it: a collector may send the points of one interval in two requests.
        "id": f"{agent.name}-metrics:{foreign.digest(identity, interval.start, interval.end, sorted(interval.counts))}",
        "time": wire.moment_of(interval.end),
        "provider": agent.provider,
        "model": common.first_label(said, "model") or foreign.UNKNOWN,
        "cost": interval.cost,
        "agent": agent.name,
    }
    event["feature"] = event["feature"] or common.first_label(said, "query_source")
    return foreign.compact(event) | {"usage": agent.usage(interval.counts) | {"requests": 0}}
