"""Adding up: buckets of time, cells and dimensions."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pricing.usage_buckets import Buckets
from usage.records import Charged, Reported
from usage.rollup import DIMENSIONS, HOUR, QUARTER, add_up, bucket_of, bucket_size, by_dimension, quarter_of

NOON = datetime(2026, 7, 1, 12, 34, 56, 789, tzinfo=UTC)


def charged(time: datetime, *, cost: int | None = 100, model: str = "m", status: str = "ok", key: int = 7) -> Charged:
    buckets = Buckets(10, cache_read=5, cache_write_5m=3, cache_write_1h=2, output=20, reasoning_output=4, requests=2)
    event = Reported("id", time, "p", model, buckets, "chat", "standard", status, "miss", None, None, "provider",
                     "", "", "", "", "", "", "", "", "", {})  # fmt: skip
    reason = "" if cost is not None else "unknown_model"
    return Charged(event, time, 3, key, "p", model, cost, cost, None, reason)


@pytest.mark.parametrize(
    ("zone", "size"),
    [
        ("UTC", HOUR),
        ("Europe/Berlin", HOUR),
        ("America/New_York", HOUR),
        ("Asia/Kolkata", QUARTER),
        ("Asia/Kathmandu", QUARTER),
        ("America/St_Johns", QUARTER),
        ("Australia/Lord_Howe", QUARTER),
    ],
)
@pytest.mark.parametrize("month", [1, 7])
def test_the_grain_of_a_zone_is_the_same_all_year(zone: str, size: timedelta, month: int) -> None:
    assert bucket_size(ZoneInfo(zone), datetime(2026, month, 1, tzinfo=UTC)) == size


def test_buckets_of_time() -> None:
    assert bucket_of(NOON, HOUR) == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert bucket_of(NOON, QUARTER) == datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
    assert quarter_of(NOON) == datetime(2026, 7, 1, 12, 30, tzinfo=UTC)


def test_a_cell_sums_what_the_api_counts() -> None:
    cells = add_up([charged(NOON), charged(NOON, status="error"), charged(NOON, cost=None)], HOUR)
    ((cell, sums),) = cells.items()
    assert cell == (datetime(2026, 7, 1, 12, tzinfo=UTC), 3, 7, "p", "m")
    #        events requests errors unpriced list cost input read write output reasoning
    assert sums == [3, 6, 2, 2, 200, 200, 60, 15, 15, 72, 12]


def test_every_dimension_sums_to_the_same() -> None:
    times = [NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=2)]
    cells = add_up([charged(time, model=model, key=key) for time in times for model in "ab" for key in (1, 2)], HOUR)
    totals = by_dimension(cells)
    for dimension in DIMENSIONS:
        assert sum(sums[5] for key, sums in totals.items() if key[0] == dimension) == 12 * 100
    assert {value for dimension, _, value in totals if dimension == "virtual_key"} == {"1", "2"}
