"""When something is out of the ordinary. Pure, in integers: amounts are nano-USD, ratios hundredths, shares percent.

Every detector answers with a level (`alerts.machine`) or with None where there is too little to go by: silence is
better than a guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from alerts.machine import Level
from watch.hours import LEAST_WEEKS, Hours, same_before, weeks_before

DAY = timedelta(days=1)
# A jump shows in hours, a creep in a day.
SHORT, LONG = timedelta(hours=6), DAY
# How many times the ordinary scatter of a stretch the excess must be.
SPREADS = 4
# What the median absolute deviation of a normal distribution falls short of its standard deviation, in hundredths.
_MAD_SCALE = 148
RECENT_DAYS = 7


@dataclass(frozen=True, slots=True)
class Usual:
    """The middle of what comparable stretches had, and how far they scatter. A past incident moves neither."""

    amount: int
    spread: int


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Spend of a stretch that ends now beside what is usual for it."""

    level: Level
    spent: int
    usual: int
    length: timedelta


@dataclass(frozen=True, slots=True)
class Spike:
    """A ratio beside what it usually is, both in the same unit."""

    level: Level
    now: int
    usual: int


def usual_of(before: Sequence[int]) -> Usual | None:
    """None with fewer than `LEAST_WEEKS` to compare with."""
    if len(before) < LEAST_WEEKS:
        return None
    middle = int(median(before))
    return Usual(middle, int(median(abs(each - middle) for each in before)) * _MAD_SCALE // 100)


def growth(hours: Hours, now: datetime, zone: ZoneInfo, since: datetime) -> int:
    """How far the days of last week were above the weeks before them, in hundredths, at least 100.

    What has stayed higher for most of a week is the new usual. What was lower (a week of holidays) changes nothing,
    or the return to work would look like an incident. The day that runs is not in it.
    """
    ratios = []
    for back in range(1, RECENT_DAYS + 1):
        end = now - DAY * back
        usual = usual_of(same_before(hours, weeks_before(end, zone), DAY, since))
        spent = hours.before(end, DAY)
        if usual is not None and usual.amount > 0 and spent is not None:
            ratios.append(spent * 100 // usual.amount)
    return max(100, int(median(ratios))) if ratios else 100


def spend_anomaly(
    hours: Hours, now: datetime, *, zone: ZoneInfo, since: datetime, times: int, floor: int, grown: int | None = None
) -> Anomaly | None:
    """Spend against the same hours of the week: bad from `times` (hundredths) the usual and `floor` above it.

    `since`: the first spend there ever was; `grown` is `growth` where the caller knows it already.
    """
    level = growth(hours, now, zone, since) if grown is None else grown
    ends = weeks_before(now, zone)
    short, long = (
        _stretch(hours.before(now, length), same_before(hours, ends, length, since), length, times, floor, level)
        for length in (SHORT, LONG)
    )
    if short is None or long is None:
        return None
    if short.level is Level.BAD or (long.level is Level.BAD and short.level is Level.UNCLEAR):
        return short if short.level is Level.BAD else long
    if short.level is Level.GOOD and long.level is Level.BAD:
        return Anomaly(Level.UNCLEAR, long.spent, long.usual, LONG)
    return short


def _stretch(
    spent: int | None, before: Sequence[int], length: timedelta, times: int, floor: int, grown: int
) -> Anomaly | None:
    usual = usual_of(before)
    if usual is None or spent is None:
        return None
    expected = usual.amount * grown // 100
    level = _level(spent, expected, times, max(floor, usual.spread * grown // 100 * SPREADS))
    return Anomaly(level, spent, expected, length)


def _level(value: int, usual: int, times: int, excess: int) -> Level:
    """Bad from `times` the usual if that is `excess` more than it; good again below the half of either."""
    if value * 100 >= usual * times and value - usual >= excess:
        return Level.BAD
    halfway = 100 + (times - 100) // 2
    if value * 100 < usual * halfway or value - usual < excess // 2:
        return Level.GOOD
    return Level.UNCLEAR


def cost_per_request(
    now: tuple[int, int], days: Sequence[tuple[int, int]], *, times: int, floor: int, requests: int
) -> Spike | None:
    """(cost, requests) of the last 24 hours against the days before; days with fewer `requests` say nothing.

    Bad from `times` (hundredths) the usual cost of a request, if that made the calls dearer by `floor` in all.
    """
    usual = _middle([cost // count for cost, count in days if count >= requests])
    cost, count = now
    if usual is None or count < requests:
        return None
    return Spike(_level(cost, usual * count, times, floor), cost // count, usual)


def cache_hit_drop(now: tuple[int, int], days: Sequence[tuple[int, int]], *, points: int, tokens: int) -> Spike | None:
    """(cached, all) input tokens of the last 24 hours against the days before; shares in tenths of a percent.

    Bad from `points` percentage points below the usual share; days with fewer than `tokens` say nothing.
    """
    usual = _middle([cached * 1000 // total for cached, total in days if total >= tokens])
    cached, total = now
    if usual is None or total < tokens:
        return None
    share = cached * 1000 // total
    drop = usual - share
    level = Level.BAD if drop >= points * 10 else Level.GOOD if drop < points * 5 else Level.UNCLEAR
    return Spike(level, share, usual)


def error_spend(failed: int, total: int, *, floor: int, percent: int) -> Level:
    """Money for calls that failed: bad from `floor` and `percent` of all that was spent."""
    return Level.BAD if failed >= floor and failed * 100 >= total * percent else Level.GOOD


def silent(now: int, before: Sequence[int], *, requests: int) -> Level | None:
    """Requests of a stretch: bad when there are none although every one of the same weeks before had `requests`."""
    if now > 0:
        return Level.GOOD
    if len(before) < LEAST_WEEKS:
        return None
    return Level.BAD if min(before[:LEAST_WEEKS]) >= requests else Level.UNCLEAR


def used_up_at(*, left: int, spent_lately: int, lately: timedelta, now: datetime) -> datetime | None:
    """When what is left is used up if it goes on like lately; None when nothing was used, or only in a far future."""
    if left <= 0:
        return now
    if spent_lately <= 0:
        return None
    seconds = left * int(lately.total_seconds()) // spent_lately
    return now + timedelta(seconds=seconds) if seconds <= 366 * 86_400 else None


def run_out(runs_out: datetime | None, *, now: datetime, end: datetime, days: int) -> Level:
    """Bad when it is used up within `days` and before the window ends; good again half as many days later."""
    if runs_out is None or runs_out >= end:
        return Level.GOOD
    left = runs_out - now
    if left <= timedelta(days=days):
        return Level.BAD
    return Level.UNCLEAR if left <= timedelta(days=days) * 3 / 2 else Level.GOOD


def forecast_overrun(forecast: int | None, limit: int, *, percent: int) -> Level | None:
    """Bad when the window will end at `percent` of its limit or above; good again five points below."""
    if forecast is None:
        return None
    if forecast * 100 >= limit * percent:
        return Level.BAD
    return Level.GOOD if forecast * 100 < limit * (percent - 5) else Level.UNCLEAR


def _middle(values: Sequence[int]) -> int | None:
    """The median of a week of days or more; None for less."""
    return int(median(values)) if len(values) >= RECENT_DAYS else None
