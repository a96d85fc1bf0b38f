"""From the inbox to the ledger: the steps of settling, in order, one transaction per organization and round.

Workers may run it at the same time and may die anywhere in it. What a batch is (whose, what it cost) is found by each
worker on its own; what it adds to is changed by one worker at a time, under a lock that lives and dies with the
transaction. The batches leave the inbox in the transaction that stores their events, so a crash leaves either all of
it done or nothing of it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from django.db import DatabaseError, OperationalError, connection

from alerts.recovering import recovered_fires_again
from alerts.services import alert_raise
from budgets.applying import Applying, scopes_in_use
from budgets.calls import calls_of
from budgets.ledger import Entry
from budgets.posting import settle_owners
from budgets.reservations.lifecycle import authorizations_end
from common.db import server_cursor
from ingest.progress import note_settled
from pricing.charge import charge
from pricing.resolve import book_of
from tenants.access import organization_scope
from tenants.models import Organization, VirtualKey
from usage import store as usage_store
from usage.adjustments import late_events_book
from usage.closing import NEVER, closed_before
from usage.dimensions import values_of
from usage.locks import lock_organization
from usage.packing import NO_ROWS, PackedRows, packed
from usage.records import Charged, Reported, decoder
from usage.store import NOTHING, Cut, Owner, Spent
from usage.values import admit

log = logging.getLogger(__name__)

# Events per transaction: enough to share the cost of a commit, few enough to be done within a second.
ROUND_EVENTS = 10_000
ROUND_BATCHES = 200
MAX_DELAY_SECONDS = 600


Row = tuple[int, int, datetime, str, bytes]  # of the inbox: id, virtual key, received at, source, payload


class Received(NamedTuple):
    """A batch as it was accepted."""

    virtual_key_id: int
    at: datetime
    source: str
    events: list[Reported]


@dataclass
class Round:
    """What one round works on; every step adds its part."""

    organization_id: int
    now: datetime
    received: list[Received]
    charged: list[Charged] = field(default_factory=list)
    rows: PackedRows = NO_ROWS
    late: list[Charged] = field(default_factory=list)
    owners: dict[Owner, Spent] = field(default_factory=dict)
    # Provisional charges that this usage replaces.
    taken_back: list[Entry] = field(default_factory=list)

    @cached_property
    def organization(self) -> Organization:
        """First asked for under the lock: its zone decides which days are added to."""
        return Organization.objects.get(id=self.organization_id)

    @cached_property
    def cut(self) -> Cut:
        return Cut.of(self.organization.timezone, self.now)

    @cached_property
    def budgets(self) -> Applying:
        """Those in force under the lock, which whoever changes one holds as well."""
        return Applying.to_calls(self.organization_id, calls_of(self.charged, scopes_in_use(self.organization_id)))


def identify(work: Round) -> None:
    """Whose usage is it? The team of the key at the time of settling owns it."""
    keys = {batch.virtual_key_id for batch in work.received}
    found = VirtualKey.objects.filter(organization_id=work.organization_id, id__in=keys)
    teams = dict(found.values_list("id", "team_id"))
    work.charged = [
        Charged(event, batch.at, teams[batch.virtual_key_id], batch.virtual_key_id, source=batch.source)
        for batch in work.received
        for event in batch.events
    ]


def price(work: Round) -> None:
    """What did it cost, at list and by the organization's own prices? Unknown stays unknown: None, and the reason."""
    book = book_of(work.organization_id)
    for item in work.charged:
        event = item.event
        found = book.resolve(event.provider, event.model, event.service_tier, event.time)
        item.provider, item.model = found.provider, found.model
        item.price_id, item.rule_id = found.price_id, found.rule_id
        item.list_cost, item.cost, item.unpriced_reason = charge(found, event.buckets, event.cache)


def pack(work: Round) -> None:
    """Made ready for the table while others may still be adding to it."""
    work.rows = packed(work.charged)


def set_late_apart(work: Round) -> None:
    """What comes after its month was closed is kept, and counts in the open one."""
    until = closed_before(work.organization_id)
    work.late = [] if until == NEVER else [item for item in work.charged if item.event.time < until]
    for item in work.late:
        item.late = True
    if work.late:
        pack(work)


def store(work: Round) -> None:
    """The events, and with them every sum that dashboards read."""
    usage_store.make_partitions(item.event.time for item in work.charged)
    bounded = admit(work.organization.id, values_of(work.charged))
    work.owners = usage_store.events_store(
        organization_id=work.organization.id, rows=work.rows, cut=work.cut, bounded=bounded,
        watched=work.budgets.watched,
    )  # fmt: skip


def book_late(work: Round) -> None:
    if work.late:
        late = late_events_book(
            organization_id=work.organization.id, times=[item.event.time for item in work.late],
            event_ids=[item.event.id for item in work.late], actor="ingestion", cut=work.cut, now=work.now,
            watched=work.budgets.watched,
        )  # fmt: skip
        for owner, spent in late.items():
            work.owners[owner] = work.owners.get(owner, NOTHING).plus(spent)


def end_authorizations(work: Round) -> None:
    """What was held for these calls is let go in the step that lets their usage count, once this has committed."""
    work.taken_back = authorizations_end(organization_id=work.organization_id, usage=work.charged, now=work.now)


def settle_budgets(work: Round) -> None:
    """Against every budget they count in; what crosses a threshold alerts."""
    settle_owners(
        organization=work.organization, budgets=work.budgets, owners=work.owners, now=work.now,
        taken_back=work.taken_back,
    )  # fmt: skip


