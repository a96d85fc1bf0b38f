"""When a budget speaks up. Pure, in integers: amounts in the budget's unit, thresholds in percent of the limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from common.periods import Period

EARLIEST_FORECAST = Decimal("0.01")
_MICROSECOND = timedelta(microseconds=1)


class Mark(StrEnum):
    """What a threshold is: a part of the limit, an amount, or a part of the limit that the forecast reaches."""

    PERCENT = "percent"
    AMOUNT = "amount"
    FORECAST = "forecast"


@dataclass(frozen=True, slots=True)
class Marks:
    """The thresholds of a budget."""

    percents: Sequence[int] = ()
    amounts: Sequence[int] = ()
    forecasts: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Fired:
    """The highest of each kind that has fired; 0: none."""

    percent: int = 0
    amount: int = 0
    forecast: int = 0


def reached(spent: int | Decimal, limit: int, thresholds: Sequence[int]) -> int:
    """The highest threshold that the spend has reached; 0 when none. Exactly at a threshold counts as reached."""
    return max((threshold for threshold in thresholds if spent * 100 >= limit * threshold), default=0)


def crossed(spent: int | Decimal, limit: int, thresholds: Sequence[int], *, fired: int) -> int | None:
    """The threshold to report: the highest reached, once it is above what has fired in this period before.

    A jump past several reports the highest only; the ones below it will not fire later.
    """
    highest = reached(spent, limit, thresholds)
    return highest if highest > fired else None


def all_reached(marks: Marks, *, used: int, limit: int, forecast: int | None) -> Fired:
    """The highest of each kind that is reached."""
    return Fired(
        reached(used, limit, marks.percents),
        max((amount for amount in marks.amounts if used >= amount), default=0),
        0 if forecast is None else reached(forecast, limit, marks.forecasts),
    )


def rearmed(fired: Fired, standing: Fired) -> Fired:
    """What has still fired where something else is reached now, because the limit or the thresholds were changed."""
    return Fired(
        min(fired.percent, standing.percent),
        min(fired.amount, standing.amount),
        min(fired.forecast, standing.forecast),
    )


def judge(fired: Fired, standing: Fired, *, used: int, limit: int) -> tuple[Fired, list[tuple[Mark, int]]]:
    """What has fired now, and the thresholds to report: of those that spend has crossed, in percent or as an amount,
    the highest; and the forecast's where it is beyond what is used already."""
    spent = []
    if standing.percent > fired.percent:
        spent.append((limit * standing.percent, Mark.PERCENT, standing.percent))
    if standing.amount > fired.amount:
        spent.append((standing.amount * 100, Mark.AMOUNT, standing.amount))
    report = [(mark, value) for _, mark, value in sorted(spent)[-1:]]
    if standing.forecast > fired.forecast and limit * standing.forecast > used * 100:
        report.append((Mark.FORECAST, standing.forecast))
    return Fired(
        max(fired.percent, standing.percent),
        max(fired.amount, standing.amount),
        max(fired.forecast, standing.forecast),
    ), report


def percent(spent: int | Decimal, limit: int) -> Decimal:
    """The share of the limit that is spent, in percent, cut (not rounded) to one decimal: 99.99 is not yet 100."""
    return Decimal(int(spent) * 1000 // limit).scaleb(-1)


def run_rate(spent: int | Decimal, elapsed: Decimal) -> int | None:
    """What the period will have cost at its end if it goes on like this; `elapsed` is the share of it that has passed.

    None in its first hundredth, when a single call would make the forecast.
    """
    return None if elapsed < EARLIEST_FORECAST else int(Decimal(spent) / elapsed)


def runs_out_at(spent: int, limit: int, period: Period, now: datetime) -> datetime | None:
    """When the limit is reached if the period goes on like this; None where that is not in it, where it is reached
    already, and as long as there is no forecast."""
    if not 0 < spent < limit or period.elapsed(now) < EARLIEST_FORECAST:
        return None
    passed, length = ((end - period.start) // _MICROSECOND for end in (now, period.end))
    # Rounded up: at that instant it is reached.
    needed = -(-passed * limit // spent)
    return period.start + needed * _MICROSECOND if needed < length else None
