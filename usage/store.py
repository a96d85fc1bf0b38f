"""Writes priced events and adds them to every sum: one statement, whatever the number of events.

The events of a batch travel as one parameter (`usage.packing`), which spares the driver 45 conversions per event and,
unlike COPY, is allowed under row-level security.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from common.db import server_cursor
from usage.packing import PackedRows, PackedRowsDumper
from usage.rollup import bucket_size
from usage.sums import adding
from usage.tables import INSERT_INCOMING, event_postings
from usage.watched import NO_LABELS, NOTHING_WATCHED, Labels, Watched, labels_of


class Owner(NamedTuple):
    """Whose spend: a team and a key (0: none) in a quarter of an hour, which is as fine as any zone cuts its days, and
    what of it is watched."""

    team_id: int
    virtual_key_id: int
    quarter: datetime
    labels: Labels = NO_LABELS


class Spent(NamedTuple):
    """Cost in nano-USD; tokens are input and output, each with all that belongs to it."""

    cost: int = 0
    requests: int = 0
    unpriced_requests: int = 0
    tokens: int = 0

    def plus(self, other: "Spent") -> "Spent":
        return Spent(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


NOTHING = Spent()


@dataclass(frozen=True, slots=True)
class Cut:
    """How an organization's time is cut for its sums."""

    size: timedelta
    zone: str

    @classmethod
    def of(cls, zone: str, now: datetime) -> "Cut":
        return cls(bucket_size(ZoneInfo(zone), now), zone)

    @property
    def parameters(self) -> dict[str, Any]:
        return {"size": self.size, "zone": self.zone}


def make_partitions(instants: Iterable[datetime]) -> None:
    """Makes sure that the months of these instants (UTC) have their partition of the event table."""
    wanted = [date(year, month, 1) for year, month in sorted({(at.year, at.month) for at in instants})]
    with server_cursor() as cursor:
        cursor.execute("SELECT usage_make_partition(month) FROM unnest(%s::date[]) AS month", [wanted])


def events_store(
    *, organization_id: int, rows: PackedRows, cut: Cut, bounded: bool, watched: Watched = NOTHING_WATCHED
) -> dict[Owner, Spent]:
    """Inserts the events and adds them to every sum; what each team and key spent by quarter of an hour.

    IntegrityError when an event is there already, which the claims of the inbox rule out. Late events are stored but
    count nowhere: they are for `usage.adjustments` to book.
    """
    with server_cursor() as cursor:
        cursor.adapters.register_dumper(PackedRows, PackedRowsDumper)
        cursor.execute(
            f"WITH stored AS ({INSERT_INCOMING} RETURNING *), posting AS ({event_postings('stored')}),"
            f" {adding(bounded=bounded, watched=watched)}",
            {"rows": rows, "organization": organization_id, **cut.parameters, **watched.parameters},
        )
        return spent_by_owner(cursor.fetchall())


def spent_by_owner(rows: Iterable[tuple[Any, ...]]) -> dict[Owner, Spent]:
    """The answer of `usage.sums.adding`."""
    return {
        Owner(team_id, key_id, quarter, labels_of(labels)): Spent(int(cost), requests, unpriced, tokens)
        for team_id, key_id, quarter, cost, requests, unpriced, tokens, *labels in rows
    }