def tell_of_unpriced(work: Round) -> None:
    """Alerts commit with what caused them; sending them is somebody else's business."""
    unpriced = {(item.provider, item.model, item.unpriced_reason): item for item in work.charged if item.cost is None}
    for (provider, model, reason), item in sorted(unpriced.items(), key=lambda entry: entry[0]):
        key = f"unpriced:{provider}:{model}:{item.event.time:%Y-%m}"
        raised = alert_raise(
            organization_id=work.organization.id,
            kind="unpriced_usage",
            dedup_key=key,
            severity="warning",
            title=f"No price is known for {provider} / {model}",
            facts={
                "provider": provider,
                "model": model,
                "reason": reason,
                "link": f"/o/{work.organization.slug}/unpriced",
            },
            now=work.now,
        )
        if raised is None:
            recovered_fires_again(
                organization_id=work.organization.id, dedup_key=key, note="Usage without a price again.", now=work.now
            )


def note_progress(work: Round) -> None:
    note_settled(
        organization_id=work.organization.id,
        received=((key_id, received_at, source, len(events)) for key_id, received_at, source, events in work.received),
    )


PREPARE = (identify, price, pack)
SETTLE = (set_late_apart, store, book_late, end_authorizations, settle_budgets, tell_of_unpriced, note_progress)


def settle_waiting(now: datetime) -> int:
    """Settles what waits in the inbox, every organization in turn; returns the number of events settled."""
    settled = 0
    for organization_id in waiting_organizations(now):
        settled += settle_organization(organization_id, now)
    return settled


def waiting_organizations(now: datetime) -> list[int]:
    """The organizations with batches to settle, the longest waiting first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM ingest_waiting_organizations(%s)", [now])
        return [organization_id for (organization_id,) in cursor.fetchall()]


def settle_organization(organization_id: int, now: datetime) -> int:
    """Settles one round of an organization; 0 when another worker is at it or nothing is left.

    A batch that fails is tried alone and then set aside for a growing while, so that it never holds up the others; it
    stays in the inbox, and the ingestion page shows it with its error.
    """
    try:
        return _settle_round(organization_id, now, limit=ROUND_EVENTS)
    except OperationalError:
        raise
    except (DatabaseError, ArithmeticError, LookupError, ValueError, TypeError) as error:
        log.exception("settling organization %s failed; trying its batches one by one", organization_id)
        return _settle_singly(organization_id, now, error)


def _settle_round(organization_id: int, now: datetime, *, limit: int, batch_id: int | None = None) -> int:
    with organization_scope(organization_id):
        rows = _take(organization_id, now, limit, batch_id)
        if not rows:
            return 0
        work = Round(organization_id, now, _received(rows))
        for step in PREPARE:
            step(work)
        lock_organization(organization_id)
        for step in SETTLE:
            step(work)
        return len(work.charged)


def _received(rows: Sequence[Row]) -> list[Received]:
    return [Received(key_id, at, source, decoder.decode(payload)) for _, key_id, at, source, payload in rows]


def _take(organization_id: int, now: datetime, limit: int, batch_id: int | None) -> list[Row]:
    """Deletes the oldest due batches that no other worker has, up to about `limit` events, and returns them."""
    with server_cursor() as cursor:
        cursor.execute(
            "WITH due AS MATERIALIZED (SELECT id, events FROM ingest_inbox WHERE organization_id = %(organization)s"
            "  AND not_before <= %(now)s AND (%(batch)s::bigint IS NULL OR id = %(batch)s)"
            f"  ORDER BY id LIMIT {ROUND_BATCHES} FOR UPDATE SKIP LOCKED),"
            " taken AS (SELECT id FROM (SELECT id, sum(events) OVER (ORDER BY id) - events AS before FROM due) AS d"
            "  WHERE before < %(limit)s)"
            " DELETE FROM ingest_inbox WHERE organization_id = %(organization)s AND id IN (SELECT id FROM taken)"
            " RETURNING id, virtual_key_id, received_at, source, payload",
            {"organization": organization_id, "now": now, "limit": limit, "batch": batch_id},
            binary=True,
        )
        return sorted(cursor.fetchall())


def _settle_singly(organization_id: int, now: datetime, first_error: Exception) -> int:
    with organization_scope(organization_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM ingest_inbox WHERE organization_id = %s AND not_before <= %s ORDER BY id LIMIT 1000",
            [organization_id, now],
        )
        batch_ids = [batch_id for (batch_id,) in cursor.fetchall()]
    settled = 0
    for batch_id in batch_ids:
        try:
            settled += _settle_round(organization_id, now, limit=1, batch_id=batch_id)
        except OperationalError:
            raise
        except (DatabaseError, ArithmeticError, LookupError, ValueError, TypeError) as error:
            log.exception("batch %s of organization %s was set aside", batch_id, organization_id)
            _set_aside(organization_id, batch_id, now, error)
    return settled


def _set_aside(organization_id: int, batch_id: int, now: datetime, error: Exception) -> None:
    with organization_scope(organization_id), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ingest_inbox SET attempts = attempts + 1, error = %(error)s,"
            " not_before = %(now)s + least(%(most)s, 5 * 2 ^ least(attempts, 10)) * interval '1 second'"
            " WHERE organization_id = %(organization)s AND id = %(batch)s",
            {
                "error": f"{type(error).__name__}: {error}"[:500],
                "now": now,
                "most": MAX_DELAY_SECONDS,
                "organization": organization_id,
                "batch": batch_id,
            },
        )
