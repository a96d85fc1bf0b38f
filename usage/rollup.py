"""How time is cut for sums. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

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


def quarter_of(time: datetime) -> datetime:
    """Every zone's midnight of today falls on a quarter of an hour, so quarters tell every budget's period exactly."""
    return bucket_of(time.astimezone(UTC), QUARTER)
