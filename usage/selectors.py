"""Every read of spend. Dashboards and the API read rollups; raw events only where single events are shown.

All of it runs inside the organization's scope. Amounts are nano-USD as `int`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from tenants.models import Organization
from usage.dimensions import TAG_PREFIX
from usage.questions import Interval, Question, Span, spans_of
from usage.tables import MEASURES


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
    group: Mapping[str, str]
    spend: Spend


@dataclass(frozen=True, slots=True)
class SpendQuery:
    """[start, end) in UTC. A team in `filters` means that team alone; name its subtree to mean all of it.

    Intervals are cut in `zone`; one that is not the organization's is answered from hours.
    """

    organization_id: int
    start: datetime
    end: datetime
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    interval: Interval | None = None
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # The organization's zone, where the caller knows it already; else it is looked up.
    home: ZoneInfo | None = None

    @property
    def used(self) -> frozenset[str]:
        return frozenset((*self.group_by, *self.filters))


class TooManyRowsError(Exception):
    """The answer has more rows than the caller takes."""


def spend(query: SpendQuery, *, at_most: int | None = None) -> list[SpendRow]:
    """The rows of a query, by interval and then by cost, highest first.

    UnanswerableError when the sums that are kept cannot answer it exactly (`usage.questions`), TooManyRowsError when
    there are more rows than `at_most`. Grouped by a tag, what does not have it stands under "".
    """
    rows = _spend(query, at_most=at_most)
    only_tag = len(query.used) == 1 and len(query.group_by) == 1 and query.group_by[0].startswith(TAG_PREFIX)
    return _with_untagged(query, rows) if only_tag and not query.filters else rows


def _spend(query: SpendQuery, *, at_most: int | None = None) -> list[SpendRow]:
    home = query.home or _home(query.organization_id)
    source, spans = spans_of(Question(query.start, query.end, query.zone, query.interval, query.used, home))
    parameters: dict[str, Any] = {"organization": query.organization_id, "zone": query.zone.key}
    where = "organization_id = %(organization)s"
    if source.dimension is not None:
        where += " AND dimension = %(dimension)s"
        parameters["dimension"] = source.dimension
    for number, (dimension, values) in enumerate(query.filters.items()):
        where += f" AND {source.column(dimension)} = ANY(%(values{number})s)"
        parameters[f"values{number}"] = list(values)
    groups = "".join(f", {source.column(dimension)} AS group{n}" for n, dimension in enumerate(query.group_by))
    parts = []
    for number, span in enumerate(spans):
        within, bounds = _within(span, number)
        parameters |= bounds
        start = _start(query.interval, by_day=span.first is not None)
        parts.append(f"SELECT {start} AS start{groups}, {_NAMES} FROM {span.table} WHERE {where}{within}")
    positions = ", ".join(str(number + 1) for number in range(1 + len(query.group_by)))
    named = "".join(f", group{n}" for n in range(len(query.group_by)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT start{named}, {_SUMS} FROM ({' UNION ALL '.join(parts)}) AS part GROUP BY {positions}"
            f" ORDER BY 1, sum(cost) DESC, {positions}{'' if at_most is None else f' LIMIT {at_most + 1}'}",
            parameters,
        )
        rows = cursor.fetchall()
    if at_most is not None and len(rows) > at_most:
        raise TooManyRowsError
    return [_row(query.group_by, row) for row in rows]


def spend_by_each(query: SpendQuery, dimensions: Sequence[str]) -> dict[str, list[SpendRow]]:
    """The rows of a query without groups and filters, by each of the dimensions alone; one statement for all of them.

    None of them may be a tag or kept by the day only.
    """
    home = query.home or _home(query.organization_id)
    # Their sums are in the same tables and differ by the name of the dimension.
    asked = Question(query.start, query.end, query.zone, query.interval, frozenset(dimensions[:1]), home)
    parameters: dict[str, Any] = {"organization": query.organization_id, "dimensions": list(dimensions)}
    parts = []
    for number, span in enumerate(spans_of(asked)[1]):
        within, bounds = _within(span, number)
        parameters |= bounds
        parts.append(
            f"SELECT dimension, value, {_NAMES} FROM {span.table}"
            f" WHERE organization_id = %(organization)s AND dimension = ANY(%(dimensions)s){within}"
        )
    found: dict[str, list[SpendRow]] = {dimension: [] for dimension in dimensions}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT dimension, NULL::timestamptz, value, {_SUMS} FROM ({' UNION ALL '.join(parts)}) AS part"
            " GROUP BY dimension, value ORDER BY sum(cost) DESC, value",
            parameters,
        )
        for dimension, *row in cursor.fetchall():
            found[dimension].append(_row((dimension,), row))
    return found


def _home(organization_id: int) -> ZoneInfo:
    """The organization's zone, in whose days sums are kept."""
    return ZoneInfo(Organization.objects.values_list("timezone", flat=True).get(id=organization_id))


