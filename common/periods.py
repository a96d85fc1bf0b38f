"""Periods: half-open intervals of local calendar time in an IANA zone. Pure.

A period follows from the clock, the zone and its kind; nothing is ever reset. Boundaries are local midnights, so a day
of a change of clocks has 23 or 25 hours. A midnight that the clocks skip is taken at the first instant after the gap.
Hours begin when the local clock shows a full hour, which is at :30 or :45 of UTC in some zones.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo


class PeriodKind(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


# ISO numbering: Monday is 0.
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_MICROSECOND = timedelta(microseconds=1)
_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) as aware UTC instants."""

    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def elapsed(self, now: datetime) -> Decimal:
        """The share of the period that has passed, from 0 to 1."""
        passed = min(max(now, self.start), self.end) - self.start
        return Decimal(passed // _MICROSECOND) / Decimal((self.end - self.start) // _MICROSECOND)


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC."""
    naive = datetime.combine(day, time())
    # fold=0 reads a skipped midnight with the offset before the gap, which lands after it; a midnight that comes
    # twice is the first of the two. Going through UTC makes both an instant that exists.
    return naive.replace(tzinfo=zone, fold=0).astimezone(UTC) if _exists(naive, zone) else _after_gap(naive, zone)


def _exists(naive: datetime, zone: ZoneInfo) -> bool:
    there = naive.replace(tzinfo=zone).astimezone(UTC)
    return there.astimezone(zone).replace(tzinfo=None) == naive


def _after_gap(naive: datetime, zone: ZoneInfo) -> datetime:
    # Both readings of a skipped time straddle the jump; it lies where the offset changes, found to the second.
    early = naive.replace(tzinfo=zone, fold=1).astimezone(UTC)
    late = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late


def period_at(
    kind: PeriodKind, instant: datetime, zone: ZoneInfo, *, week_start: int = 0, fiscal_start: int = 1
) -> Period:
    """The one period of this kind that holds the instant.

    `week_start`: 0 is Monday. `fiscal_start`: the month (1 to 12) in which years, and with them quarters, begin.
    """
    if kind is PeriodKind.HOUR:
        return _hour(instant, zone)
    first = _first_day(kind, instant.astimezone(zone).date(), week_start, fiscal_start)
    if local_midnight(next_first_day(kind, first), zone) <= instant:
        # Clocks that go back over midnight show yesterday's date again; the day that had begun goes on.
        first = next_first_day(kind, first)
    return Period(local_midnight(first, zone), local_midnight(next_first_day(kind, first), zone))


def _hour(instant: datetime, zone: ZoneInfo) -> Period:
    start = _hour_start(instant, zone)
    end = start
    # Clocks change by quarters of an hour; an hour in which they do has more of them, or fewer.
    while _hour_start(end, zone) == start:
        end += _QUARTER
    return Period(start, end)


def _hour_start(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def previous_period(kind: PeriodKind, period: Period, zone: ZoneInfo, *, week_start: int = 0) -> Period:
    return period_at(kind, period.start - _MICROSECOND, zone, week_start=week_start)


def _first_day(kind: PeriodKind, day: date, week_start: int, fiscal_start: int) -> date:
    match kind:
        case PeriodKind.WEEK:
            return day - timedelta(days=(day.weekday() - week_start) % 7)
        case PeriodKind.MONTH:
            return day.replace(day=1)
        case PeriodKind.QUARTER:
            return _months_later(day.replace(day=1), -((day.month - fiscal_start) % 3))
        case PeriodKind.YEAR:
            return _months_later(day.replace(day=1), -((day.month - fiscal_start) % 12))
        case _:
            return day


_MONTHS = {PeriodKind.MONTH: 1, PeriodKind.QUARTER: 3, PeriodKind.YEAR: 12}
_DAYS = {PeriodKind.DAY: 1, PeriodKind.WEEK: 7}


def next_first_day(kind: PeriodKind, first: date) -> date:
    """The first day of the period that follows the one of this first day; KeyError for hours."""
    if kind in _MONTHS:
        return _months_later(first, _MONTHS[kind])
    return first + timedelta(days=_DAYS[kind])


def _months_later(first: date, months: int) -> date:
    """The first day of a month so many months after (or before) one."""
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)
