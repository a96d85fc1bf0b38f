"""Ranges are whole local days; what they are compared with is as long; nonsense is refused with a sentence."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics.ranges import (
    InvalidRange,
    Range,
    allowed_intervals,
    days_label,
    interval_starts,
    parse_interval,
    parse_range,
)
from usage.questions import Interval

NEW_YORK, KOLKATA, BERLIN = (ZoneInfo(name) for name in ("America/New_York", "Asia/Kolkata", "Europe/Berlin"))
NOW = datetime(2026, 11, 23, 19, 40, tzinfo=UTC)


def chosen(zone: ZoneInfo = BERLIN, now: datetime = NOW, **parameters: str) -> Range:
    return parse_range(parameters, now=now, zone=zone)


@pytest.mark.parametrize(
    ("name", "first", "last", "before_first", "before_last"),
    [
        ("today", "2026-11-23", "2026-11-23", "2026-11-22", "2026-11-22"),
        ("7d", "2026-11-17", "2026-11-23", "2026-11-10", "2026-11-16"),
        ("month", "2026-11-01", "2026-11-23", "2026-10-01", "2026-10-23"),
        ("last-month", "2026-10-01", "2026-10-31", "2026-09-01", "2026-09-30"),
        ("30d", "2026-10-25", "2026-11-23", "2026-09-25", "2026-10-24"),
        ("90d", "2026-08-26", "2026-11-23", "2026-05-28", "2026-08-25"),
    ],
)
def test_named_ranges(name: str, first: str, last: str, before_first: str, before_last: str) -> None:
    found = chosen(range=name)
    days = (found.first, found.last, found.before_first, found.before_last)
    assert [day.isoformat() for day in days] == [first, last, before_first, before_last]


def test_the_month_is_the_default() -> None:
    assert chosen().name == chosen(range="").name == "month"
    assert chosen().parameters == {}


def test_a_day_is_a_local_day() -> None:
    found = chosen(KOLKATA, start="2026-11-23", end="2026-11-23")
    assert found.whole.start == datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
    assert found.whole.end == datetime(2026, 11, 23, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2025-11-02", 25), ("2026-03-09", 24)])
def test_days_of_a_change_of_clocks(day: str, hours: int) -> None:
    found = chosen(NEW_YORK, start=day, end=day)
    assert found.whole.end - found.whole.start == timedelta(hours=hours)
    assert len(interval_starts(found, Interval.HOUR)) == hours


@pytest.mark.parametrize(("minute", "hour"), [(0, 19), (29, 19), (30, 20), (59, 20)])
def test_what_is_running_is_compared_up_to_the_nearest_hour(minute: int, hour: int) -> None:
    found = chosen(range="7d", now=NOW.replace(minute=minute))
    assert found.before.start == datetime(2026, 11, 9, 23, tzinfo=UTC)
    assert found.before.end == datetime(2026, 11, 16, hour, tzinfo=UTC)


def test_just_after_midnight_there_is_nothing_to_compare_with() -> None:
    found = chosen(range="today", now=datetime(2026, 11, 22, 23, 10, tzinfo=UTC))
    assert found.before.start == found.before.end
    late = chosen(range="today", now=datetime(2026, 11, 23, 22, 50, tzinfo=UTC))
    assert late.before.end == late.whole.start


def test_the_same_hour_is_the_same_on_the_clock_after_a_change_of_clocks() -> None:
    # New York: 14:00 EST is 19:00 UTC, 14:00 EDT is 18:00 UTC.
    found = chosen(NEW_YORK, range="month", now=datetime(2026, 11, 23, 19, 20, tzinfo=UTC))
    assert found.before.end == datetime(2026, 10, 23, 18, tzinfo=UTC)


def test_a_long_month_is_never_compared_with_days_of_its_own() -> None:
    found = chosen(now=datetime(2026, 3, 31, 12, tzinfo=UTC), range="month")
    assert found.before.end == found.whole.start
    assert (found.before_first, found.before_last) == (date(2026, 2, 1), date(2026, 2, 28))


def test_what_is_over_is_compared_whole() -> None:
    found = chosen(start="2026-10-05", end="2026-10-11")
    assert found.before.end == found.whole.start
    assert found.before.start == datetime(2026, 9, 27, 22, tzinfo=UTC)


def test_one_date_is_enough() -> None:
    assert (chosen(start="2026-11-20").first, chosen(start="2026-11-20").last) == (
        date(2026, 11, 20),
        date(2026, 11, 23),
    )
    assert chosen(end="2026-11-20").days == 1


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"start": "1900-01-01", "end": "2100-01-01"}, "Choose dates from"),
        ({"start": "2026-11-02", "end": "2026-11-01"}, "ends (2026-11-01) before it starts"),
        ({"start": "2026-02-30", "end": "2026-03-01"}, "real day"),
        ({"start": "2016-11-01", "end": "2026-11-01"}, "longer than 400 days"),
        ({"start": "0000-00-00"}, "real day"),
        ({"start": "20261101", "end": "20261102"}, "real day"),
        ({"start": "2026-W01-1"}, "real day"),
        ({"start": "٢٠٢٦-١١-٠١"}, "real day"),
        ({"start": "9999-12-31", "end": "9999-12-31"}, "Choose dates from"),
        ({"range": "decade"}, "no such time range"),
    ],
)
def test_nonsense_is_refused(parameters: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidRange) as refused:
        parse_range(parameters, now=NOW, zone=BERLIN)
    assert says in str(refused.value)


def test_the_longest_range_is_fine() -> None:
    assert chosen(start="2025-10-20", end="2026-11-23").days == 400


@pytest.mark.parametrize(("name", "interval"), [("today", "hour"), ("7d", "day"), ("month", "day"), ("90d", "day")])
def test_the_interval_fits_by_itself(name: str, interval: str) -> None:
    assert parse_interval("", chosen(range=name)) == interval


def test_weeks_for_long_ranges() -> None:
    found = chosen(start="2026-01-01", end="2026-11-23")
    assert parse_interval("", found) == Interval.WEEK
    starts = [start.astimezone(BERLIN).date() for start in interval_starts(found, Interval.WEEK)]
    assert starts[:3] == [date(2026, 1, 1), date(2026, 1, 5), date(2026, 1, 12)]


@pytest.mark.parametrize("interval", ["hour", "minute", "Day"])
def test_an_interval_that_does_not_fit_is_refused(interval: str) -> None:
    with pytest.raises(InvalidRange):
        parse_interval(interval, chosen(range="30d"))


def test_only_sensible_intervals_are_offered() -> None:
    assert allowed_intervals(chosen(range="today")) == ["hour"]
    assert allowed_intervals(chosen(range="7d")) == ["hour", "day"]
    assert allowed_intervals(chosen(range="90d")) == ["day", "week"]


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        ("2026-11-24", "2026-11-24", "24 Nov 2026"),
        ("2026-11-01", "2026-11-24", "1–24 Nov 2026"),
        ("2026-10-26", "2026-11-24", "26 Oct – 24 Nov 2026"),
        ("2025-12-20", "2026-01-03", "20 Dec 2025 – 3 Jan 2026"),
    ],
)
def test_labels(first: str, last: str, label: str) -> None:
    assert days_label(date.fromisoformat(first), date.fromisoformat(last)) == label


def test_the_year_is_said_once() -> None:
    assert chosen(range="month").before_label == "1–23 Oct"
    assert chosen(now=datetime(2026, 1, 5, tzinfo=UTC), range="month").before_label == "1–5 Dec 2025"
