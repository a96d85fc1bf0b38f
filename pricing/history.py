"""What a newly loaded schedule of prices adds to the published one. Pure; nothing that was in force ever changes.

- A change that the source dates enters at its date, also when the source tells late: past charges keep the price row
  they were made with, and a repricing settles the difference.
- A change that the source does not date (it corrects a figure, or takes one back) enters now.
- A row that is still ahead is a plan, not history: it goes when the source no longer announces it.
"""

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pricing.price_source import SourcePeriod
from pricing.terms import NO_PRICE, Terms

Published = Sequence[tuple[datetime, Terms]]  # ascending by date


@dataclass(frozen=True, slots=True)
class Changes:
    added: tuple[tuple[datetime, Terms], ...] = ()
    withdrawn: tuple[datetime, ...] = ()  # all of them ahead of now

    def __bool__(self) -> bool:
        return bool(self.added or self.withdrawn)


def terms_at(schedule: Published, moment: datetime) -> Terms:
    """The terms in force at a moment; NO_PRICE before the first."""
    index = bisect_right([start for start, _ in schedule], moment)
    return schedule[index - 1][1] if index else NO_PRICE


def changes(published: Published, source: Sequence[SourcePeriod], now: datetime) -> Changes:
    """What to add to and withdraw from `published` so that from `now` on it says what `source` says."""
    wanted = [(period.effective_from, period.terms) for period in source]
    if not published or not wanted:
        return Changes(tuple(wanted))
    ahead = [row for row in wanted if row[0] > now]
    history = [row for row in published if row[0] <= now]
    added = _told_late(history, [p for p in source if p.dated and p.effective_from <= now])
    current = terms_at(wanted, now)
    if terms_at(sorted([*history, *added], key=_start), now) != current:
        added.append((now, current))
    plans = [row for row in published if row[0] > now]
    added += [row for row in ahead if row not in plans]
    return Changes(tuple(added), tuple(start for start, terms in plans if (start, terms) not in ahead))


def _told_late(history: Published, dated: Sequence[SourcePeriod]) -> list[tuple[datetime, Terms]]:
    rows = list(history)
    added = []
    for period in dated:
        row = (period.effective_from, period.terms)
        taken = any(start == period.effective_from for start, _ in rows)
        if not taken and terms_at(rows, period.effective_from) != period.terms:
            insort(rows, row, key=_start)
            added.append(row)
    return added


def _start(row: tuple[datetime, Terms]) -> datetime:
    return row[0]
