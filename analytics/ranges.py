"""The time range of a page: whole local days, what they are compared with, and how a chart cuts them. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from common.periods import Period, local_midnight
from usage.questions import Interval
from usage.rollup import HOUR

# name in the address → text of the link
RANGES: Mapping[str, str] = {
    "today": "Today",
    "7d": "7 days",
    "month": "This month",
    "last-month": "Last month",
    "30d": "30 days",
    "90d": "90 days",
}
DEFAULT, CUSTOM = "month", "custom"
INTERVALS = (Interval.HOUR, Interval.DAY, Interval.WEEK)

MAX_DAYS = 400
MAX_HOURLY_DAYS = 14
FIRST_DAY = date(2015, 1, 1)
_ONE_DAY = timedelta(days=1)


class InvalidRange(ValueError):
    """The sentence says what is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class Range:
    """The local days `first` to `last` (`whole`) and the ones they are compared with (`before`).

    While the range is running, the earlier days are cut at the same time of day, to the nearest hour: rollups know
    whole hours, and what the running hour costs must show at once.
    """

    name: str
    first: date
    last: date
    whole: Period
    before_first: date
    before_last: date
    before: Period
    zone: ZoneInfo

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def whole_days(self) -> "Range":
        """The range compared with whole days, for what is summed by the day only."""
        end = max(self.before.end, local_midnight(self.before_last + _ONE_DAY, self.zone))
        return replace(self, before=Period(self.before.start, min(end, self.whole.start)))

    @property
    def label(self) -> str:
        return days_label(self.first, self.last)

    @property
    def before_label(self) -> str:
        return days_label(self.before_first, self.before_last, of_year=self.last.year)

    @property
    def parameters(self) -> dict[str, str]:
        """The range as its address has it."""
        if self.name == CUSTOM:
            return {"start": self.first.isoformat(), "end": self.last.isoformat()}
        return {} if self.name == DEFAULT else {"range": self.name}


def parse_range(parameters: Mapping[str, str], *, now: datetime, zone: ZoneInfo) -> Range:
    """The range of an address; `start` and `end` (local days, both included) win over `range`. See InvalidRange."""
    today = now.astimezone(zone).date()
    start, end = parameters.get("start", ""), parameters.get("end", "")
    if start or end:
        return _custom(_day("start", start or end), _day("end", end or today.isoformat()), now, zone)
    name = parameters.get("range", DEFAULT) or DEFAULT
    if name not in RANGES:
        raise InvalidRange(f"There is no such time range. Choose one of {', '.join(RANGES.values())}, or two dates.")
    first, last = _FIRST_AND_LAST[name](today)
    months = name in {"month", "last-month"}
    before_first = _month_before(first) if months else first - (last - first) - _ONE_DAY
    return _range(name, first, last, before_first, now, zone)


def _custom(first: date, last: date, now: datetime, zone: ZoneInfo) -> Range:
    latest = now.astimezone(zone).date() + timedelta(days=366)
    if last < first:
        raise InvalidRange(f"The range ends ({last}) before it starts ({first}).")
    if first < FIRST_DAY or last > latest:
        raise InvalidRange(f"Choose dates from {FIRST_DAY} to {latest}.")
    if (last - first).days >= MAX_DAYS:
        raise InvalidRange(f"The range is longer than {MAX_DAYS} days. Choose a shorter one.")
    return _range(CUSTOM, first, last, first - (last - first) - _ONE_DAY, now, zone)


