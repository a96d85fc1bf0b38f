"""When a budget speaks up. Pure, in integers: amounts are nano-USD, thresholds percent of the limit."""

from collections.abc import Sequence
from decimal import Decimal

EARLIEST_FORECAST = Decimal("0.01")


def reached(spent: int | Decimal, limit: int, thresholds: Sequence[int]) -> int:
    """The highest threshold that the spend has reached; 0 when none. Exactly at a threshold counts as reached."""
    return max((threshold for threshold in thresholds if spent * 100 >= limit * threshold), default=0)


def crossed(spent: int | Decimal, limit: int, thresholds: Sequence[int], *, fired: int) -> int | None:
    """The threshold to report: the highest reached, once it is above what has fired in this period before.

    A jump past several reports the highest only; the ones below it will not fire later.
    """
    highest = reached(spent, limit, thresholds)
    return highest if highest > fired else None


def percent(spent: int | Decimal, limit: int) -> Decimal:
    """The share of the limit that is spent, in percent, cut (not rounded) to one decimal: 99.99 is not yet 100."""
    return Decimal(int(spent) * 1000 // limit).scaleb(-1)


def run_rate(spent: int | Decimal, elapsed: Decimal) -> int | None:
    """What the period will have cost at its end if it goes on like this; `elapsed` is the share of it that has passed.

    None in its first hundredth, when a single call would make the forecast.
    """
    return None if elapsed < EARLIEST_FORECAST else int(Decimal(spent) / elapsed)
