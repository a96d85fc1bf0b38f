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
from usage.models import RollupDay
from usage.questions import Dimension, Interval
from usage.rollup import HOUR, bucket_size
from usage.selectors import Spend, SpendQuery, spend

_UTC = ZoneInfo("UTC")
Filter = Mapping[str, Sequence[str]]


def parts(*, organization_id: int, chosen: Range, filters: Filter) -> list[Part]:
    """The range and the days before, by team, key, provider and model: what every table of a page is a sum of.

    Few rows come back (one per workload and model).
    """
    found: dict[tuple[int, int, str, str], Part] = {}
    for period, inside in ((chosen.whole, True), (chosen.before, False)):
        query = SpendQuery(organization_id, period.start, period.end, group_by=_PART, filters=filters)
        for row in spend(query) if period.start < period.end else []:
            team_id, key_id, provider, model = row.group.values()
            key = (int(team_id), int(key_id), provider, model)
            part = found.setdefault(key, Part(*key))
            figures = _figures(row.spend)
            part.compared.add(Compared(now=figures) if inside else Compared(before=figures))
    return list(found.values())


_PART = (Dimension.TEAM, Dimension.VIRTUAL_KEY, Dimension.PROVIDER, Dimension.MODEL)


def _figures(sums: Spend) -> Figures:
    return Figures(
        sums.cost, sums.requests, sums.errors, sums.unpriced_requests, sums.input_tokens, sums.cache_read_input_tokens
    )


def trend(
    *, organization_id: int, dimension: Dimension, interval: Interval, chosen: Range, filters: Filter
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
    )
    return [
        SpendPoint(max(row.start or chosen.whole.start, chosen.whole.start), row.group[dimension], row.spend.cost)
        for row in spend(query)
    ]


def names_used(*, organization_id: int, chosen: Range) -> dict[Dimension, list[str]]:
    """The providers and models with usage in the range, by name: what a filter can choose from."""
    rows = (
        RollupDay.objects.filter(
            organization_id=organization_id,
            dimension__in=[Dimension.PROVIDER, Dimension.MODEL],
            day__gte=chosen.first,
            day__lte=chosen.last,
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
