"""Detectors: what is out of the ordinary, what is not, and when nobody can know."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.machine import Level
from common.money import NANO
from watch.detectors import (
    DAY,
    cache_hit_drop,
    cost_per_request,
    error_spend,
    forecast_overrun,
    growth,
    run_out,
    silent,
    spend_anomaly,
    used_up_at,
    usual_of,
)
from watch.hours import HOUR, Hours, same_before, weeks_before

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
WEEK = timedelta(weeks=1)
BAD, UNCLEAR, GOOD = Level.BAD, Level.UNCLEAR, Level.GOOD


def hours(dollars: Callable[[datetime], float], *, weeks: float = 10, end: datetime = NOW) -> Hours:
    """Spend by the hour up to `end`, from a function of the hour's start."""
    start = end - HOUR * int(weeks * 168)
    moments = [start + HOUR * number for number in range((end - start) // HOUR)]
    return Hours.of(start, end, {moment: int(dollars(moment) * NANO) for moment in moments})


def rhythm(at: datetime) -> float:
    """Ten dollars an hour by day, one by night and at weekends."""
    return 10.0 if 8 <= at.hour < 20 and at.weekday() < 5 else 1.0


def read(found: Hours, *, now: datetime = NOW, floor: int = 5) -> Level | None:
    anomaly = spend_anomaly(found, now, zone=UTC_ZONE, since=found.start, times=180, floor=floor * NANO)
    return None if anomaly is None else anomaly.level


def lately(factor: float, length: timedelta) -> Callable[[datetime], float]:
    return lambda at: rhythm(at) * (factor if at >= NOW - length else 1.0)


@pytest.mark.parametrize(
    ("factor", "length", "level"),
    [
        (1.0, DAY, GOOD),
        (1.3, DAY, GOOD),
        (1.6, DAY, UNCLEAR),
        (2.0, DAY, BAD),
        (2.0, HOUR * 6, BAD),
        (6.0, HOUR * 2, BAD),
        # An hour of twice as much is nothing to wake anybody for.
        (2.0, HOUR, GOOD),
        (0.0, DAY, GOOD),
    ],
)
def test_spend_against_the_same_hours_of_the_week(factor: float, length: timedelta, level: Level) -> None:
    assert read(hours(lately(factor, length))) is level


def test_monday_morning_is_no_anomaly_after_a_weekend() -> None:
    monday = datetime(2026, 11, 23, 14, tzinfo=UTC)
    assert read(hours(rhythm, end=monday), now=monday) is GOOD


def test_cents_never_alarm() -> None:
    cents = hours(lambda at: 0.01 * lately(50, DAY)(at))
    assert read(cents, floor=100) is GOOD
    assert read(cents, floor=1) is BAD


def test_without_history_there_is_silence() -> None:
    assert read(hours(lately(9, DAY), weeks=4)) is None
    assert read(hours(lately(9, DAY), weeks=4.2)) is BAD


def test_an_incident_of_the_past_neither_hides_nor_makes_another() -> None:
    def before(at: datetime) -> float:
        return rhythm(at) * (8.0 if NOW - 2 * WEEK - DAY <= at < NOW - 2 * WEEK else 1.0)

    assert read(hours(before)) is GOOD
    assert read(hours(lambda at: before(at) * (2.0 if at >= NOW - DAY else 1.0))) is BAD


def test_what_stays_higher_is_the_new_usual_and_a_quiet_week_is_not() -> None:
    risen = hours(lambda at: rhythm(at) * (2.0 if at >= NOW - 6 * DAY else 1.0))
    assert growth(risen, NOW, UTC_ZONE, risen.start) == 200
    assert read(risen) is GOOD
    quiet = hours(lambda at: rhythm(at) * (0.2 if NOW - 8 * DAY <= at < NOW - DAY else 1.0))
    assert growth(quiet, NOW, UTC_ZONE, quiet.start) == 100
    assert read(quiet) is GOOD


def test_a_noisy_scope_needs_more_to_stand_out() -> None:
    def noisy(at: datetime) -> float:
        return rhythm(at) * (0.2 if at.isocalendar().week % 2 else 1.8)

    even, odd = (read(hours(noisy, end=NOW + WEEK * week), now=NOW + WEEK * week) for week in range(2))
    assert BAD not in {even, odd}


def test_the_same_local_hour_over_a_change_of_clocks() -> None:
    berlin, monday = ZoneInfo("Europe/Berlin"), datetime(2026, 10, 26, 8, tzinfo=UTC)
    # 09:00 in Berlin, before and after the clocks went back on 25 October.
    assert weeks_before(monday, berlin, 2) == [
        datetime(2026, 10, 19, 7, tzinfo=UTC),
        datetime(2026, 10, 12, 7, tzinfo=UTC),
    ]


def test_weeks_that_begin_before_the_first_use_are_left_out() -> None:
    flat = hours(lambda at: 1.0, weeks=4)
    ends = weeks_before(NOW, UTC_ZONE)
    assert same_before(flat, ends, HOUR, flat.start) == [NANO] * 3
    assert same_before(flat, ends, HOUR, NOW - WEEK - HOUR) == [NANO]


@given(st.lists(st.integers(0, 10**15), min_size=4, max_size=8), st.integers(0, 10**18))
def test_one_wild_value_among_the_usual_ones_stays_within_them(values: list[int], wild: int) -> None:
    usual = usual_of([*values, values[0], wild])
    assert usual is not None
    assert min(*values, wild) <= usual.amount <= max(values)
    assert usual_of(values[:3]) is None


@given(st.integers(1, 400))
def test_more_spend_is_never_less_alarming(percent: int) -> None:
    order = [GOOD, UNCLEAR, BAD]
    less, more = (read(hours(lately(factor / 100, DAY))) for factor in (percent, percent + 50))
    assert less is not None
    assert more is not None
    assert order.index(less) <= order.index(more)


USUAL_DAYS = [(100 * NANO, 1000)] * 10


@pytest.mark.parametrize(
    ("now", "days", "level"),
    [
        ((100 * NANO, 1000), USUAL_DAYS, GOOD),
        ((160 * NANO, 1000), USUAL_DAYS, BAD),
        ((300 * NANO, 3000), USUAL_DAYS, GOOD),
        ((130 * NANO, 1000), USUAL_DAYS, UNCLEAR),
        # Dearer, but for few calls.
        ((16 * NANO, 99), USUAL_DAYS, None),
        # Dearer, but by a dollar in all.
        ((3 * NANO, 200), [(2 * NANO, 200)] * 10, GOOD),
        ((160 * NANO, 1000), USUAL_DAYS[:6], None),
        ((160 * NANO, 1000), [(100 * NANO, 50)] * 10, None),
    ],
)
def test_cost_per_request(now: tuple[int, int], days: list[tuple[int, int]], level: Level | None) -> None:
    found = cost_per_request(now, days, times=150, floor=5 * NANO, requests=100)
    assert (found.level if found else None) is level


@pytest.mark.parametrize(
    ("now", "level"),
    [((60, 100), GOOD), ((40, 100), BAD), ((48, 100), UNCLEAR), ((55, 100), GOOD), ((0, 50), None), ((90, 100), GOOD)],
)
def test_cache_hits(now: tuple[int, int], level: Level | None) -> None:
    found = cache_hit_drop(now, [(60, 100)] * 10, points=20, tokens=100)
    assert (found.level if found else None) is level


@pytest.mark.parametrize(
    ("failed", "total", "level"), [(0, 0, GOOD), (4, 10, GOOD), (5, 100, BAD), (5, 101, GOOD), (50, 100, BAD)]
)
def test_error_spend(failed: int, total: int, level: Level) -> None:
    assert error_spend(failed, total, floor=5, percent=5) is level


@pytest.mark.parametrize(
    ("now", "before", "level"),
    [
        (0, [20, 30, 40, 20], BAD),
        (1, [20, 30, 40, 20], GOOD),
        (0, [20, 30, 0, 20], UNCLEAR),
        (0, [20, 30, 40], None),
        (0, [20, 30, 40, 20, 0, 0], BAD),
    ],
)
def test_silent_keys(now: int, before: list[int], level: Level | None) -> None:
    assert silent(now, before, requests=20) is level


@pytest.mark.parametrize(
    ("left", "spent", "days"),
    [(100, 100, 10), (50, 100, 5), (0, 100, 0), (-5, 100, 0), (100, 0, None), (10**9, 1, None)],
)
def test_when_a_budget_is_used_up(left: int, spent: int, days: int | None) -> None:
    found = used_up_at(left=left, spent_lately=spent, lately=10 * DAY, now=NOW)
    assert found == (None if days is None else NOW + days * DAY)


@pytest.mark.parametrize(
    ("days", "level"), [(None, GOOD), (2, BAD), (3, BAD), (4, UNCLEAR), (5, GOOD), (20, GOOD), (40, GOOD)]
)
def test_running_out(days: int | None, level: Level) -> None:
    runs_out = None if days is None else NOW + days * DAY
    assert run_out(runs_out, now=NOW, end=NOW + 30 * DAY, days=3) is level


def test_what_lasts_until_its_period_ends_does_not_run_out() -> None:
    assert run_out(NOW + 2 * DAY, now=NOW, end=NOW + 2 * DAY, days=3) is GOOD


@pytest.mark.parametrize(
    ("forecast", "level"), [(None, None), (94, GOOD), (95, UNCLEAR), (99, UNCLEAR), (100, BAD), (500, BAD)]
)
def test_forecast(forecast: int | None, level: Level | None) -> None:
    assert forecast_overrun(forecast, 100, percent=100) is level
