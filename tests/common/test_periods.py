"""Periods in the zones where calendars are hard: every instant lies in exactly one, and they touch."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.periods import Period, PeriodKind, local_midnight, period_at, previous_period

US = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
HARD_ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",  # +05:45
    "Asia/Kolkata",
    "Australia/Lord_Howe",  # half an hour of summer time
    "America/Santiago",  # midnight is skipped in spring
    "Africa/Cairo",
    "Asia/Beirut",
    "America/Havana",  # midnight comes twice in autumn
    "Atlantic/Azores",
    "America/St_Johns",  # clocks went back over midnight until 2011
    "Pacific/Apia",  # 30 December 2011 never was
    "Pacific/Kwajalein",
    "Pacific/Chatham",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "America/Caracas",
)
zones = st.sampled_from(HARD_ZONES) | st.sampled_from(sorted(available_timezones() - {"localtime"}))
instants = st.datetimes(datetime(1995, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
kinds = st.sampled_from(list(PeriodKind))
week_starts = st.integers(0, 6)


@st.composite
def near_midnight(draw: st.DrawFn) -> tuple[str, datetime]:
    """An instant within two hours of a local midnight, where mistakes live; clocks change in many of these nights."""
    zone = draw(zones)
    day = draw(st.dates(date(1995, 1, 1), date(2035, 12, 31)))
    return zone, local_midnight(day, ZoneInfo(zone)) + timedelta(seconds=draw(st.integers(-7200, 7200)))


@settings(deadline=None, max_examples=1000)
@given(zones.flatmap(lambda zone: st.tuples(st.just(zone), instants)) | near_midnight(), kinds, week_starts)
def test_every_instant_lies_in_exactly_one_period(
    where: tuple[str, datetime], kind: PeriodKind, week_start: int
) -> None:
    zone, instant = ZoneInfo(where[0]), where[1]
    period = period_at(kind, instant, zone, week_start=week_start)
    assert instant in period
    assert period.start < period.end
    # Whoever is in it is in no other: its edges, and the middle, name the same one.
    for other in (period.start, period.start + (period.end - period.start) / 2, period.end - US):
        assert period_at(kind, other, zone, week_start=week_start) == period


@settings(deadline=None, max_examples=500)
@given(zones.flatmap(lambda zone: st.tuples(st.just(zone), instants)) | near_midnight(), kinds, week_starts)
def test_consecutive_periods_touch(where: tuple[str, datetime], kind: PeriodKind, week_start: int) -> None:
    zone, instant = ZoneInfo(where[0]), where[1]
    period = period_at(kind, instant, zone, week_start=week_start)
    after = period_at(kind, period.end, zone, week_start=week_start)
    assert after.start == period.end
    assert previous_period(kind, after, zone, week_start=week_start) == period


@settings(deadline=None, max_examples=300)
@given(zones, instants, kinds, week_starts)
def test_a_period_begins_on_its_day(zone_name: str, instant: datetime, kind: PeriodKind, week_start: int) -> None:
    zone = ZoneInfo(zone_name)
    first = period_at(kind, instant, zone, week_start=week_start).start.astimezone(zone)
    skipped = (first - US).date() != first.date() and first.date() - (first - US).date() > timedelta(days=1)
    if kind is PeriodKind.WEEK and not skipped:
        assert first.weekday() == week_start
    if kind is PeriodKind.MONTH and not skipped:
        assert first.day == 1


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", "2026-03-29", "2026-03-29T00:00Z", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00Z", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00Z", 25),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00Z", 23),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00Z", 25),
        ("Asia/Kathmandu", "2026-06-01", "2026-05-31T18:15Z", 24),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00Z", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30Z", 23.5),
        # Midnight does not exist: the day begins at one o'clock.
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00Z", 23),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00Z", 23),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00Z", 23),
        # The clocks go back to 23:00: the day before is the long one.
        ("America/Santiago", "2026-04-04", "2026-04-04T03:00Z", 25),
        ("America/Santiago", "2026-04-05", "2026-04-05T04:00Z", 24),
        ("Africa/Cairo", "2026-10-29", "2026-10-28T21:00Z", 25),
        # Midnight comes twice: the day begins at the first.
        ("America/Havana", "2026-11-01", "2026-11-01T04:00Z", 25),
        ("Atlantic/Azores", "2026-10-25", "2026-10-25T00:00Z", 25),
        # At 00:01 the clocks went back to 23:01: the new day had begun.
        ("America/St_Johns", "2010-11-07", "2010-11-07T02:30Z", 25),
        ("America/St_Johns", "2010-11-06", "2010-11-06T02:30Z", 24),
        # The clocks went from 23:30 to 00:30: midnight lies inside the gap, and the day begins after it.
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30Z", 23.5),
    ],
)
def test_days(zone: str, day: str, start: str, hours: float) -> None:
    period = period_at(PeriodKind.DAY, datetime.fromisoformat(start), ZoneInfo(zone))
    assert period.start == datetime.fromisoformat(start)
    assert period.end - period.start == timedelta(hours=hours)
    assert period.start.astimezone(ZoneInfo(zone)).date() == date.fromisoformat(day)
    assert period_at(PeriodKind.DAY, period.start - US, ZoneInfo(zone)).end == period.start


def test_yesterdays_date_shown_again_belongs_to_the_day_that_had_begun() -> None:
    """Half past eleven comes a second time after midnight in St. John's."""
    zone, again = ZoneInfo("America/St_Johns"), datetime(2010, 11, 7, 3, tzinfo=UTC)
    assert (again.astimezone(zone).day, again.astimezone(zone).hour) == (6, 23)
    period = period_at(PeriodKind.DAY, again, zone)
    assert again in period
    assert period == period_at(PeriodKind.DAY, datetime(2010, 11, 7, 12, tzinfo=UTC), zone)


