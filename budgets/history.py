"""Reads of what a budget did: its course in a window, windows that ended, its limits, its alerts, and names to set one
on. Inside `organization_scope`; amounts are in the budget's unit, money in nano-USD."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alerts.models import Alert
from budgets.applying import filters_of
from budgets.crossings import limit_of_period
from budgets.limits import limits_of
from budgets.models import VALUE_SCOPES, Budget, BudgetLimit, LedgerEntry
from budgets.notices import mark_of_key, period_key
from budgets.selectors import BudgetState
from budgets.standing import Used
from budgets.thresholds import Mark
from budgets.windows import ROLLING, TOTAL, Window
from common.periods import Period, PeriodKind
from usage.dimensions import TAG, TAG_PREFIX, month_of
from usage.questions import Interval, UnanswerableError
from usage.rollup import HOUR
from usage.selectors import Spend, SpendQuery, spend
from usage.values import values_since
from usage.watched import WATCHABLE

# Windows that are longer are drawn by the day.
_LONG = timedelta(days=40)
_LATELY = timedelta(days=60)
MOST_NAMES = 100


@dataclass(frozen=True, slots=True)
class PastPeriod:
    """A slot of the ledger that has ended: what was used in it and, unless it is a day of a rolling window, what was
    allowed at its end."""

    period: Period
    used: Used
    limit: int | None
    fired: int


def past_periods(budget: Budget, *, before: datetime, limit: int) -> list[PastPeriod]:
    """The ledger of the slots that ended by then, latest first."""
    found = LedgerEntry.objects.filter(organization_id=budget.organization_id, budget=budget, period_end__lte=before)
    entries = list(found.order_by("-period_start")[:limit])
    limits = limits_of([budget], before, since=entries[-1].period_start if entries else None)[budget.id]
    return [_past(budget, limits, entry, Period(entry.period_start, entry.period_end), before) for entry in entries]


def _past(
    budget: Budget, limits: Sequence[BudgetLimit], entry: LedgerEntry, period: Period, now: datetime
) -> PastPeriod:
    allowed = None if budget.period == ROLLING else limit_of_period(budget, limits, period, now)
    return PastPeriod(period, Used.of_entry(entry), allowed, entry.fired)


def limit_history(budget: Budget) -> list[BudgetLimit]:
    """Everything that made or makes the limit, the latest begin first."""
    return limits_of([budget])[budget.id][::-1]


def drawn_period(state: BudgetState, now: datetime) -> Period:
    """The stretch of time that a drawing of the window shows: of one without an end what has passed of it."""
    if state.budget.period != TOTAL:
        return state.period
    start = state.budget.counts_from
    return Period(start, max(now, start + HOUR))


def period_course(budget: Budget, period: Period) -> list[tuple[datetime, int]]:
    """(end of an hour or day, what was used in it in the budget's unit) of the budget's scope, ascending, as far as
    sums are kept that tell: none of a value within a team in another zone than the organization's."""
    by_day = period.end - period.start > _LONG or (budget.team_id is not None and budget.scope_type in VALUE_SCOPES)
    query = SpendQuery(
        budget.organization_id,
        period.start,
        period.end,
        zone=budget.zone,
        interval=Interval.DAY if by_day else Interval.HOUR,
        filters=filters_of(budget),
    )
    try:
        rows = spend(query)
    except UnanswerableError:
        return []
    step = Window(PeriodKind.DAY if by_day else PeriodKind.HOUR, budget.zone)
    return [(step.slot_at(row.start).end, _used(row.spend).of(budget.unit)) for row in rows if row.start is not None]


def _used(sums: Spend) -> Used:
    return Used(sums.cost, sums.input_tokens + sums.output_tokens, sums.requests, sums.unpriced_requests)


def alerts_of_period(budget: Budget, period: Period) -> dict[tuple[Mark, int], Alert]:
    """Threshold → the latest alert that said it was crossed in this window."""
    alerts = Alert.objects.filter(organization_id=budget.organization_id)
    if budget.period == ROLLING:
        found = alerts.filter(dedup_key__startswith=f"budget:{budget.id}:", created_at__gte=period.start)
    else:
        found = alerts.filter(dedup_key__startswith=period_key(budget, period))
    return {mark_of_key(alert.dedup_key): alert for alert in found.order_by("created_at", "id")}


@dataclass(frozen=True, slots=True)
class KnownNames:
    """Names that callers used lately, to choose from: (value, what it is) pairs, and names of tags."""

    values: list[tuple[str, str]]
    tags: list[str]


def known_names(organization_id: int, now: datetime) -> KnownNames:
    month = month_of((now - _LATELY).astimezone(UTC))
    found = values_since(organization_id, month, at_most=MOST_NAMES)
    values = [(value, name) for name in WATCHABLE for value in found.get(name, ())]
    values += [
        (value, f"tag {name.removeprefix(TAG_PREFIX)}")
        for name in sorted(found)
        if name.startswith(TAG_PREFIX)
        for value in found[name]
    ]
    return KnownNames(values, found.get(TAG, []))
