"""The course of a period's spend against its limit, as the geometry of a drawing. Pure.

Coordinates are thousandths of the drawing's width and height, from the left and from the top. The labels of the axes
are evenly spaced, so that a page can set them as text around a drawing that stretches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from common.periods import Period

SIZE = 1000
MAX_POINTS = 160
TIME_LABELS = 5

# The end of an interval, and what was spent in the period up to there (nano-USD).
Point = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class BurnUp:
    line: str
    area: str
    limit: int
    # The end of the line, where the present is.
    now: int
    spent: int
    # Where the line ends if the period goes on like this; None while it is too early to say.
    forecast: int | None
    # Amounts in nano-USD from the top down, and moments from left to right.
    amounts: list[int]
    # Their heights.
    grid: list[int]
    moments: list[datetime]


def running_total(spent_in: Sequence[tuple[datetime, int]]) -> list[Point]:
    """Ascending (end of interval, spent in it) as (end of interval, spent up to there)."""
    points, total = [], 0
    for end, spent in spent_in:
        total += spent
        points.append((end, total))
    return points


def burn_up(
    *, period: Period, now: datetime, points: Sequence[Point], spent: int, limit: int, forecast: int | None
) -> BurnUp:
    """The drawing. Its line ends now at what the ledger says was spent, whatever the hours of the rollup are."""
    amounts = _scale(max(limit, spent, min(forecast or 0, 3 * limit)))
    course = [(period.start, 0), *_thinned([point for point in points if period.start < point[0] < now]), (now, spent)]
    drawn = [(_across(period, moment), _down(amount, amounts[0])) for moment, amount in course]
    line = " ".join(f"{x},{y}" for x, y in drawn)
    return BurnUp(
        line=line,
        area=f"0,{SIZE} {line} {drawn[-1][0]},{SIZE}",
        limit=_down(limit, amounts[0]),
        now=drawn[-1][0],
        spent=drawn[-1][1],
        forecast=None if forecast is None else _down(forecast, amounts[0]),
        grid=[_down(amount, amounts[0]) for amount in amounts],
        amounts=amounts,
        moments=[period.start + (period.end - period.start) * part / (TIME_LABELS - 1) for part in range(TIME_LABELS)],
    )


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most `MAX_POINTS` of them, evenly, the last one kept."""
    step = -(-len(points) // MAX_POINTS) or 1
    return points[::-1][::step][::-1]


def _across(period: Period, moment: datetime) -> int:
    return int(period.elapsed(moment) * SIZE)


def _down(amount: int, top: int) -> int:
    return SIZE - min(SIZE, max(0, amount * SIZE // top))


def _scale(highest: int) -> list[int]:
    """Round amounts from above the highest one down to nothing, evenly spaced: three to six of them."""
    unit = 10 ** max(0, Decimal(highest).adjusted() - 1)
    step = next(step * unit for step in (5, 10, 20, 25, 50) if step * unit * 4 >= highest)
    return [step * number for number in range(highest // step + 1, -1, -1)]
