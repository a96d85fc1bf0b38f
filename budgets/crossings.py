"""Which thresholds of budgets were crossed, noted in the ledger so that each is told of once per window.

A calendar window is one entry of the ledger, and keeps what has fired. A rolling window has no begin at which all
could start anew: a threshold of it fires when the sum passes it, and again once the sum has been below it. Between two
settlements the sum only shrinks, so what it was right before the latest one tells all.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from budgets.applying import Applying, window_of
from budgets.ledger import Entry
from budgets.limits import limit_at, limits_of
from budgets.models import Budget, BudgetLimit, Enforcement, LedgerEntry
from budgets.standing import Used, used_in
from budgets.thresholds import Fired, Mark, Marks, all_reached, judge, rearmed, run_rate
from budgets.windows import ROLLING, TOTAL
from common.periods import Period

_MICROSECOND = timedelta(microseconds=1)
# What an entry of the ledger says has fired, and under which limit.
Noted = tuple[Fired, int | None]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A budget that crossed a threshold in a window: which, and where it stands now, in its unit."""

    budget: Budget
    period: Period
    mark: Mark
    threshold: int
    used: int
    limit: int
    forecast: int | None


def marks_of(budget: Budget) -> Marks:
    """What a budget speaks up at; one that only counts never does."""
    if budget.enforcement == Enforcement.NONE:
        return Marks()
    return Marks(budget.thresholds, budget.threshold_amounts, budget.forecast_thresholds)


def crossings(budgets: Applying, entries: Sequence[Entry], now: datetime) -> list[Crossing]:
    """The thresholds that what was just booked has crossed."""
    speaking = {entry.budget_id for entry in entries if marks_of(budgets.by_id[entry.budget_id]) != Marks()}
    since = min((entry.slot.start for entry in entries), default=now)
    history = limits_of([budgets.by_id[budget_id] for budget_id in speaking], now, since=since)
    found, rolling = [], defaultdict(list)
    for entry in entries:
        budget = budgets.by_id[entry.budget_id]
        if budget.id in speaking and budget.period == ROLLING:
            rolling[budget.id].append(entry)
        elif budget.id in speaking:
            found += _of_entry(budget, history[budget.id], entry, now)
    return found + _of_rolling([budgets.by_id[budget_id] for budget_id in rolling], rolling, history, now)


def forecast_of(budget: Budget, used: int, period: Period, now: datetime) -> int | None:
    """What the window will have used at its end at the pace so far; None where it has no end to run to, and before and
    after it."""
    if budget.period in (ROLLING, TOTAL) or now not in period:
        return None
    return run_rate(used, period.elapsed(now))


def limit_of_period(budget: Budget, limits: Sequence[BudgetLimit], period: Period, now: datetime) -> int:
    """What is or was allowed in a window: the limit in force now, or of a past one at its end."""
    return limit_at(budget, limits, min(max(now, period.start), period.end - _MICROSECOND))


def _of_entry(budget: Budget, limits: Sequence[BudgetLimit], entry: Entry, now: datetime) -> list[Crossing]:
    limit = limit_of_period(budget, limits, entry.slot, now)
    used, added = entry.used.of(budget.unit), entry.added.of(budget.unit)
    fired = entry.fired
    if entry.fired_limit not in (None, limit):
        # The limit changed by the clock: what is not reached any more may fire again.
        fired = rearmed(fired, _reached(budget, used - added, limit, entry.slot, now))
    return _told(budget, entry.slot, used, limit, fired, (entry.fired, entry.fired_limit), now)


def _told(
    budget: Budget, period: Period, used: int, limit: int, fired: Fired, noted: Noted, now: datetime
) -> list[Crossing]:
    """Judges a calendar window and notes what has fired. `noted`: what the entry says now."""
    after, report = judge(fired, _reached(budget, used, limit, period, now), used=used, limit=limit)
    if (after, _noted_limit(after, limit)) != noted:
        note_fired(budget, period, after, limit)
    return _crossings(budget, period, report, used, limit, now)


