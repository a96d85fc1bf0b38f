"""Adding events up. Pure.

The cube has one cell per bucket of time, team, key, provider and model; every other rollup is a sum of its cells.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from usage.records import Charged


class Cell(NamedTuple):
    """The key of a cube cell. `bucket` is the UTC start of the interval."""

    bucket: datetime
    team_id: int
    virtual_key_id: int
    provider: str
    model: str


# In the order of usage.tables.MEASURES; exact sums, costs in nano-USD.
Sums = list[int]

DIMENSIONS = ("total", "provider", "model", "team", "virtual_key")
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)
HALF_A_YEAR = timedelta(days=182)


def bucket_size(zone: ZoneInfo, at: datetime) -> timedelta:
    """An hour, or a quarter where the zone's clocks, in summer or winter, are not whole hours from UTC.

    The days of such a zone cut hours in two. Both halves of the year count, because Lord Howe Island moves its clocks
    by half an hour and a grain that changed with them would not add up.
    """
    offsets = [moment.astimezone(zone).utcoffset() or timedelta() for moment in (at, at + HALF_A_YEAR)]
    return HOUR if all(offset % HOUR == timedelta() for offset in offsets) else QUARTER


def bucket_of(time: datetime, size: timedelta) -> datetime:
    minute = 0 if size == HOUR else time.minute - time.minute % 15
    return time.replace(minute=minute, second=0, microsecond=0)


def add_up(charged: Iterable[Charged], size: timedelta) -> dict[Cell, Sums]:
    """The cube cells of these events."""
    cells: dict[Cell, Sums] = {}
    for item in charged:
        event = item.event
        buckets = event.buckets
        cell = Cell(bucket_of(event.time, size), item.team_id, item.virtual_key_id, item.provider, item.model)
        sums = cells.get(cell)
        if sums is None:
            sums = cells[cell] = [0] * 11
        requests = buckets.requests
        sums[0] += 1
        sums[1] += requests
        if event.status == "error":
            sums[2] += requests
        if item.cost is None:
            sums[3] += requests
        else:
            sums[4] += item.list_cost or 0
            sums[5] += item.cost
        sums[6] += buckets.input_tokens
        sums[7] += buckets.cache_read
        sums[8] += buckets.cache_write_5m + buckets.cache_write_1h
        sums[9] += buckets.output_tokens
        sums[10] += buckets.reasoning_output
    return cells


def by_dimension(cells: Mapping[Cell, Sums]) -> dict[tuple[str, datetime, str], Sums]:
    """(dimension, bucket, value) → sums."""
    totals: dict[tuple[str, datetime, str], Sums] = {}
    for cell, sums in cells.items():
        values = ("", cell.provider, cell.model, str(cell.team_id), str(cell.virtual_key_id))
        for dimension, value in zip(DIMENSIONS, values, strict=True):
            key = (dimension, cell.bucket, value)
            before = totals.get(key)
            totals[key] = list(sums) if before is None else [a + b for a, b in zip(before, sums, strict=True)]
    return totals


def quarter_of(time: datetime) -> datetime:
    """Every zone's midnight of today falls on a quarter of an hour, so quarters tell every budget's period exactly."""
    return bucket_of(time.astimezone(UTC), QUARTER)
