"""The burn-up drawing and the words around it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.burnup import MAX_POINTS, burn_up, running_total
from budgets.labels import period_label, time_left
from common.periods import Period, PeriodKind, period_at

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
MIDDLE = datetime(2026, 11, 16, tzinfo=UTC)
USD = 10**9


def test_the_line_goes_from_nothing_to_what_was_spent() -> None:
    points = running_total(
        [(datetime(2026, 11, 4, tzinfo=UTC), 30 * USD), (datetime(2026, 11, 10, tzinfo=UTC), 30 * USD)]
    )
    drawing = burn_up(period=NOVEMBER, now=MIDDLE, points=points, spent=75 * USD, limit=100 * USD, forecast=150 * USD)
    assert drawing.amounts == [200 * USD, 150 * USD, 100 * USD, 50 * USD, 0]
    assert drawing.grid == [0, 250, 500, 750, 1000]
    assert drawing.line == "0,1000 100,850 300,700 500,625"
    assert drawing.area == "0,1000 0,1000 100,850 300,700 500,625 500,1000"
    assert (drawing.now, drawing.spent, drawing.limit, drawing.forecast) == (500, 625, 500, 250)
    assert [moment.day for moment in drawing.moments] == [1, 8, 16, 23, 1]


def test_without_usage_or_forecast() -> None:
    drawing = burn_up(period=NOVEMBER, now=NOVEMBER.start, points=[], spent=0, limit=USD, forecast=None)
    assert (drawing.line, drawing.forecast) == ("0,1000 0,1000", None)


def test_many_points_are_thinned_and_the_last_is_kept() -> None:
    points = [(NOVEMBER.start + timedelta(minutes=number + 1), number) for number in range(5000)]
    drawing = burn_up(period=NOVEMBER, now=MIDDLE, points=points, spent=5000, limit=5000, forecast=None)
    pairs = drawing.line.split(" ")
    assert len(pairs) <= MAX_POINTS + 2
    assert pairs[-2].split(",")[1] == str(1000 - 4999 * 1000 // drawing.amounts[0])


@given(
    st.integers(1, 10**18),
    st.integers(0, 10**19),
    st.none() | st.integers(0, 10**20),
    st.lists(st.integers(0, 10**15), max_size=20),
)
def test_nothing_is_drawn_outside(limit: int, spent: int, forecast: int | None, steps: list[int]) -> None:
    points = running_total([(NOVEMBER.start + timedelta(hours=index + 1), step) for index, step in enumerate(steps)])
    drawing = burn_up(period=NOVEMBER, now=MIDDLE, points=points, spent=spent, limit=limit, forecast=forecast)
    heights = [int(pair.split(",")[1]) for pair in drawing.line.split(" ")]
    assert all(0 <= height <= 1000 for height in [*heights, drawing.limit, drawing.forecast or 0, *drawing.grid])
    assert 2 <= len(drawing.amounts) <= 6
    assert drawing.amounts[0] > max(limit, spent)


@pytest.mark.parametrize(
    ("kind", "zone", "text"),
    [
        ("month", "UTC", "November 2026"),
        ("week", "UTC", "30 Nov – 6 Dec 2026"),
        ("day", "UTC", "Mon 30 Nov 2026"),
        ("month", "Asia/Tokyo", "December 2026"),
        ("day", "Asia/Tokyo", "Tue 1 Dec 2026"),
    ],
)
def test_periods_in_words(kind: str, zone: str, text: str) -> None:
    late = datetime(2026, 11, 30, 18, tzinfo=UTC)
    period = period_at(PeriodKind(kind), late, ZoneInfo(zone))
    assert period_label(PeriodKind(kind), period, ZoneInfo(zone)) == text


def test_a_week_inside_a_month() -> None:
    period = period_at(PeriodKind.WEEK, MIDDLE, ZoneInfo("Europe/Berlin"))
    assert period_label(PeriodKind.WEEK, period, ZoneInfo("Europe/Berlin")) == "16–22 Nov 2026"


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(days=9, hours=5), "9 days"),
        (timedelta(days=2), "2 days"),
        (timedelta(days=1, hours=23, minutes=59, seconds=59), "1 d 23 h"),
        (timedelta(hours=5, minutes=3), "5 h 3 min"),
        (timedelta(minutes=2, seconds=50), "2 min"),
        (timedelta(seconds=3), "1 min"),
    ],
)
def test_what_is_left(left: timedelta, text: str) -> None:
    assert time_left(NOVEMBER.end, NOVEMBER.end - left) == text
