"""Proof that every sum says what the postings (events and adjustments) say, and repair where one does not.

Month by month of the organization's zone, so that the work of a large organization is cut into pieces that fit. Where
events were dropped (`usage.retention`), from the first local month on that is whole: what the sums say of earlier ones
can neither be proved nor made anew, and stays.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

from common.periods import Period, PeriodKind, period_at
from tenants.models import Organization
from usage.dimensions import BOUNDED, COLUMNS, TAG, TAG_PREFIX, Value
from usage.locks import lock_organization
from usage.models import ClosedMonth
from usage.retention import first_kept
from usage.store import Cut
from usage.sums import TABLES, SumTable, adding, steps
from usage.values import admit

_ALL = "SELECT * FROM usage_posting WHERE organization_id = %(organization)s"
_IN_MONTH = f"{_ALL} AND at >= %(start)s AND at < %(end)s"
_WITHIN = {
    "bucket": "bucket >= %(start)s AND bucket < %(end)s",
    "day": "day >= (%(start)s AT TIME ZONE %(zone)s::text)::date AND day < (%(end)s AT TIME ZONE %(zone)s::text)::date",
}
# A trace knows no month; one that began before the first event that is kept cannot be proved.
_TRACE_PROVABLE = "first_at >= %(first)s"


def differences(organization_id: int, *, limit: int = 20) -> list[str]:
    """What is in a table of sums and not in the postings or the other way round, as sentences; empty when all is equal.

    Holds the settling lock, so that no batch arrives in between. Call inside the organization's scope.
    """
    lock_organization(organization_id)
    parameters = _parameters(organization_id) | {"limit": limit}
    found = []
    for month in _months(organization_id, parameters):
        within = parameters | {"start": month.start, "end": month.end}
        for table in TABLES:
            if _unit(table) is not None:
                found += _compared(table, _IN_MONTH, f" AND {_WITHIN[_unit(table) or '']}", within)
    for table in TABLES:
        if _unit(table) is None:
            found += _compared(table, _ALL, f" AND {_TRACE_PROVABLE}", parameters)
    return found + _closed_differences(organization_id)


def _unit(table: SumTable) -> str | None:
    """The column that says when, bucket or day; None for a table that knows no time."""
    return next((name for name in _WITHIN if name in table.key), None)


def _compared(table: SumTable, postings: str, within: str, parameters: dict[str, Any]) -> list[str]:
    kept = f"SELECT {table.columns} FROM {table.name} WHERE organization_id = %(organization)s{within}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH posting AS ({postings}), {steps(bounded=True)}, expected AS ({_provable_rows(table)})"
            f" (SELECT '{table.name} has', d.* FROM ({kept} EXCEPT SELECT * FROM expected) AS d LIMIT %(limit)s)"
            f" UNION ALL (SELECT 'postings make', d.* FROM (SELECT * FROM expected EXCEPT {kept}) AS d"
            " LIMIT %(limit)s)",
            parameters,
        )
        return [" ".join(map(str, row)) for row in cursor.fetchall()]


def _provable_rows(table: SumTable) -> str:
    if _unit(table) is not None:
        return table.rows
    return (
        f"{table.rows} WHERE trace_id NOT IN (SELECT trace_id FROM {table.name}"
        f" WHERE organization_id = %(organization)s AND NOT {_TRACE_PROVABLE})"
    )


def _closed_differences(organization_id: int) -> list[str]:
    """Closed months whose sums are no longer what was signed."""
    names = ("events", "requests", "unpriced_requests", "list_cost", "cost")
    found = []
    for month in ClosedMonth.objects.filter(organization_id=organization_id).order_by("starts_at"):
        signed = tuple(int(getattr(month, name)) for name in names)
        sums = month_sums(organization_id, month.starts_at, month.ends_at)
        if sums != signed:
            found.append(f"the month closed from {month.starts_at.isoformat()} was signed as {signed} and is {sums}")
    return found


def month_sums(organization_id: int, start: datetime, end: datetime) -> tuple[int, ...]:
    """Events, requests, unpriced requests, list cost and cost (nano-USD) of [start, end), from the rollups."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(events), 0), coalesce(sum(requests), 0), coalesce(sum(unpriced_requests), 0),"
            " coalesce(sum(list_cost), 0), coalesce(sum(cost), 0) FROM usage_rollup WHERE organization_id = %s"
            " AND dimension = 'total' AND bucket >= %s AND bucket < %s",
            [organization_id, start, end],
        )
        return tuple(int(value) for value in cursor.fetchone())


