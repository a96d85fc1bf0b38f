"""What a budget had counted up to a moment of the past, which its ledger, a sum per window, does not tell."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import connection

from budgets.backtest_source import filters_of, where_of
from budgets.models import Budget
from budgets.standing import Used
from common.periods import Period, local_midnight
from usage.questions import UnanswerableError, next_midnight
from usage.rollup import HOUR
from usage.selectors import SpendQuery, total


def used_until(budget: Budget, start: datetime, at: datetime) -> Used:
    """Of the budget's scope in [start, at), with what is known today of it: usage that came in later counts as well.

    Whole hours, or days, come from sums and the ends from single events as long as they are kept. Statements are few,
    whatever the length.
    """
    filters = filters_of(budget)
    inner = Period(_hour_from(start), at.replace(minute=0, second=0, microsecond=0))
    try:
        sums = _summed(budget, inner, filters)
    except UnanswerableError:
        home = ZoneInfo(budget.organization.timezone)
        inner = Period(next_midnight(start, home), local_midnight(at.astimezone(home).date(), home))
        sums = _summed(budget, inner, filters)
    if inner.start >= inner.end:
        return _single(budget, [Period(start, at)], filters)
    return _plus(sums, _single(budget, [Period(start, inner.start), Period(inner.end, at)], filters))


def _summed(budget: Budget, period: Period, filters: dict[str, list[str]]) -> Used:
    if period.start >= period.end:
        return Used()
    sums = total(SpendQuery(budget.organization_id, period.start, period.end, filters=filters))
    return Used(sums.cost, sums.input_tokens + sums.output_tokens, sums.requests, sums.unpriced_requests)


def _single(budget: Budget, periods: list[Period], filters: dict[str, list[str]]) -> Used:
    where, parameters = where_of(filters)
    within = " OR ".join(f"(at >= %(start{n})s AND at < %(end{n})s)" for n in range(len(periods)))
    for number, period in enumerate(periods):
        parameters |= {f"start{number}": period.start, f"end{number}": period.end}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(cost), 0), coalesce(sum(input_tokens + output_tokens), 0), coalesce(sum(requests), 0),"
            f" coalesce(sum(unpriced_requests), 0) FROM usage_posting WHERE organization_id = %(organization)s{where}"
            f" AND ({within})",
            {"organization": budget.organization_id, **parameters},
        )
        return Used(*(int(value) for value in cursor.fetchone()))


def _plus(one: Used, other: Used) -> Used:
    return Used(
        one.cost + other.cost,
        one.tokens + other.tokens,
        one.requests + other.requests,
        one.unpriced_requests + other.unpriced_requests,
    )


def _hour_from(instant: datetime) -> datetime:
    """The first whole hour that is not before the instant."""
    floor = instant.replace(minute=0, second=0, microsecond=0)
    return floor if floor == instant else floor + HOUR
