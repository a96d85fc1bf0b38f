"""How time is cut for sums."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from usage.rollup import HOUR, QUARTER, bucket_of, bucket_size, quarter_of

NOON = datetime(2026, 7, 1, 12, 34, 56, 789, tzinfo=UTC)


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
