"""Geometry of bars and sparklines in thousandths."""

from decimal import Decimal

import pytest

from common import bars


@pytest.mark.parametrize(
    ("used", "elapsed", "state"),
    [
        (None, Decimal(50), "none"),
        (Decimal(0), Decimal(0), "on-track"),
        (Decimal(60), Decimal(50), "on-track"),
        (Decimal("60.1"), Decimal(50), "ahead"),
        (Decimal(60), None, "on-track"),
        (Decimal(90), Decimal(95), "near"),
        (Decimal(100), Decimal(100), "near"),
        (Decimal("100.01"), Decimal(100), "over"),
    ],
)
def test_budget_state(used: Decimal | None, elapsed: Decimal | None, state: str) -> None:
    assert bars.budget_state(used, elapsed) == state
    assert state in bars.STATES


def test_below_the_limit_the_bar_is_as_long_as_the_limit() -> None:
    bar = bars.budget_bar(spent=600, reserved=100, limit=1000, elapsed=Decimal(75))
    assert (bar.spent, bar.reserved, bar.limit, bar.past, bar.pace) == (600, 100, 1000, 0, 750)
    assert bar.summary == "60% of the limit spent; 75% of the period has passed"


def test_past_the_limit_the_bar_grows_and_the_limit_moves_in() -> None:
    bar = bars.budget_bar(spent=2000, limit=1000, elapsed=Decimal(50))
    assert (bar.spent, bar.limit, bar.past, bar.pace) == (1000, 500, 500, 250)
    assert bar.state == "over"


def test_without_a_limit_nothing_is_filled() -> None:
    bar = bars.budget_bar(spent=2000, reserved=5, limit=None)
    assert (bar.spent, bar.reserved, bar.pace, bar.state, bar.summary) == (0, 0, None, "none", "no limit")


def test_a_limit_of_zero_that_nothing_was_spent_of_divides_by_nothing() -> None:
    assert bars.budget_bar(spent=0, limit=0, elapsed=Decimal(10)).spent == 0


def test_a_refund_is_no_negative_width() -> None:
    assert bars.budget_bar(spent=-5, limit=100).spent == 0


def test_a_small_share_is_still_seen() -> None:
    assert bars.share_width(1, 10**9) == 4
    assert bars.share_width(0, 10**9) == 0
    assert bars.share_width(1, 0) == 0
    assert bars.share_width(5, 10) == 500


def test_spark_points_span_the_box() -> None:
    assert bars.spark_points([0, 5, 10]) == "0.0,22.0 50.0,12.0 100.0,2.0"
    assert bars.spark_points([None]) == "0.0,22.0"
    assert bars.spark_points([]) == ""
