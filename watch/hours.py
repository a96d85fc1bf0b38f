"""A figure by the hour, and the same stretch of time in the weeks before. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
WEEKS = 8
# With fewer weeks to compare with, nobody knows what is usual.
LEAST_WEEKS = 4


@dataclass(frozen=True, slots=True)
class Hours:
    """Whole hours from `start` on, without a gap; `running[n]` is the sum of the first n of them."""

    start: datetime
    running: Sequence[int]

    @classmethod
    def of(cls, start: datetime, end: datetime, found: Mapping[datetime, int]) -> "Hours":
        """The hours of [start, end); those that are not among the found ones had nothing."""
        count = (end - start) // HOUR
        return cls(start, (0, *accumulate(found.get(start + HOUR * number, 0) for number in range(count))))

    @property
    def end(self) -> datetime:
        return self.start + HOUR * (len(self.running) - 1)

    def before(self, end: datetime, length: timedelta) -> int | None:
        """The sum of the hours of [end - length, end); None for a stretch that begins before the figures do."""
        last = (end - self.start) // HOUR
        first = last - length // HOUR
        return None if first < 0 or last >= len(self.running) else self.running[last] - self.running[first]


def weeks_before(moment: datetime, zone: ZoneInfo, weeks: int = WEEKS) -> list[datetime]:
    """The same local time of the week in the weeks before, latest first, in UTC."""
    local = moment.astimezone(zone).replace(tzinfo=None)
    return [(local - timedelta(weeks=week)).replace(tzinfo=zone).astimezone(UTC) for week in range(1, weeks + 1)]


def same_before(hours: Hours, ends: Sequence[datetime], length: timedelta, since: datetime) -> list[int]:
    """What the stretches of a length had that end at these moments; those that begin before `since` are left out."""
    found = (hours.before(moment, length) for moment in ends if moment - length >= since)
    return [each for each in found if each is not None]
