"""How settling gets on: totals, the rate of the last minute, and what came in by hour, source and key.

Written in the transaction that settles, so these counts are as exact as the events themselves.
"""

from collections.abc import Iterable
from datetime import datetime

from common.db import server_cursor

# Virtual key id, time of receipt, source and number of events of one batch.
Received = tuple[int, datetime, str, int]

# The minute that runs and the one before are kept, so that a rate needs no table of minutes.
_PROGRESS = """
INSERT INTO ingest_progress AS kept (organization_id, settled_at, settled_events, minute, minute_events, minute_before)
VALUES (%(organization)s, clock_timestamp(), %(events)s, date_trunc('minute', clock_timestamp()), %(events)s, 0)
ON CONFLICT (organization_id) DO UPDATE SET
    settled_at = excluded.settled_at,
    settled_events = kept.settled_events + excluded.settled_events,
    minute = excluded.minute,
    minute_events = excluded.minute_events + CASE WHEN kept.minute = excluded.minute THEN kept.minute_events ELSE 0 END,
    minute_before = CASE kept.minute
        WHEN excluded.minute THEN kept.minute_before
        WHEN excluded.minute - interval '1 minute' THEN kept.minute_events
        ELSE 0 END
"""
_INTAKE = """
INSERT INTO ingest_intake AS kept (organization_id, hour, source, virtual_key_id, batches, events, last_received_at)
SELECT %(organization)s::bigint, * FROM unnest(%(hours)s::timestamptz[], %(sources)s::text[], %(keys)s::bigint[],
    %(batches)s::bigint[], %(counts)s::bigint[], %(last)s::timestamptz[])
ON CONFLICT (organization_id, hour, source, virtual_key_id) DO UPDATE SET
    batches = kept.batches + excluded.batches,
    events = kept.events + excluded.events,
    last_received_at = greatest(kept.last_received_at, excluded.last_received_at)
"""


def note_settled(*, organization_id: int, received: Iterable[Received]) -> None:
    """Adds batches that are settled in this transaction."""
    sums: dict[tuple[datetime, str, int], tuple[int, int, datetime]] = {}
    for key_id, received_at, source, events in received:
        kind = (received_at.replace(minute=0, second=0, microsecond=0), source, key_id)
        batches, before, last = sums.get(kind, (0, 0, received_at))
        sums[kind] = (batches + 1, before + events, max(last, received_at))
    rows = [(*kind, *sum_) for kind, sum_ in sorted(sums.items())]
    hours, sources, keys, batches_, counts, last_ = (list(column) for column in zip(*rows, strict=True))
    with server_cursor() as cursor:
        cursor.execute(_PROGRESS, {"organization": organization_id, "events": sum(counts)})
        cursor.execute(
            _INTAKE,
            {
                "organization": organization_id, "hours": hours, "sources": sources, "keys": keys,
                "batches": batches_, "counts": counts, "last": last_,
            },
        )  # fmt: skip
