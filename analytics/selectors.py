"""What the pages read. Dashboards read rollups only; single events are read where single events are shown.

All of it runs inside the organization's scope. Costs are nano-USD.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from analytics.charts import SpendPoint
from analytics.figures import Compared, Figures, Part
from analytics.ranges import Range
from usage.models import Rollup
from usage.selectors import Dimension

_COLUMN = {
    Dimension.PROVIDER: "provider",
    Dimension.MODEL: "model",
    Dimension.TEAM: "team_id",
    Dimension.VIRTUAL_KEY: "virtual_key_id",
}
_FIGURES = (
    "sum(cost), sum(requests), sum(errors), sum(unpriced_requests), sum(input_tokens), sum(cache_read_input_tokens)"
)
Filter = Mapping[Dimension, Sequence[str]]


def parts(*, organization_id: int, chosen: Range, filters: Filter) -> list[Part]:
    """The range and the days before, by team, key, provider and model: one query that answers every table of a page.

    Few rows come back (one per workload and model), and every total is a sum of them.
    """
    where, parameters = _where(organization_id, filters)
    parameters |= {
        "start": chosen.whole.start,
        "end": chosen.whole.end,
        "before": chosen.before.start,
        "before_end": chosen.before.end,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT team_id, virtual_key_id, provider, model, bucket >= %(start)s,"
            f" {_FIGURES} FROM usage_cube WHERE {where} AND bucket >= %(before)s AND bucket < %(end)s"
            " AND (bucket >= %(start)s OR bucket < %(before_end)s) GROUP BY 1, 2, 3, 4, 5",
            parameters,
        )
        rows = cursor.fetchall()
    return _joined(rows)


def _joined(rows: Sequence[Sequence[Any]]) -> list[Part]:
    found: dict[tuple[int, int, str, str], Part] = {}
    for team_id, key_id, provider, model, inside, *sums in rows:
        key = (team_id, key_id, provider, model)
        part = found.setdefault(key, Part(*key))
        figures = Figures(*map(int, sums))
        part.compared.add(Compared(now=figures) if inside else Compared(before=figures))
    return list(found.values())


def trend(
    *, organization_id: int, dimension: Dimension, starts: Sequence[datetime], end: datetime, filters: Filter
) -> list[SpendPoint]:
    """Spend by interval and value of the dimension; `starts` are the starts of the intervals, ascending."""
    if set(filters) <= {dimension}:
        where, parameters = _where_rollup(organization_id, dimension, filters)
        source, value = "usage_rollup", "value"
    else:
        where, parameters = _where(organization_id, filters)
        source, value = "usage_cube", f"{_COLUMN[dimension]}::text"
    parameters |= {"starts": list(starts), "start": starts[0], "end": end}
    with connection.cursor() as cursor:
        # Counting the starts that have passed is several times faster than local time in SQL, and days of 23 and 25
        # hours are cut where the range cuts them.
        cursor.execute(
            f"SELECT width_bucket(bucket, %(starts)s::timestamptz[]), {value}, sum(cost) FROM {source}"
            f" WHERE {where} AND bucket >= %(start)s AND bucket < %(end)s GROUP BY 1, 2",
            parameters,
        )
        return [SpendPoint(starts[number - 1], name, int(cost)) for number, name, cost in cursor.fetchall()]


def _where(organization_id: int, filters: Filter) -> tuple[str, dict[str, Any]]:
    where, parameters = "organization_id = %(organization)s", {"organization": organization_id}
    for dimension, values in filters.items():
        column = _COLUMN[dimension]
        kind = "bigint" if column.endswith("_id") else "text"
        where += f" AND {column} = ANY(%({column})s::{kind}[])"
        parameters[column] = list(values)  # type: ignore[assignment]
    return where, parameters


def _where_rollup(organization_id: int, dimension: Dimension, filters: Filter) -> tuple[str, dict[str, Any]]:
    where = "organization_id = %(organization)s AND dimension = %(dimension)s"
    parameters: dict[str, Any] = {"organization": organization_id, "dimension": dimension.value}
    if dimension in filters:
        where += " AND value = ANY(%(values)s)"
        parameters["values"] = list(filters[dimension])
    return where, parameters


def names_used(*, organization_id: int, start: datetime, end: datetime) -> dict[Dimension, list[str]]:
    """The providers and models with usage in [start, end), by name: what a filter can choose from."""
    rows = (
        Rollup.objects.filter(
            organization_id=organization_id,
            dimension__in=[Dimension.PROVIDER, Dimension.MODEL],
            bucket__gte=start,
            bucket__lt=end,
        )
        .values_list("dimension", "value")
        .distinct()
        .order_by("value")
    )
    found: dict[Dimension, list[str]] = {Dimension.PROVIDER: [], Dimension.MODEL: []}
    for dimension, value in rows:
        found[Dimension(dimension)].append(value)
    return found


def has_usage(organization_id: int) -> bool:
    return Rollup.objects.filter(organization_id=organization_id, dimension="total").exists()


def spend_state(*, organization_id: int, start: datetime, end: datetime) -> str:
    """A text that changes with every event settled into [start, end): two equal ones mean an unchanged page."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(events), 0), coalesce(sum(cost), 0), coalesce(sum(unpriced_requests), 0)"
            " FROM usage_rollup WHERE organization_id = %s AND dimension = 'total' AND bucket >= %s AND bucket < %s",
            [organization_id, start, end],
        )
        return "-".join(str(int(value)) for value in cursor.fetchone())