def test_a_day_that_never_was_is_no_period() -> None:
    """Samoa went from 29 to 31 December 2011."""
    zone = ZoneInfo("Pacific/Apia")
    change = datetime(2011, 12, 30, 10, tzinfo=UTC)
    before, after = period_at(PeriodKind.DAY, change - US, zone), period_at(PeriodKind.DAY, change, zone)
    assert (before.end, after.start) == (change, change)
    assert (before.start.astimezone(zone).day, after.start.astimezone(zone).day) == (29, 31)
    assert previous_period(PeriodKind.DAY, after, zone) == before
    month = period_at(PeriodKind.MONTH, change, zone)
    assert month.end - month.start == timedelta(days=30)


@pytest.mark.parametrize(
    ("kind", "zone", "week_start", "instant", "start", "end"),
    [
        ("month", "UTC", 0, "2026-02-28T23:59:59.999999Z", "2026-02-01T00:00Z", "2026-03-01T00:00Z"),
        ("month", "UTC", 0, "2028-02-29T12:00Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z"),
        ("month", "UTC", 0, "2026-12-31T23:59Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
        ("month", "Europe/Berlin", 0, "2026-02-28T23:00Z", "2026-02-28T23:00Z", "2026-03-31T22:00Z"),
        ("month", "Pacific/Auckland", 0, "2026-11-30T11:00Z", "2026-11-30T11:00Z", "2026-12-31T11:00Z"),
        ("month", "America/New_York", 0, "2026-12-01T04:59Z", "2026-11-01T04:00Z", "2026-12-01T05:00Z"),
        ("week", "UTC", 0, "2026-11-24T12:00Z", "2026-11-23T00:00Z", "2026-11-30T00:00Z"),
        ("week", "UTC", 6, "2026-11-24T12:00Z", "2026-11-22T00:00Z", "2026-11-29T00:00Z"),
        ("week", "UTC", 1, "2026-11-24T00:00Z", "2026-11-24T00:00Z", "2026-12-01T00:00Z"),
        ("week", "UTC", 2, "2026-11-24T23:59Z", "2026-11-18T00:00Z", "2026-11-25T00:00Z"),
        ("week", "Europe/Berlin", 0, "2026-10-25T12:00Z", "2026-10-18T22:00Z", "2026-10-25T23:00Z"),
        ("week", "Europe/Berlin", 6, "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-31T23:00Z"),
        ("week", "UTC", 0, "2027-01-01T00:00Z", "2026-12-28T00:00Z", "2027-01-04T00:00Z"),
    ],
)
def test_weeks_and_months(kind: str, zone: str, week_start: int, instant: str, start: str, end: str) -> None:
    found = period_at(PeriodKind(kind), datetime.fromisoformat(instant), ZoneInfo(zone), week_start=week_start)
    assert found == Period(datetime.fromisoformat(start), datetime.fromisoformat(end))


def test_a_period_is_half_open() -> None:
    period = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert period.start in period
    assert period.end - US in period
    assert period.end not in period
    assert period.start - US not in period


def test_how_much_has_passed_is_exact() -> None:
    period = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert period.elapsed(period.start - HOUR) == 0
    assert period.elapsed(period.start) == 0
    assert period.elapsed(period.start + timedelta(days=3)) == Decimal("0.1")
    assert period.elapsed(period.end) == period.elapsed(period.end + HOUR) == 1
