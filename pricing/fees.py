"""A flat fee, spread over the hours of what it pays for. Pure; amounts in nano-USD.

The parts of a period's hours add up to its fee to the nano-dollar, whether the month has 28 days or a day has 25 hours:
each part is the difference of two roundings of what was due so far. A fee per month belongs to calendar months of the
zone; a term that begins or ends within one pays for the hours it covers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from common.periods import Period, PeriodKind, local_midnight, period_at

HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


class Part(NamedTuple):
    """What is due for one hour: from `start` (inclusive) to `end`. A clock change by half an hour makes a short one."""

    start: datetime
    end: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class Fee:
    """`amount` per calendar month, or once for the whole term. Local days of the zone, both ends included."""

    amount: int
    monthly: bool
    first_day: date
    last_day: date | None  # None: open, for a monthly fee only
    zone: ZoneInfo

    @property
    def start(self) -> datetime:
        return local_midnight(self.first_day, self.zone)

    @property
    def end(self) -> datetime | None:
        return None if self.last_day is None else local_midnight(self.last_day + _DAY, self.zone)

    def span_at(self, moment: datetime) -> Period:
        """The period whose hours share the fee."""
        if self.monthly or self.end is None:
            return period_at(PeriodKind.MONTH, moment, self.zone)
        return Period(self.start, self.end)

    def parts(self, after: datetime, until: datetime) -> Iterator[Part]:
        """The hours of the term that begin at or after `after` and end by `until`, each with its part, in order."""
        end = self.end
        start = max(after, self.start)
        span = self.span_at(start)
        while end is None or start < end:
            if start >= span.end:
                span = self.span_at(start)
            stop = _next_mark(span, start) if end is None else min(_next_mark(span, start), end)
            if stop > until:
                return
            yield Part(start, stop, self._due(span, stop) - self._due(span, start))
            start = stop

    def _due(self, span: Period, moment: datetime) -> int:
        """What of the fee is due by a moment of its period, cut to the nano-dollar."""
        elapsed, whole = (moment - span.start) // _MICROSECOND, (span.end - span.start) // _MICROSECOND
        return self.amount * elapsed // whole


def _next_mark(span: Period, moment: datetime) -> datetime:
    """The end of the hour that a moment is in, counted from the beginning of the period."""
    hours = (moment - span.start) // HOUR + 1
    return min(span.start + hours * HOUR, span.end)
