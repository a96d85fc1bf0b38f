"""How far the pipeline is behind."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """Of one organization. `oldest_unsettled_seconds` is the age of the oldest waiting batch, 0 when none waits."""

    waiting_batches: int
    waiting_events: int
    failing_batches: int
    oldest_unsettled_seconds: int
    last_settled_at: datetime | None
    last_error: str


def ingest_status(*, organization_id: int, now: datetime) -> IngestStatus:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(sum(events), 0), count(*) FILTER (WHERE attempts > 0), min(received_at),"
            " coalesce(max(error), ''), (SELECT max(settled_at) FROM ingest_progress WHERE organization_id = %(id)s)"
            " FROM ingest_inbox WHERE organization_id = %(id)s",
            {"id": organization_id},
        )
        batches, events, failing, oldest, error, settled_at = cursor.fetchone()
    age = max(0, int((now - oldest).total_seconds())) if oldest else 0
    return IngestStatus(batches, int(events), failing, age, settled_at, error)
