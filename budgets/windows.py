"""When a budget's usage counts: the slots it is booked in, and the window of slots that counts at a moment. Pure.

A slot is what an entry of the ledger sums. For every kind but rolling it is also the window: the calendar period that
holds the moment, or for `total` everything from the budget's first day on. A rolling window is made of days: today and
the local days before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from common.periods import Period, PeriodKind, local_midnight, period_at

ROLLING, TOTAL = "rolling", "total"
# No usage can be older or younger than this.
BEGINNING = datetime(2015, 1, 1, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """`kind` is a PeriodKind's value, ROLLING (with `days`) or TOTAL. `week_start`: 0 is Monday."""

    kind: str
    zone: ZoneInfo
    week_start: int = 0
    fiscal_start: int = 1
    days: int = 0

    def slot_at(self, instant: datetime) -> Period:
        """The one slot that usage of this instant is booked in."""
        if self.kind == TOTAL:
            return Period(BEGINNING, END)
        kind = PeriodKind.DAY if self.kind == ROLLING else PeriodKind(self.kind)
        return period_at(kind, instant, self.zone, week_start=self.week_start, fiscal_start=self.fiscal_start)

    def at(self, instant: datetime) -> Period:
        """What counts at the instant. A rolling window ends with the running day."""
        slot = self.slot_at(instant)
        if self.kind != ROLLING:
            return slot
        return Period(local_midnight(self._day(slot) - timedelta(days=self.days - 1), self.zone), slot.end)

    def slots(self, start: datetime, until: datetime) -> Iterator[Period]:
        """The slots one after the other, from the one that holds `start` to the one that holds `until`."""
        while start <= until:
            slot = self.slot_at(start)
            yield slot
            start = slot.end

    def from_slot(self, instant: datetime) -> Period:
        """The window whose first slot holds the instant."""
        slot = self.slot_at(instant)
        if self.kind != ROLLING:
            return slot
        return Period(slot.start, local_midnight(self._day(slot) + timedelta(days=self.days), self.zone))

    def _day(self, slot: Period) -> date:
        # By noon, so that no change of clocks makes it another date.
        return (slot.start + timedelta(hours=12)).astimezone(self.zone).date()