def _day(name: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Python reads other spellings of ISO 8601 as well; an address has one.
    if day is None or day.isoformat() != text:
        raise InvalidRange(f"The {name} of the range must be a real day, written like 2026-01-31.")
    return day


def _month_before(first: date) -> date:
    return (first - _ONE_DAY).replace(day=1)


def _this_month(today: date) -> tuple[date, date]:
    return today.replace(day=1), today


def _last_month(today: date) -> tuple[date, date]:
    last = today.replace(day=1) - _ONE_DAY
    return last.replace(day=1), last


def _last_days(count: int) -> Callable[[date], tuple[date, date]]:
    return lambda today: (today - timedelta(days=count - 1), today)


_FIRST_AND_LAST: Mapping[str, Callable[[date], tuple[date, date]]] = {
    "today": _last_days(1),
    "7d": _last_days(7),
    "month": _this_month,
    "last-month": _last_month,
    "30d": _last_days(30),
    "90d": _last_days(90),
}


def _range(name: str, first: date, last: date, before_first: date, now: datetime, zone: ZoneInfo) -> Range:
    whole = Period(local_midnight(first, zone), local_midnight(last + _ONE_DAY, zone))
    nearest_hour = (now.astimezone(UTC) + HOUR / 2).replace(minute=0, second=0, microsecond=0)
    through = whole.end if now >= whole.end else min(max(whole.start, nearest_hour), whole.end)
    before_start = local_midnight(before_first, zone)
    if through == whole.end and name == "last-month":
        before_end = whole.start
    else:
        # The same distance on the calendar and the clock, whatever the clocks did in between.
        before_end = _same_distance(first, before_first, through, zone)
    before = Period(before_start, min(max(before_end, before_start), whole.start))
    before_last = (before.end - timedelta(microseconds=1)).astimezone(zone).date()
    return Range(
        name=name,
        first=first,
        last=last,
        whole=whole,
        before_first=before_first,
        before_last=max(before_first, before_last),
        before=before,
        zone=zone,
    )


def _same_distance(first: date, before_first: date, through: datetime, zone: ZoneInfo) -> datetime:
    passed = through.astimezone(zone).replace(tzinfo=None) - datetime.combine(first, time())
    return (datetime.combine(before_first, time()) + passed).replace(tzinfo=zone).astimezone(UTC)


def parse_interval(text: str, chosen: Range, *, hours: bool = True) -> Interval:
    """The interval of the chart: as asked for, or the one that makes a readable number of bars.

    `hours` says whether what is asked for is summed by the hour.
    """
    if text == Interval.HOUR and not hours:
        raise InvalidRange("This combination is summed by whole days. Choose days or weeks, or fewer filters.")
    if not text:
        if not hours and chosen.days <= 92:
            return Interval.DAY
        return Interval.HOUR if chosen.days <= 2 else Interval.DAY if chosen.days <= 92 else Interval.WEEK
    if text not in INTERVALS:
        raise InvalidRange(f"A chart goes by {', '.join(INTERVALS)}.")
    if text == Interval.HOUR and chosen.days > MAX_HOURLY_DAYS:
        raise InvalidRange(f"By the hour a chart covers at most {MAX_HOURLY_DAYS} days. Choose fewer days.")
    return Interval(text)


def allowed_intervals(chosen: Range, *, hours: bool = True) -> list[Interval]:
    """The intervals worth choosing for a range."""
    fits = {
        Interval.HOUR: hours and chosen.days <= MAX_HOURLY_DAYS,
        Interval.DAY: chosen.days > 1,
        Interval.WEEK: chosen.days > MAX_HOURLY_DAYS,
    }
    return [interval for interval in INTERVALS if fits[interval]]


def interval_starts(chosen: Range, interval: Interval) -> list[datetime]:
    """The UTC start of every interval of the range. A week starts on Monday, the first one with the range."""
    if interval == Interval.HOUR:
        count = -((chosen.whole.start - chosen.whole.end) // HOUR)
        return [chosen.whole.start + HOUR * number for number in range(count)]
    days = (chosen.first + timedelta(days=number) for number in range(chosen.days))
    return [
        local_midnight(day, chosen.zone)
        for day in days
        if interval == Interval.DAY or day == chosen.first or day.weekday() == 0
    ]


def days_label(first: date, last: date, *, of_year: int | None = None) -> str:
    """ "1–24 Nov 2026", "26 Oct – 24 Nov 2026", "24 Nov 2026"; without the year when it is `of_year`."""
    year = "" if last.year == of_year == first.year else f" {last.year}"
    if first == last:
        return f"{last:%-d %b}{year}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last:%-d %b}{year}"
    first_year = "" if first.year == last.year else f" {first.year}"
    return f"{first:%-d %b}{first_year} – {last:%-d %b}{year}"
