"""Reads of stored events as they stand, with what was booked for them since. Inside the organization's scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.db import server_cursor
from corrections.rerate import Standing
from pricing.usage_buckets import BUCKETS, Buckets

# Bookings that a price made. A late event's own figures are booked as an adjustment too: they are the event's.
_PRICED = "a.kind IN ('reprice', 'undo')"


@dataclass(frozen=True, slots=True)
class Scope:
    """[start, end); provider and model as reported or as in the price list, "" for any."""

    organization_id: int
    start: datetime
    end: datetime
    provider: str = ""
    model: str = ""
    unpriced_only: bool = False


Position = tuple[datetime, str]


def standing_after(scope: Scope, after: Position | None, limit: int) -> list[Standing]:
    """The next events of a scope by time and id."""
    where, parameters = _where(scope)
    if after is not None:
        where += " AND (time, event_id) > (%(after_at)s, %(after_id)s)"
        parameters |= {"after_at": after[0], "after_id": after[1]}
    return _read(f"{where} ORDER BY time, event_id LIMIT %(limit)s", parameters | {"limit": limit})


def standing_of(organization_id: int, positions: Sequence[Position]) -> dict[Position, Standing]:
    """The events at these times with these ids, as far as they are there."""
    where = (
        " AND (time, event_id) IN (SELECT * FROM unnest(%(times)s::timestamptz[], %(ids)s::text[]))"
        " AND time >= %(first)s AND time <= %(last)s"
    )
    times = [at for at, _ in positions]
    parameters = {
        "organization": organization_id,
        "times": times,
        "ids": [event_id for _, event_id in positions],
        "first": min(times),
        "last": max(times),
    }
    return {(each.at, each.event_id): each for each in _read(where, parameters)}


def _where(scope: Scope) -> tuple[str, dict[str, Any]]:
    where = " AND time >= %(start)s AND time < %(end)s"
    parameters: dict[str, Any] = {"organization": scope.organization_id, "start": scope.start, "end": scope.end}
    for name in ("provider", "model"):
        if wanted := getattr(scope, name):
            where += f" AND %({name})s IN (lower({name}), lower(reported_{name}))"
            parameters[name] = wanted.lower()
    if scope.unpriced_only:
        where += " AND cost IS NULL"
    return where, parameters


_EVENT = (
    "time, event_id, team_id, virtual_key_id, provider, model, reported_provider, reported_model, service_tier, status,"
    " cache"
)


def _read(where: str, parameters: dict[str, Any]) -> list[Standing]:
    """`where` continues the condition on the events; it may order and limit them."""
    with server_cursor() as cursor:
        cursor.execute(
            f"SELECT {_EVENT}, e.cost IS NULL AND CASE WHEN e.requests > 0 THEN e.requests + booked.unpriced > 0"
            " ELSE booked.priced <= 0 END, CASE WHEN e.cost IS NULL THEN e.requests ELSE 0 END + booked.unpriced,"
            " coalesce(e.list_cost, 0) + booked.list_cost, coalesce(e.cost, 0) + booked.cost,"
            f" {', '.join(f'e.{bucket}' for bucket in BUCKETS)}"
            f" FROM (SELECT * FROM usage_event WHERE organization_id = %(organization)s{where}) AS e"
            " CROSS JOIN LATERAL (SELECT"
            "  coalesce(sum(a.unpriced_requests) FILTER (WHERE a.kind <> 'late'), 0)::bigint AS unpriced,"
            f"  coalesce(sum(a.list_cost) FILTER (WHERE {_PRICED}), 0)::bigint AS list_cost,"
            f"  coalesce(sum(a.cost) FILTER (WHERE {_PRICED}), 0)::bigint AS cost,"
            "  count(*) FILTER (WHERE a.kind = 'reprice') - count(*) FILTER (WHERE a.kind = 'undo') AS priced"
            "  FROM usage_adjustment a WHERE a.organization_id = e.organization_id AND a.event_time = e.time"
            "  AND a.event_id = e.event_id) AS booked"
            " ORDER BY e.time, e.event_id",
            parameters,
            binary=True,
        )
        return [_standing(row) for row in cursor.fetchall()]


def _standing(row: tuple[Any, ...]) -> Standing:
    ordered: tuple[Any, ...] = (*row[:11], Buckets(*row[15:]), *row[11:15])
    return Standing(*ordered)
