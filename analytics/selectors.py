"""What the pages read. Dashboards read rollups only; single events are read where single events are shown.

All of it runs inside the organization's scope. Costs are nano-USD.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import connection

from analytics.charts import SpendPoint
from analytics.figures import Compared, Figures, Part
from analytics.ranges import Range
from usage.dimensions import OVERFLOW, TAG
from usage.models import RollupDay
from usage.questions import Dimension, Interval
from usage.rollup import HOUR, bucket_size
from usage.selectors import Spend, SpendQuery, spend, spend_by_each

_UTC = ZoneInfo("UTC")
Filter = Mapping[str, Sequence[str]]


def parts(*, organization_id: int, chosen: Range, filters: Filter) -> list[Part]:
    """The range and the days before, by team, key, provider and model: what every table of a page is a sum of.

    Few rows come back (one per workload and model).
    """
    found: dict[tuple[int, int, str, str], Part] = {}
    for period, inside in ((chosen.whole, True), (chosen.before, False)):
        query = SpendQuery(organization_id, period.start, period.end, group_by=_PART, filters=filters, home=chosen.zone)
        for row in spend(query) if period.start < period.end else []:
            team_id, key_id, provider, model = row.group.values()
            key = (int(team_id), int(key_id), provider, model)
            part = found.setdefault(key, Part(*key))
            figures = _figures(row.spend)
            part.compared.add(Compared(now=figures) if inside else Compared(before=figures))
    return list(found.values())


def labelled(*, organization_id: int, chosen: Range, filters: Filter, dimension: str) -> dict[str, Compared]:
    """The range and the days before by what callers added, the dearest value first; "" is what has none.

    Filtered, the days before are whole ones: such sums are kept by the day.
    """
    found: dict[str, Compared] = {}
    compared = chosen.whole_days if filters else chosen
    for period, inside in ((compared.whole, True), (compared.before, False)):
        query = SpendQuery(
            organization_id, period.start, period.end, group_by=(dimension,), filters=filters, home=chosen.zone
        )
        for row in spend(query) if period.start < period.end else []:
            figures = _figures(row.spend)
            group = found.setdefault(row.group[dimension], Compared())
            group.add(Compared(now=figures) if inside else Compared(before=figures))
    return found


def labelled_by_each(
    *, organization_id: int, chosen: Range, dimensions: Sequence[str]
) -> dict[str, dict[str, Compared]]:
    """What `labelled` gives without filters, by each of several dimensions that are no tags; two queries."""
    found: dict[str, dict[str, Compared]] = {dimension: {} for dimension in dimensions}
    for period, inside in ((chosen.whole, True), (chosen.before, False)):
        if not dimensions or period.start >= period.end:
            continue
        query = SpendQuery(organization_id, period.start, period.end, home=chosen.zone)
        for dimension, rows in spend_by_each(query, dimensions).items():
            for row in rows:
                figures = _figures(row.spend)
                group = found[dimension].setdefault(row.group[dimension], Compared())
                group.add(Compared(now=figures) if inside else Compared(before=figures))
    return found


_PART = (Dimension.TEAM, Dimension.VIRTUAL_KEY, Dimension.PROVIDER, Dimension.MODEL)


def _figures(sums: Spend) -> Figures:
    return Figures(
        sums.cost, sums.requests, sums.errors, sums.unpriced_requests, sums.input_tokens, sums.cache_read_input_tokens
    )


def trend(
    *, organization_id: int, dimension: str, interval: Interval, chosen: Range, filters: Filter
) -> list[SpendPoint]:
    """Spend by interval of the range and value of the dimension. A week that began before the range begins with it."""
    # Hours that the clocks repeat stay two where hours of the zone are hours of UTC.
    in_utc = interval is Interval.HOUR and bucket_size(chosen.zone, chosen.whole.start) == HOUR
    query = SpendQuery(
        organization_id,
        chosen.whole.start,
        chosen.whole.end,
        zone=_UTC if in_utc else chosen.zone,
        interval=interval,
        group_by=(dimension,),
        filters=filters,
        home=chosen.zone,
    )
    return [
        SpendPoint(max(row.start or chosen.whole.start, chosen.whole.start), row.group[dimension], row.spend.cost)
        for row in spend(query)
    ]


def names_used(*, organization_id: int, chosen: Range) -> dict[str, list[str]]:
    """Dimension → its values in the range, the dearest first, at most CHOICES: what a filter can choose from."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT dimension, value FROM (SELECT dimension, value,"
            "  row_number() OVER (PARTITION BY dimension ORDER BY sum(cost) DESC, value) AS place FROM usage_rollup_day"
            "  WHERE organization_id = %s AND dimension = ANY(%s) AND day >= %s AND day <= %s"
            "  AND value <> '' AND value <> %s GROUP BY dimension, value) AS ranked"
            " WHERE place <= %s ORDER BY dimension, place",
            [organization_id, list(_NAMED), chosen.first, chosen.last, OVERFLOW, CHOICES],
        )
        found: dict[str, list[str]] = {dimension: [] for dimension in _NAMED}
        for dimension, value in cursor.fetchall():
            found[dimension].append(value)
        return found


def tag_names(*, organization_id: int, chosen: Range) -> list[str]:
    """The tags with sums of their own in the months of the range."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT value FROM usage_value WHERE organization_id = %s AND dimension = %s"
            " AND month >= date_trunc('month', %s::timestamp)::date AND month <= %s ORDER BY value",
            [organization_id, TAG, chosen.before_first, chosen.last],
        )
        return [name for (name,) in cursor.fetchall()]


CHOICES = 200
_NAMED = tuple(
    map(str, (Dimension.PROVIDER, Dimension.MODEL, Dimension.CUSTOMER, Dimension.FEATURE, Dimension.AGENT,
              Dimension.USER))
)  # fmt: skip


def has_usage(organization_id: int) -> bool:
    return RollupDay.objects.filter(organization_id=organization_id, dimension="total").exists()


def spend_state(*, organization_id: int, start: datetime, end: datetime) -> str:
    """A text that changes with every event settled into [start, end): two equal ones mean an unchanged page."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(events), 0), coalesce(sum(cost), 0), coalesce(sum(unpriced_requests), 0)"
            " FROM usage_rollup WHERE organization_id = %s AND dimension = 'total' AND bucket >= %s AND bucket < %s",
            [organization_id, start, end],
        )
        return "-".join(str(int(value)) for value in cursor.fetchone())
