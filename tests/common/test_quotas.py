"""Buckets that refill: what fits, what is left, what a caller is told."""

import pytest

from common.quotas import Quota, Standing, debt_at

TEN = Quota("ten", 10, "events", seconds=2)


@pytest.mark.parametrize(
    ("debt", "units", "short"),
    [
        (0.0, 10, 0.0),
        (0.0, 11, 0.0),  # more than the bucket holds costs the whole bucket
        (0.2, 11, 0.2),
        (0.2, 9, 0.0),
        (0.2, 10, 0.2),
        (2.0, 1, 0.2),
        (2.0, 0, 0.0),
        (0.1 + 0.2, 8, 0.0),
    ],
)
def test_what_fits_now_and_else_when(debt: float, units: int, short: float) -> None:
    assert TEN.shortage(debt, units) == pytest.approx(short)


@pytest.mark.parametrize(("debt", "left"), [(0.0, 10), (0.2, 9), (0.6, 7), (0.3, 8), (1.99, 0), (2.0, 0)])
def test_what_is_left(debt: float, left: int) -> None:
    assert TEN.left(debt) == left


@pytest.mark.parametrize(("full_at", "debt"), [(99.0, 0.0), (100.0, 0.0), (100.5, 0.5), (3700.0, 2.0)])
def test_a_clock_that_steps_back_locks_nobody_out_for_longer_than_a_window(full_at: float, debt: float) -> None:
    assert debt_at(full_at, 100.0, TEN) == debt


def test_taking_everything_pays_off_within_the_window() -> None:
    debt = TEN.price(10)
    assert TEN.shortage(debt, 1) > 0
    assert TEN.shortage(debt - 0.2, 1) == 0
    assert TEN.left(debt - 2) == 10


@pytest.mark.parametrize(("short", "seconds"), [(0.0, 1), (0.01, 1), (1.0, 1), (1.2, 2)])
def test_when_to_come_back(short: float, seconds: int) -> None:
    assert Standing(TEN, 0, 2.0, short).retry_after == seconds


def test_the_headers_items() -> None:
    assert TEN.policy == '"ten";q=10;w=2;qu="events"'
    assert Quota("calls", 5).policy == '"calls";q=5;w=1'
    assert Standing(TEN, 7, 0.6).limit == '"ten";r=7;t=1'
