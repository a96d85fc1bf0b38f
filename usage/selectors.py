"""Every read of spend. Dashboards and the API read rollups; raw events only where single events are shown.

All of it runs inside the organization's scope. Amounts are nano-USD as `int`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from tenants.models import Team
from tenants.tree import subtree_ids
from usage.rollup import HOUR
from usage.tables import MEASURES


class Interval(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Dimension(StrEnum):
    PROVIDER = "provider"
    MODEL = "model"
    TEAM = "team"
    VIRTUAL_KEY = "virtual_key"


_CUBE_COLUMN = {
    Dimension.PROVIDER: "provider",
    Dimension.MODEL: "model",
    Dimension.TEAM: "team_id",
    Dimension.VIRTUAL_KEY: "virtual_key_id",
}


@dataclass(frozen=True, slots=True)
class Spend:
    """Sums of a group in an interval. Token counts as the API means them: input includes cached, output reasoning."""

    events: int = 0
    requests: int = 0
    errors: int = 0
    unpriced_requests: int = 0
    list_cost: int = 0
    cost: int = 0
    input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SpendRow:
    """`start` is the UTC start of the interval, None without one; `group` is in the order asked for, ids as text."""

    start: datetime | None
    group: Mapping[Dimension, str]
    spend: Spend


@dataclass(frozen=True, slots=True)
class SpendQuery:
    """[start, end) in UTC. A team in `filters` means that team alone; name its subtree to mean all of it."""

    organization_id: int
    start: datetime
    end: datetime
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    interval: Interval | None = None
    group_by: tuple[Dimension, ...] = ()
    filters: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)


def spend(query: SpendQuery) -> list[SpendRow]:
    """The rows of a query, by interval and then by cost, highest first."""
    source, groups, where, parameters = _source(query)
    start = "NULL::timestamptz"
    if query.interval is not None:
        # Truncated in local time and brought back, so that days of 23 and 25 hours are one day each.
        start = "date_trunc(%(interval)s, bucket AT TIME ZONE %(zone)s) AT TIME ZONE %(zone)s"
        parameters |= {"interval": query.interval.value, "zone": query.zone.key}
    columns = "".join(f", {group}::text" for group in groups)
    sums = ", ".join(f"sum({name})" for name in MEASURES)
    positions = ", ".join(str(number + 1) for number in range(1 + len(groups)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {start}{columns}, {sums} FROM {source} WHERE organization_id = %(organization)s"
            f" AND bucket >= %(start)s AND bucket < %(end)s{where} GROUP BY {positions}"
            f" ORDER BY 1, sum(cost) DESC, {positions}",
            parameters,
        )
        return [_row(query.group_by, row) for row in cursor.fetchall()]


def total(query: SpendQuery) -> Spend:
    """The sums of everything in the query's range and filters."""
    rows = spend(SpendQuery(query.organization_id, query.start, query.end, query.zone, filters=query.filters))
    return rows[0].spend if rows else Spend()


def _source(query: SpendQuery) -> tuple[str, list[str], str, dict[str, Any]]:
    """The smallest rollup that can answer: one dimension alone has its own, several need the cube."""
    used = {*query.group_by, *query.filters}
    parameters: dict[str, Any] = {"organization": query.organization_id, "start": query.start, "end": query.end}
    if len(used) > 1:
        where = ""
        for dimension, values in query.filters.items():
            column = _CUBE_COLUMN[dimension]
            where += f" AND {column}::text = ANY(%({column})s)"
            parameters[column] = list(values)
        return "usage_cube", [_CUBE_COLUMN[dimension] for dimension in query.group_by], where, parameters
    where = " AND dimension = %(dimension)s"
    parameters["dimension"] = next((dimension.value for dimension in used), "total")
    for values in query.filters.values():
        where += " AND value = ANY(%(values)s)"
        parameters["values"] = list(values)
    return "usage_rollup", ["value"] * len(query.group_by), where, parameters


