"""What pricing an event anew changes."""

from datetime import UTC, datetime

import pytest

from corrections.rerate import KEPT, UNCHANGED, Change, Standing, difference
from pricing.charge import Charge
from pricing.usage_buckets import Buckets


def standing(*, cost: int = 0, list_cost: int = 0, unpriced: bool = False, requests: int = 1) -> Standing:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return Standing(
        at, "e1", 1, 2, "openai", "gpt-4.1-nano", "openai", "gpt-4.1-nano", "standard", "ok", "miss", Buckets(),
        unpriced, requests if unpriced else 0, list_cost, cost,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "charge", "change"),
    [
        (standing(cost=5, list_cost=7), Charge(7, 5), UNCHANGED),
        (standing(cost=5, list_cost=7), Charge(8, 3), Change({"cost": -2, "list_cost": 1})),
        (standing(cost=5, list_cost=7), Charge(7, 6), Change({"cost": 1, "list_cost": 0})),
        (standing(cost=5, list_cost=7), Charge(None, None, "unknown_model"), KEPT),
        (standing(unpriced=True), Charge(None, None, "unknown_model"), UNCHANGED),
        (
            standing(unpriced=True, requests=3),
            Charge(9, 8),
            Change({"cost": 8, "list_cost": 9, "unpriced_requests": -3}, newly_priced=True),
        ),
        # A price of nothing is a price: the request is no longer without one.
        (
            standing(unpriced=True),
            Charge(0, 0),
            Change({"cost": 0, "list_cost": 0, "unpriced_requests": -1}, newly_priced=True),
        ),
    ],
)
def test_difference(before: Standing, charge: Charge, change: Change) -> None:
    assert difference(before, charge) == change
