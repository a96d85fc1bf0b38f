"""Reads of stored events as they stand, with what was booked for them since. Inside the organization's scope."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.db import server_cursor
from corrections.rerate import Standing
from pricing.usage_buckets import BUCKETS, Buckets
from usage.tables import EVENT_MEASURES, MEASURES

# Bookings that a price made. A late event's own figures are booked as an adjustment too: they are the event's.
_PRICED = "a.kind IN ('reprice', 'undo', 'usage')"
# How often an event got a price, less how often it was taken back. Other counts note theirs only where one is known.
PRICES_GIVEN = (
    "count(*) FILTER (WHERE a.kind = 'reprice' OR a.kind = 'usage' AND coalesce(a.price_id, a.rule_id) IS NOT NULL)"
    " - count(*) FILTER (WHERE a.kind = 'undo')"
)


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
    found = _read(f" AND {_at_positions('time')}", _positions(organization_id, positions))
    return {(each.at, each.event_id): each for each in found}


def statuses_of(organization_id: int, positions: Sequence[Position]) -> dict[Position, str]:
    """The status that counts now, for those of the events whose status was changed since."""
    if not positions:
        return {}
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (event_time, event_id) event_time, event_id, status FROM corrections_reportedadjustment"
            f" WHERE organization_id = %(organization)s AND kind = 'status' AND {_at_positions('event_time')}"
            " ORDER BY event_time, event_id, id DESC",
            _positions(organization_id, positions),
        )
        return {(at, event_id): status for at, event_id, status in cursor.fetchall()}


def measures_of(organization_id: int, positions: Sequence[Position]) -> dict[Position, dict[str, dict[str, int]]]:
    """All that events and their adjustments add up to, refunds too: by event, then status, then measure."""
    own = ", ".join(f"{EVENT_MEASURES[name]} AS {name}" for name in MEASURES)
    with server_cursor() as cursor:
        cursor.execute(
            f"SELECT event_time, event_id, status, {', '.join(f'sum({name})' for name in MEASURES)} FROM ("
            f"SELECT time AS event_time, event_id, status, {own} FROM usage_event"
            f" WHERE organization_id = %(organization)s AND NOT late AND {_at_positions('time')} UNION ALL"
            f" SELECT event_time, event_id, status, {', '.join(MEASURES)} FROM usage_adjustment"
            f" WHERE organization_id = %(organization)s AND {_at_positions('event_time')}"
            ") AS posting GROUP BY 1, 2, 3",
            _positions(organization_id, positions),
        )
        found: dict[Position, dict[str, dict[str, int]]] = defaultdict(dict)
        for at, event_id, status, *sums in cursor.fetchall():
            found[at, event_id][status] = dict(zip(MEASURES, map(int, sums), strict=True))
        return found


def _at_positions(time: str) -> str:
    return (
        f"({time}, event_id) IN (SELECT * FROM unnest(%(times)s::timestamptz[], %(ids)s::text[]))"
        f" AND {time} >= %(first)s AND {time} <= %(last)s"
    )


def _positions(organization_id: int, positions: Sequence[Position]) -> dict[str, Any]:
    times = [at for at, _ in positions]
    return {
        "organization": organization_id,
        "times": times,
        "ids": [event_id for _, event_id in positions],
        "first": min(times),
        "last": max(times),
    }


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
    "time, event_id, team_id, virtual_key_id, provider, model, reported_provider, reported_model, service_tier,"
    " coalesce(moved.status, e.status), cache"
)
_BUCKETS = ", ".join(f"coalesce((recounted.usage->>'{bucket}')::bigint, e.{bucket})" for bucket in BUCKETS)


def _last_reported(kind: str, column: str) -> str:
    return (
        f"(SELECT {column} FROM corrections_reportedadjustment r WHERE r.organization_id = e.organization_id"
        f" AND r.event_time = e.time AND r.event_id = e.event_id AND r.kind = '{kind}' ORDER BY r.id DESC LIMIT 1)"
    )


def _read(where: str, parameters: dict[str, Any]) -> list[Standing]:
    """`where` continues the condition on the events; it may order and limit them."""
    with server_cursor() as cursor:
        cursor.execute(
            f"SELECT {_EVENT}, e.cost IS NULL AND booked.priced <= 0,"
            " CASE WHEN e.cost IS NULL THEN e.requests ELSE 0 END + booked.unpriced,"
            " coalesce(e.list_cost, 0) + booked.list_cost, coalesce(e.cost, 0) + booked.cost,"
            " e.customer, e.feature, e.agent, e.end_user, coalesce(e.tags, '{}'::jsonb),"
            f" {_BUCKETS}"
            f" FROM (SELECT * FROM usage_event WHERE organization_id = %(organization)s{where}) AS e"
            " CROSS JOIN LATERAL (SELECT"
            "  coalesce(sum(a.unpriced_requests) FILTER (WHERE a.kind <> 'late'), 0)::bigint AS unpriced,"
            f"  coalesce(sum(a.list_cost) FILTER (WHERE {_PRICED}), 0)::bigint AS list_cost,"
            f"  coalesce(sum(a.cost) FILTER (WHERE {_PRICED}), 0)::bigint AS cost,"
            f"  {PRICES_GIVEN} AS priced"
            "  FROM usage_adjustment a WHERE a.organization_id = e.organization_id AND a.event_time = e.time"
            "  AND a.event_id = e.event_id) AS booked"
            f" LEFT JOIN LATERAL {_last_reported('status', 'r.status')} AS moved ON true"
            f" LEFT JOIN LATERAL {_last_reported('usage', 'r.usage')} AS recounted ON true"
            " ORDER BY e.time, e.event_id",
            parameters,
            binary=True,
        )
        return [_standing(row) for row in cursor.fetchall()]


def _standing(row: tuple[Any, ...]) -> Standing:
    customer, feature, agent, user, tags = row[15:20]
    labels = {"model": row[5], "customer": customer, "feature": feature, "agent": agent, "user": user}
    ordered: tuple[Any, ...] = (*row[:11], Buckets(*row[20:]), *row[11:15], labels, tags)
    return Standing(*ordered)