def _reached(budget: Budget, used: int, limit: int, period: Period, now: datetime) -> Fired:
    forecast = forecast_of(budget, used, period, now)
    return all_reached(marks_of(budget), used=used, limit=limit, forecast=forecast)


def _of_rolling(
    budgets: Sequence[Budget],
    entries: dict[int, list[Entry]],
    history: dict[int, list[BudgetLimit]],
    now: datetime,
) -> list[Crossing]:
    windows = {budget.id: window_of(budget).at(now) for budget in budgets}
    sums = used_in(budgets, windows)
    found = []
    for budget in budgets:
        window, used = windows[budget.id], sums[budget.id].of(budget.unit)
        added = sum(entry.added.of(budget.unit) for entry in entries[budget.id] if entry.slot.start in window)
        limit = limit_at(budget, history[budget.id], now)
        before = _reached(budget, used - added, limit, window, now)
        _, report = judge(before, _reached(budget, used, limit, window, now), used=used, limit=limit)
        found += _crossings(budget, window, report, used, limit, now)
    return found


def _crossings(
    budget: Budget, period: Period, report: Iterable[tuple[Mark, int]], used: int, limit: int, now: datetime
) -> list[Crossing]:
    forecast = forecast_of(budget, used, period, now)
    return [Crossing(budget, period, mark, threshold, used, limit, forecast) for mark, threshold in report]


def note_fired(budget: Budget, period: Period, fired: Fired, limit: int) -> None:
    LedgerEntry.objects.filter(organization_id=budget.organization_id, budget=budget, period_start=period.start).update(
        fired=fired.percent,
        fired_amount=fired.amount,
        fired_forecast=fired.forecast,
        fired_limit=_noted_limit(fired, limit),
    )


def _noted_limit(fired: Fired, limit: int) -> int | None:
    return None if fired == Fired() else limit


def note_reached(budget: Budget, now: datetime) -> None:
    """Notes what a new budget's windows have reached already, so that it does not fire."""
    limits = limits_of([budget])[budget.id]
    for entry in _calendar_entries(budget, now):
        period = Period(entry.period_start, entry.period_end)
        limit = limit_of_period(budget, limits, period, now)
        note_fired(budget, period, _reached(budget, _used(budget, entry), limit, period, now), limit)


def changed_crossings(before: Budget, budget: Budget, limit_before: int, now: datetime) -> list[Crossing]:
    """What a change of the limit or of the thresholds has put past a threshold. What is not reached any more is armed
    again. `before` is the budget as it was, `limit_before` the limit that was in force."""
    limit = limit_at(budget, limits_of([budget], now)[budget.id], now)
    if budget.period == ROLLING:
        window = window_of(budget).at(now)
        used = used_in([budget], {budget.id: window})[budget.id].of(budget.unit)
        fired = rearmed(_reached(before, used, limit_before, window, now), _reached(budget, used, limit, window, now))
        _, report = judge(fired, _reached(budget, used, limit, window, now), used=used, limit=limit)
        return _crossings(budget, window, report, used, limit, now)
    found = []
    for entry in _calendar_entries(budget, now, period_start__lte=now):
        period, used = Period(entry.period_start, entry.period_end), _used(budget, entry)
        fired = Fired(entry.fired, entry.fired_amount, entry.fired_forecast)
        still = rearmed(fired, _reached(budget, used, limit, period, now))
        found += _told(budget, period, used, limit, still, (fired, entry.fired_limit), now)
    return found


def _calendar_entries(budget: Budget, now: datetime, **fields: datetime) -> list[LedgerEntry]:
    """The window that holds `now`, and any that events dated ahead have begun; none of a rolling budget."""
    if budget.period == ROLLING:
        return []
    entries = LedgerEntry.objects.filter(organization_id=budget.organization_id, budget=budget, period_end__gt=now)
    return list(entries.filter(**fields).order_by("period_start"))


def _used(budget: Budget, entry: LedgerEntry) -> int:
    return Used.of_entry(entry).of(budget.unit)
