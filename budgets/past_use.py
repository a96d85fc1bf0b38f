"""What the last windows of a budget came to, to choose a limit by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from statistics import median_low

from budgets.applying import window_of
from budgets.backtest_source import used_by_slot
from budgets.models import Budget
from budgets.untold import untold
from budgets.windows import ROLLING, TOTAL, Window
from common.periods import Period
from usage.questions import UnanswerableError
from usage.retention import first_of_month

# Windows that have ended, by the kind of the window; a total has none.
HOW_MANY = {"hour": 48, "day": 30, "week": 12, "month": 12, "quarter": 8, "year": 3, ROLLING: 30}
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PastUse:
    """What windows that have ended came to, in the budget's unit. `ninth`: nine of ten came to no more than that."""

    windows: int
    highest: int
    median: int
    ninth: int
    # How many came to more than the limit that was asked about; None: none was.
    exceeded: int | None


def summed_up(amounts: Sequence[int], limit: int | None) -> PastUse | None:
    """None without a window. The median of an even number is the lower of the two in the middle. Pure."""
    if not amounts:
        return None
    ordered = sorted(amounts)
    return PastUse(
        windows=len(ordered),
        highest=ordered[-1],
        median=median_low(ordered),
        ninth=ordered[-(-9 * len(ordered) // 10) - 1],
        exceeded=None if limit is None else sum(1 for amount in ordered if amount > limit),
    )


def past_use(budget: Budget, *, now: datetime, limit: int | None) -> PastUse | None:
    """Of the budget's scope, saved or not, in the windows since it was first used; None when there is none, or where
    what is kept does not tell them apart. Windows up to a month of which sums say nothing are left out."""
    if budget.period == TOTAL:
        return None
    window = window_of(budget)
    slots = _told(budget, past_slots(budget, now))
    if len(slots) < max(1, window.days):
        return None
    try:
        used = used_by_slot(budget, window, Period(slots[0].start, slots[-1].end))
    except UnanswerableError:
        return None
    return summed_up(_since_first_use(amounts_of(window, slots, used)), limit)


def past_slots(budget: Budget, now: datetime) -> list[Period]:
    """The slots that have ended which past windows are made of, oldest first; none of a total."""
    if budget.period == TOTAL:
        return []
    window = window_of(budget)
    return slots_before(window, now, HOW_MANY[budget.period] + max(0, window.days - 1))


def _told(budget: Budget, slots: Sequence[Period]) -> list[Period]:
    """The slots after the last month of which sums say nothing."""
    months = untold(budget, Period(slots[0].start, slots[-1].end))
    if not months:
        return list(slots)
    told_from = datetime.combine(first_of_month(months[-1], 1), time(), UTC)
    return [slot for slot in slots if slot.start >= told_from]


def slots_before(window: Window, now: datetime, number: int) -> list[Period]:
    """The last slots that have ended, oldest first. Pure."""
    slots: list[Period] = []
    start = window.slot_at(now).start
    while len(slots) < number:
        slots.append(window.slot_at(start - _MICROSECOND))
        start = slots[-1].start
    return slots[::-1]


def amounts_of(window: Window, slots: Sequence[Period], used: Mapping[datetime, int]) -> list[int]:
    """What the windows that end with each slot came to; of rolling ones, those whose days are all there. Pure."""
    amounts = [used.get(slot.start, 0) for slot in slots]
    if window.kind != ROLLING:
        return amounts
    return [sum(amounts[index : index + window.days]) for index in range(len(amounts) - window.days + 1)]


def _since_first_use(amounts: Sequence[int]) -> list[int]:
    first = next((index for index, amount in enumerate(amounts) if amount), len(amounts))
    return list(amounts[first:])