_NAMES = ", ".join(MEASURES)
_SUMS = ", ".join(f"sum({name})" for name in MEASURES)


def _within(span: Span, number: int) -> tuple[str, dict[str, Any]]:
    """The part of the range as SQL; `number` keeps the names of its parameters apart."""
    column, start, end = ("day", span.first, span.last) if span.first else ("bucket", span.start, span.end)
    return (
        f" AND {column} >= %(start{number})s AND {column} < %(end{number})s",
        {f"start{number}": start, f"end{number}": end},
    )


def _start(interval: Interval | None, *, by_day: bool) -> str:
    """The start of the interval that a row belongs to. Truncated in local time and brought back, so that days of 23
    and 25 hours are one day each."""
    if interval is None:
        return "NULL::timestamptz"
    local = "day::timestamp" if by_day else "bucket AT TIME ZONE %(zone)s"
    return f"date_trunc('{interval.value}', {local}) AT TIME ZONE %(zone)s"


def _with_untagged(query: SpendQuery, rows: list[SpendRow]) -> list[SpendRow]:
    """The rows with what has no such tag, or an empty one, under "": all that the other values do not have."""
    named = [row for row in rows if row.group[query.group_by[0]]]
    tagged: dict[datetime | None, list[int]] = {}
    for row in named:
        sums = tagged.setdefault(row.start, [0] * len(MEASURES))
        for index, value in enumerate(astuple(row.spend)):
            sums[index] += value
    rest = []
    for row in _spend(replace(query, group_by=())):
        left = [all_ - some for all_, some in zip(astuple(row.spend), tagged.get(row.start, _NOTHING), strict=True)]
        if any(left):
            rest.append(SpendRow(row.start, {query.group_by[0]: ""}, Spend(*left)))
    return sorted([*named, *rest], key=lambda row: (row.start or _EPOCH, -row.spend.cost, *row.group.values()))


_NOTHING = [0] * len(MEASURES)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def total(query: SpendQuery) -> Spend:
    """The sums of everything in the query's range and filters."""
    rows = _spend(replace(query, interval=None, group_by=()))
    return rows[0].spend if rows else Spend()


def _row(group_by: Sequence[str], row: Sequence[Any]) -> SpendRow:
    values = row[1 : 1 + len(group_by)]
    sums = [int(value or 0) for value in row[1 + len(group_by) :]]
    return SpendRow(row[0], dict(zip(group_by, values, strict=True)), Spend(*sums))


def stored_events(*, organization_id: int, keys: Sequence[tuple[datetime, str]]) -> set[tuple[datetime, str]]:
    """Which of the events of these times and ids are stored."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT time, event_id FROM usage_event"
            " JOIN unnest(%s::timestamptz[], %s::text[]) AS asked (at, id) ON time = at AND event_id = id"
            " WHERE organization_id = %s",
            [[at for at, _ in keys], [event_id for _, event_id in keys], organization_id],
        )
        return set(cursor.fetchall())
