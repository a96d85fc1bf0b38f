"""The weeks and months that a cost review is about: whole local ones, and when their review is sent. Pure."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from analytics.ranges import FIRST_DAY, InvalidRange
from common.periods import Period, local_midnight

WEEK, MONTH = "week", "month"
# Local time of the day after the period.
SENT_AT = time(7)
_ONE_DAY, _ONE_WEEK = timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ReviewPeriod:
    """A local week from Monday or a calendar month, by its first day."""

    every: str
    first: date
    zone: ZoneInfo

    @property
    def after(self) -> date:
        """The first day of the next one."""
        if self.every == WEEK:
            return self.first + _ONE_WEEK
        return (self.first + timedelta(days=31)).replace(day=1)

    @property
    def next(self) -> "ReviewPeriod":
        return ReviewPeriod(self.every, self.after, self.zone)

    @property
    def previous(self) -> "ReviewPeriod":
        last = self.first - _ONE_DAY
        return ReviewPeriod(
            self.every, last.replace(day=1) if self.every == MONTH else self.first - _ONE_WEEK, self.zone
        )

    @property
    def whole(self) -> Period:
        return Period(local_midnight(self.first, self.zone), local_midnight(self.after, self.zone))

    @property
    def sent_from(self) -> datetime:
        """The moment from which its review may be sent."""
        return datetime.combine(self.after, SENT_AT).replace(tzinfo=self.zone)

    @property
    def parameter(self) -> str:
        """As an address has it: 2026-W47 or 2026-11."""
        if self.every == MONTH:
            return f"{self.first:%Y-%m}"
        year, week, _ = self.first.isocalendar()
        return f"{year}-W{week:02d}"

    @property
    def label(self) -> str:
        if self.every == MONTH:
            return f"{self.first:%B %Y}"
        last = self.after - _ONE_DAY
        return f"{self.first.day} {self.first:%b} – {last.day} {last:%b %Y}"


def last_ended(every: str, now: datetime, zone: ZoneInfo) -> ReviewPeriod:
    """The latest period that is over."""
    today = now.astimezone(zone).date()
    first = today.replace(day=1) if every == MONTH else today - timedelta(days=today.weekday())
    return ReviewPeriod(every, first, zone).previous


def parse_period(text: str, now: datetime, zone: ZoneInfo) -> ReviewPeriod:
    """The period of an address; the last whole month for none. InvalidRange for what is none or is not over yet."""
    if not text:
        return last_ended(MONTH, now, zone)
    period = _parsed(text, zone)
    if period is None or period.first < FIRST_DAY:
        raise InvalidRange("A review is about a month, written like 2026-11, or a week, written like 2026-W47.")
    if period.first > last_ended(period.every, now, zone).first:
        raise InvalidRange(f"This {period.every} is not over yet. Choose an earlier one.")
    return period


def _parsed(text: str, zone: ZoneInfo) -> ReviewPeriod | None:
    try:
        if found := re.fullmatch(r"([0-9]{4})-([0-9]{2})", text):
            return ReviewPeriod(MONTH, date(int(found[1]), int(found[2]), 1), zone)
        if found := re.fullmatch(r"([0-9]{4})-W([0-9]{2})", text):
            return ReviewPeriod(WEEK, date.fromisocalendar(int(found[1]), int(found[2]), 1), zone)
    except ValueError:
        return None
    return None