def _row(group_by: Sequence[Dimension], row: Sequence[Any]) -> SpendRow:
    values = row[1 : 1 + len(group_by)]
    sums = [int(value or 0) for value in row[1 + len(group_by) :]]
    return SpendRow(row[0], dict(zip(group_by, values, strict=True)), Spend(*sums))


@dataclass(frozen=True, slots=True)
class ScopeSums:
    cost: int
    requests: int
    unpriced_requests: int


def scope_sums(
    *,
    organization_id: int,
    start: datetime,
    end: datetime,
    team_id: int | None = None,
    virtual_key_id: int | None = None,
) -> ScopeSums:
    """What an organization, a team with all below it, or a key used in [start, end), to the instant.

    Whole hours come from the cube, the ragged ends from the events.
    """
    where, parameters = "", {"organization": organization_id}
    if team_id is not None:
        parents = dict(Team.objects.filter(organization_id=organization_id).values_list("id", "parent_id"))
        where = " AND team_id = ANY(%(teams)s)"
        parameters["teams"] = sorted(subtree_ids(parents, [team_id]))  # type: ignore[assignment]
    if virtual_key_id is not None:
        where += " AND virtual_key_id = %(key)s"
        parameters["key"] = virtual_key_id
    first, last = _hour_from(start), end.replace(minute=0, second=0, microsecond=0)
    if first >= last:
        first = last = end
    parameters |= {"start": start, "first": first, "last": last, "end": end}  # type: ignore[dict-item]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(cost), 0), coalesce(sum(requests), 0), coalesce(sum(unpriced), 0) FROM ("
            " SELECT cost, requests, unpriced_requests AS unpriced FROM usage_cube"
            f" WHERE organization_id = %(organization)s AND bucket >= %(first)s AND bucket < %(last)s{where}"
            " UNION ALL"
            " SELECT cost, requests, CASE WHEN cost IS NULL THEN requests ELSE 0 END FROM usage_event"
            " WHERE organization_id = %(organization)s AND ((time >= %(start)s AND time < %(first)s)"
            f" OR (time >= %(last)s AND time < %(end)s)){where}) AS part",
            parameters,
        )
        return ScopeSums(*(int(value) for value in cursor.fetchone()))


def _hour_from(instant: datetime) -> datetime:
    """The first whole hour that is not before the instant."""
    floor = instant.replace(minute=0, second=0, microsecond=0)
    return floor if floor == instant else floor + HOUR


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """Usage that has no price, by what was reported."""

    provider: str
    model: str
    reason: str
    requests: int
    input_tokens: int
    output_tokens: int
    first_seen: datetime
    last_seen: datetime


def unpriced_models(*, organization_id: int, start: datetime, end: datetime) -> list[UnpricedModel]:
    """Models with usage that could not be priced in [start, end), most requests first.

    Which models is read from the rollup; the reason and the names as reported are in the events of those models.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reported_provider, reported_model, unpriced_reason, sum(requests),"
            " sum(uncached_input + cache_read + cache_write_5m + cache_write_1h + input_audio),"
            " sum(output + reasoning_output + output_audio), min(time), max(time) FROM usage_event"
            " WHERE organization_id = %(organization)s AND time >= %(start)s AND time < %(end)s AND cost IS NULL"
            " AND model = ANY(ARRAY(SELECT DISTINCT value FROM usage_rollup WHERE organization_id = %(organization)s"
            "  AND dimension = 'model' AND bucket >= %(start)s - interval '1 hour' AND bucket < %(end)s"
            "  AND unpriced_requests > 0))"
            " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3",
            {"organization": organization_id, "start": start, "end": end},
        )
        return [
            UnpricedModel(provider, model, reason, int(requests), int(into or 0), int(out or 0), first, last)
            for provider, model, reason, requests, into, out, first, last in cursor.fetchall()
        ]
