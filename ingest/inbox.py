"""The durable inbox: what is in it has been promised to the caller, whatever happens to everything else.

Accepting claims every event id of a batch and stores the batch in one transaction. The claim is an insert into a table
whose key is (organization, event id): of two callers with the same id one waits for the other and then sees what it
said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from common.db import server_cursor
from common.ids import new_id
from common.problems import Fault, Problem, excerpt
from tenants.access import organization_scope
from usage.records import Reported, encoder

DIGEST_BYTES = 16

# The parameters are those of `_rows`, the organization and the time.
_INSERT = """
INSERT INTO ingest_inbox (organization_id, id, received_at, not_before, virtual_key_id, source, events, payload)
SELECT %(organization)s::bigint, id, %(now)s::timestamptz, 'epoch', virtual_key_id,
    %(source)s::text, events, payload
FROM unnest(%(batches)s::bigint[], %(keys)s::bigint[], %(counts)s::int[], %(payloads)s::bytea[])
AS batch (id, virtual_key_id, events, payload)
"""


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many events of a batch are new, and how many were known already with the same content."""

    accepted: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch taken apart, in claiming order: distinct ids, their MessagePack and digests, and whose they are."""

    ids: list[str]
    encoded: list[bytes]
    digests: list[bytes]
    keys: list[int]
    repeats: int


def accept(
    *, organization_id: int, events: Mapping[int, Sequence[Reported]], now: datetime, source: str = "native"
) -> Accepted:
    """Stores events by virtual key id; all or nothing. Durable when it returns, or with the caller's transaction.

    Problem 409 `event-conflict` for an id that is known, or stands twice in the batch, with other content.
    """
    batch = _taken_apart(events)
    if len(events) == 1 and _accept_new(organization_id, batch, source, now):
        return Accepted(len(batch.ids), batch.repeats)
    with organization_scope(organization_id):
        return _accept_some(organization_id, batch, source, now)


def _accept_new(organization_id: int, batch: _Batch, source: str, now: datetime) -> bool:
    """The way of nearly every batch: one key, no id known, one round trip. False, with nothing done, for others."""
    parameters = (
        organization_id,
        new_id(),
        batch.keys[0],
        source,
        now,
        " ".join(batch.ids),
        b"".join(batch.digests),
        _array(batch.encoded),
    )
    with server_cursor() as cursor:
        cursor.execute("SELECT ingest_accept(%b, %b, %b, %s::text, %b, %s::text, %b, %b)", parameters, prepare=True)
        row = cursor.fetchone()
    return row is not None and bool(row[0])


def _array(encoded: Sequence[bytes]) -> bytes:
    """The MessagePack of the list of what these are the MessagePack of."""
    return b"".join((b"\xdd", len(encoded).to_bytes(4), *encoded))


def _accept_some(organization_id: int, batch: _Batch, source: str, now: datetime) -> Accepted:
    claimed = _claim_and_store(organization_id, batch, source, now)
    if claimed is None:
        return Accepted(len(batch.ids), batch.repeats)
    fresh = [index for index, event_id in enumerate(batch.ids) if event_id in claimed]
    known = [index for index, event_id in enumerate(batch.ids) if event_id not in claimed]
    _refuse_conflicts(organization_id, batch, known)
    if fresh:
        _store(organization_id, batch, fresh, source, now)
    return Accepted(len(fresh), batch.repeats + len(known))


def _taken_apart(events: Mapping[int, Sequence[Reported]]) -> _Batch:
    """Ids are claimed in sorted order, so that two overlapping batches cannot lock each other out."""
    reported = [event for each in events.values() for event in each]
    keys = [key_id for key_id, each in events.items() for _ in each]
    ids = [event.id for event in reported]
    encoded = list(map(encoder.encode, reported))
    digests = [sha256(each).digest()[:DIGEST_BYTES] for each in encoded]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    if len(set(ids)) < len(ids):
        order = _distinct(order, ids, digests)
    return _Batch(
        [ids[index] for index in order],
        [encoded[index] for index in order],
        [digests[index] for index in order],
        [keys[index] for index in order],
        len(ids) - len(order),
    )


def _distinct(order: Sequence[int], ids: Sequence[str], digests: Sequence[bytes]) -> list[int]:
    """The first of every id, in the same order; Problem 409 when one stands twice with different content."""
    kept: list[int] = []
    conflicts = []
    for index in order:
        if not kept or ids[kept[-1]] != ids[index]:
            kept.append(index)
        elif digests[kept[-1]] != digests[index]:
            conflicts.append(ids[index])
    if conflicts:
        raise _conflict(conflicts)
    return kept


def _claim_and_store(organization_id: int, batch: _Batch, source: str, now: datetime) -> set[str] | None:
    """None when every id was new and everything is stored; else the ids that were new, with nothing stored yet."""
    with server_cursor() as cursor:
        cursor.execute(
            "WITH claimed AS ("
            " INSERT INTO ingest_claim (organization_id, event_id, digest, claimed_at)"
            " SELECT %(organization)s::bigint, event_id, digest, %(now)s::timestamptz"
            " FROM unnest(%(ids)s::text[], %(digests)s::bytea[]) AS claim (event_id, digest)"
            " ON CONFLICT DO NOTHING RETURNING event_id"
            "), stored AS ("
            f" {_INSERT}"
            " WHERE (SELECT count(*) FROM claimed) = %(total)s"
            ") SELECT CASE WHEN count(*) < %(total)s THEN array_agg(event_id) END, count(*) FROM claimed",
            {
                "organization": organization_id,
                "now": now,
                "source": source,
                "ids": batch.ids,
                "digests": batch.digests,
                "total": len(batch.ids),
                **_rows(batch, range(len(batch.ids))),
            },
        )
        claimed, count = cursor.fetchone() or (None, 0)
    return None if count == len(batch.ids) else set(claimed or ())


def _store(organization_id: int, batch: _Batch, indexes: Sequence[int], source: str, now: datetime) -> None:
    with server_cursor() as cursor:
        cursor.execute(
            _INSERT, {"organization": organization_id, "now": now, "source": source, **_rows(batch, indexes)}
        )


def _rows(batch: _Batch, indexes: Sequence[int]) -> dict[str, list[int] | list[bytes]]:
    """The inbox rows of these events, one per virtual key, as columns."""
    by_key: dict[int, list[bytes]] = {}
    for index in indexes:
        by_key.setdefault(batch.keys[index], []).append(batch.encoded[index])
    return {
        "batches": [new_id() for _ in by_key],
        "keys": list(by_key),
        "counts": [len(events) for events in by_key.values()],
        "payloads": [_array(events) for events in by_key.values()],
    }


def _refuse_conflicts(organization_id: int, batch: _Batch, indexes: Sequence[int]) -> None:
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT event_id, digest FROM ingest_claim WHERE organization_id = %s AND event_id = ANY(%s)",
            [organization_id, [batch.ids[index] for index in indexes]],
        )
        stored = {event_id: bytes(digest) for event_id, digest in cursor.fetchall()}
    conflicts = [batch.ids[index] for index in indexes if stored[batch.ids[index]] != batch.digests[index]]
    if conflicts:
        raise _conflict(conflicts)


def _conflict(ids: Sequence[str]) -> Problem:
    return Problem(
        "event-conflict",
        f"{len(ids)} of the ids are known with other content; nothing was stored.",
        errors=tuple(Fault("", "event_conflict", f"id {excerpt(event_id)}") for event_id in ids[:100]),
    )
