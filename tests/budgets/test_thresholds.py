"""When a budget speaks up: tables in nano-USD and percent."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets.thresholds import crossed, percent, reached, run_rate


@pytest.mark.parametrize(
    ("spent", "limit", "thresholds", "highest"),
    [
        (0, 100, [50, 80, 100], 0),
        (49, 100, [50, 80, 100], 0),
        (50, 100, [50, 80, 100], 50),
        (79, 100, [50, 80, 100], 50),
        (100, 100, [50, 80, 100], 100),
        (10**6, 100, [50, 80, 100], 100),
        (10**6, 100, [], 0),
        (499_999_999_999, 10**12, [50], 0),
        (500_000_000_000, 10**12, [50], 50),
        (1, 3, [33, 34], 33),
        (Decimal(10) ** 30, 10**18, [1], 1),
        (0, 1, [1], 0),
        (1, 1, [100], 100),
    ],
)
def test_reached(spent: int, limit: int, thresholds: list[int], highest: int) -> None:
    assert reached(spent, limit, thresholds) == highest


@pytest.mark.parametrize(
    ("spent", "fired", "told"),
    [(49, 0, None), (50, 0, 50), (85, 0, 80), (85, 50, 80), (85, 80, None), (200, 80, 100), (200, 100, None),
     (10, 50, None)],
)  # fmt: skip
def test_a_jump_tells_of_the_highest_and_nothing_fires_twice(spent: int, fired: int, told: int | None) -> None:
    assert crossed(spent, 100, [50, 80, 100], fired=fired) == told


@given(st.lists(st.integers(0, 30), max_size=30), st.sets(st.integers(1, 100), max_size=10))
def test_a_course_of_spend_fires_upwards_and_each_once(steps: list[int], thresholds: set[int]) -> None:
    fired, spent, told = 0, 0, []
    for step in steps:
        spent += step
        crossing = crossed(spent, 100, sorted(thresholds), fired=fired)
        if crossing is not None:
            told.append(crossing)
            fired = crossing
    assert told == sorted(set(told))
    assert fired == reached(spent, 100, sorted(thresholds))


@pytest.mark.parametrize(
    ("spent", "limit", "text"),
    [(0, 7, "0.0"), (1, 3, "33.3"), (9_999, 10_000, "99.9"), (10_000, 10_000, "100.0"), (25, 10, "250.0"),
     (1, 10**18, "0.0")],
)  # fmt: skip
def test_percent_is_cut_not_rounded(spent: int, limit: int, text: str) -> None:
    assert str(percent(spent, limit)) == text


@pytest.mark.parametrize(
    ("spent", "elapsed", "forecast"),
    [
        (100, "0.5", 200),
        (100, "1", 100),
        (0, "0.5", 0),
        (100, "0.01", 10_000),
        (100, "0.009999", None),
        (100, "0", None),
        (10**18, "0.3", 3_333_333_333_333_333_333),
    ],
)
def test_run_rate(spent: int, elapsed: str, forecast: int | None) -> None:
    assert run_rate(spent, Decimal(elapsed)) == forecast