def rebuild(organization_id: int) -> None:
    """Makes every sum anew from the postings, at the grain and days of the organization's zone.

    Holds the settling lock.
    """
    lock_organization(organization_id)
    parameters = _parameters(organization_id)
    months = list(_months(organization_id, parameters))
    admit(organization_id, set(_values(organization_id)))
    with connection.cursor() as cursor:
        cursor.execute(_UNPROVABLE_TRACES, parameters)
        (traces,) = cursor.fetchone()
        for table in TABLES:
            cursor.execute(
                f"DELETE FROM {table.name} WHERE organization_id = %(organization)s AND {_SINCE[_unit(table)]}",
                parameters,
            )
        for month in months:
            cursor.execute(
                f"WITH posting AS ({_IN_MONTH}), {adding(bounded=True)}",
                parameters | {"start": month.start, "end": month.end},
            )
        # Their later part was added once more.
        cursor.execute(
            "DELETE FROM usage_trace WHERE organization_id = %(organization)s AND trace_id IN"
            " (SELECT trace_id FROM jsonb_populate_recordset(NULL::usage_trace, %(traces)s::jsonb))",
            parameters | {"traces": traces},
        )
        cursor.execute(
            "INSERT INTO usage_trace SELECT * FROM jsonb_populate_recordset(NULL::usage_trace, %(traces)s::jsonb)",
            parameters | {"traces": traces},
        )


# What a repair makes anew: everything that can be proved.
_SINCE = {
    "bucket": "bucket >= %(first)s",
    "day": "day >= (%(first)s AT TIME ZONE %(zone)s::text)::date",
    None: _TRACE_PROVABLE,
}
_UNPROVABLE_TRACES = (
    "SELECT coalesce(jsonb_agg(trace), '[]')::text FROM usage_trace AS trace"
    " WHERE organization_id = %(organization)s AND first_at < %(first)s AND last_at >= %(first)s"
)


def _parameters(organization_id: int) -> dict[str, Any]:
    zone = Organization.objects.get(id=organization_id).timezone
    first = first_provable(ZoneInfo(zone))
    return {"organization": organization_id, "first": first, **Cut.of(zone, timezone.now()).parameters}


def first_provable(zone: ZoneInfo) -> datetime:
    """The start of the first month of this zone all of whose events are kept."""
    first = first_kept()
    month = period_at(PeriodKind.MONTH, first, zone)
    return first if month.start == first else month.end


def _months(organization_id: int, parameters: dict[str, Any]) -> Iterator[Period]:
    """The local months from the first posting or sum to the last."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT least(p.first, r.first), greatest(p.last, r.last) FROM"
            f" (SELECT min(at) AS first, max(at) AS last FROM ({_ALL}) AS posting) AS p,"
            " (SELECT min(bucket) AS first, max(bucket) AS last FROM usage_rollup"
            " WHERE organization_id = %(organization)s) AS r",
            parameters,
        )
        at, last = cursor.fetchone()
    at = at and max(at, parameters["first"])
    while at is not None and at <= last:
        month = period_at(PeriodKind.MONTH, at, ZoneInfo(parameters["zone"]))
        yield month
        at = month.end


def _values(organization_id: int) -> Iterator[Value]:
    """Every bounded value that the postings name, by month of UTC."""
    columns = ", ".join(f"('{dimension}', {COLUMNS[dimension]})" for dimension in BOUNDED)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT named.dimension, date_trunc('month', at AT TIME ZONE 'UTC')::date, named.value"
            f" FROM ({_ALL}) AS posting, LATERAL (VALUES {columns}) AS named (dimension, value) WHERE named.value <> ''"
            f" UNION SELECT '{TAG}', date_trunc('month', at AT TIME ZONE 'UTC')::date, tag.key"
            f" FROM ({_ALL}) AS posting, jsonb_each_text(tags) AS tag"
            f" UNION SELECT '{TAG_PREFIX}' || tag.key, date_trunc('month', at AT TIME ZONE 'UTC')::date, tag.value"
            f" FROM ({_ALL}) AS posting, jsonb_each_text(tags) AS tag WHERE tag.value <> ''",
            {"organization": organization_id},
        )
        yield from cursor.fetchall()
