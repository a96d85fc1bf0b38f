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
from itertools import dropwhile

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
    """What to add to and withdraw from `published` so that from `now` on it says what `source` says.

    An empty `source` says nothing, and what is published stays.
    """
    if not source:
        return Changes()
    wanted = list(dropwhile(_is_empty, [(period.effective_from, period.terms) for period in source]))
    history = [row for row in published if row[0] <= now]
    plans = [row for row in published if row[0] > now]
    ahead = [row for row in wanted if row[0] > now]
    added = _catch_up(history, source, now) if history else [row for row in wanted if row[0] <= now]
    added += [row for row in ahead if row not in plans]
    return Changes(tuple(added), tuple(row[0] for row in plans if row not in ahead))


def _catch_up(history: Published, source: Sequence[SourcePeriod], now: datetime) -> list[tuple[datetime, Terms]]:
    """The rows that bring a history up to what holds now."""
    added = _told_late(history, [period for period in source if period.dated and period.effective_from <= now])
    current = terms_at([(period.effective_from, period.terms) for period in source], now)
    if terms_at(sorted([*history, *added], key=_start), now) != current:
        added.append((now, current))
    return added


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


def _is_empty(row: tuple[datetime, Terms]) -> bool:
    return row[1].is_empty


def _start(row: tuple[datetime, Terms]) -> datetime:
    return row[0]
