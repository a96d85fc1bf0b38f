"""How far the pipeline is behind, and what came in by which way."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from ingest.tables import LAST_MINUTE
from ingest.turned_away import DUPLICATE
from tenants.models import AccessToken, VirtualKey

# How far back the page of ingestion looks for the last usage of a source or key.
SEEN_DAYS = 35
LISTED = 50


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """Of one organization. `oldest_unsettled_seconds` is the age of the oldest waiting batch, 0 when none waits."""

    waiting_batches: int
    waiting_events: int
    failing_batches: int
    oldest_unsettled_seconds: int
    last_settled_at: datetime | None
    last_error: str
    # About the last 60 seconds.
    settled_last_minute: int = 0


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """One way in. A day is the clock hour that runs and the 23 before; refusals are requests by reason."""

    source: str
    last_received_at: datetime | None
    events_hour: int = 0
    events_day: int = 0
    duplicates_day: int = 0
    refused_day: dict[str, int] = field(default_factory=dict)

    @property
    def refused_requests(self) -> int:
        return sum(self.refused_day.values())


@dataclass(frozen=True, slots=True)
class KeyHealth:
    """What a virtual key sends by one source, and since when it is silent."""

    key: VirtualKey
    source: str
    last_received_at: datetime
    events_day: int


@dataclass(frozen=True, slots=True)
class FailingBatch:
    id: int
    source: str
    key_name: str
    events: int
    attempts: int
    received_at: datetime
    next_try_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Requests of one credential that were refused for one reason within the day."""

    source: str
    credential: str
    reason: str
    requests: int
    last_hour: datetime


def ingest_status(*, organization_id: int, now: datetime) -> IngestStatus:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(sum(events), 0), count(*) FILTER (WHERE attempts > 0), min(received_at),"
            " coalesce(max(error), ''), (SELECT max(settled_at) FROM ingest_progress WHERE organization_id = %(id)s),"
            f" (SELECT round({LAST_MINUTE}) FROM ingest_progress WHERE organization_id = %(id)s)"
            " FROM ingest_inbox WHERE organization_id = %(id)s",
            {"id": organization_id, "at": now},
        )
        batches, events, failing, oldest, error, settled_at, rate = cursor.fetchone()
    age = max(0, int((now - oldest).total_seconds())) if oldest else 0
    return IngestStatus(batches, int(events), failing, age, settled_at, error, int(rate or 0))


# What was settled, and what is still waiting, which came in as well.
_TAKEN = """
WITH taken AS (
    SELECT source, virtual_key_id, hour, events, last_received_at FROM ingest_intake
        WHERE organization_id = %(organization)s AND hour >= %(seen)s
    UNION ALL
    SELECT source, virtual_key_id, date_trunc('hour', received_at), events, received_at FROM ingest_inbox
        WHERE organization_id = %(organization)s
)
"""


def _spans(organization_id: int, now: datetime) -> dict[str, Any]:
    hour = now.replace(minute=0, second=0, microsecond=0)
    return {
        "organization": organization_id,
        "hour": hour,
        "day": hour - timedelta(hours=23),
        "seen": hour - timedelta(days=SEEN_DAYS),
    }


def source_health(*, organization_id: int, now: datetime) -> list[SourceHealth]:
    """Every source that sent something in the last weeks, or was turned away within the day; by name."""
    spans = _spans(organization_id, now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_TAKEN} SELECT source, max(last_received_at), sum(events) FILTER (WHERE hour >= %(hour)s),"
            " sum(events) FILTER (WHERE hour >= %(day)s) FROM taken GROUP BY source",
            spans,
        )
        taken = {source: (last, int(hour or 0), int(day or 0)) for source, last, hour, day in cursor.fetchall()}
        cursor.execute(
            "SELECT source, reason, sum(requests), sum(events) FROM ingest_turned_away"
            " WHERE organization_id = %(organization)s AND hour >= %(day)s GROUP BY 1, 2 ORDER BY 3 DESC, 2",
            spans,
        )
        duplicates: dict[str, int] = {}
        refused: dict[str, dict[str, int]] = {}
        for source, reason, requests, events in cursor.fetchall():
            if reason == DUPLICATE:
                duplicates[source] = int(events)
            else:
                refused.setdefault(source, {})[reason] = int(requests)
    return [
        SourceHealth(source, *taken.get(source, (None, 0, 0)), duplicates.get(source, 0), refused.get(source, {}))
        for source in sorted({*taken, *duplicates, *refused})
    ]


def key_health(*, organization_id: int, now: datetime) -> list[KeyHealth]:
    """The live keys that sent something in the last weeks, by source, the longest silent first; at most LISTED."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_TAKEN} SELECT virtual_key_id, source, max(last_received_at),"
            " coalesce(sum(events) FILTER (WHERE hour >= %(day)s), 0) FROM taken"
            " JOIN tenants_virtualkey AS key ON key.organization_id = %(organization)s AND key.id = virtual_key_id"
            " WHERE key.revoked_at IS NULL GROUP BY 1, 2 ORDER BY 3 LIMIT %(listed)s",
            _spans(organization_id, now) | {"listed": LISTED},
        )
        rows = cursor.fetchall()
    keys = VirtualKey.objects.filter(organization_id=organization_id).in_bulk([key_id for key_id, *_ in rows])
    return [KeyHealth(keys[key_id], source, last, int(events)) for key_id, source, last, events in rows]


def failing_batches(*, organization_id: int, limit: int = 20) -> list[FailingBatch]:
    """The batches that were set aside, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT batch.id, source, key.name, events, attempts, received_at, not_before, error"
            " FROM ingest_inbox AS batch JOIN tenants_virtualkey AS key"
            " ON key.organization_id = batch.organization_id AND key.id = virtual_key_id"
            " WHERE batch.organization_id = %s AND attempts > 0 ORDER BY batch.id LIMIT %s",
            [organization_id, limit],
        )
        return [FailingBatch(*row) for row in cursor.fetchall()]


def refusals(*, organization_id: int, now: datetime) -> list[Refusal]:
    """Whose requests were refused within the day, and why; the most first, at most LISTED."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT credential_id, source, reason, sum(requests), max(hour) FROM ingest_turned_away"
            " WHERE organization_id = %(organization)s AND hour >= %(day)s AND reason <> %(duplicate)s"
            " GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT %(listed)s",
            _spans(organization_id, now) | {"duplicate": DUPLICATE, "listed": LISTED},
        )
        rows = cursor.fetchall()
    names = _credential_names(organization_id, [credential_id for credential_id, *_ in rows])
    return [
        Refusal(source, names.get(credential_id, "a credential that is gone"), reason, int(requests), last)
        for credential_id, source, reason, requests, last in rows
    ]


def _credential_names(organization_id: int, ids: list[int]) -> dict[int, str]:
    keys = VirtualKey.objects.filter(organization_id=organization_id, id__in=ids).values_list("id", "name")
    tokens = AccessToken.objects.filter(organization_id=organization_id, id__in=ids).values_list("id", "name")
    return {**dict(keys), **{token_id: f"{name} (token)" for token_id, name in tokens}}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Of all organizations together, for those who run CostHub. A batch that was set aside is failing, not late."""

    waiting_batches: int
    waiting_events: int
    failing_batches: int
    oldest_unsettled_seconds: int
    oldest_due_seconds: int
    settled_events: int
    settled_last_minute: int
    # (source, reason) → (requests, events), of all time that is kept.
    turned_away: dict[tuple[str, str], tuple[int, int]]


def pipeline(now: datetime) -> Pipeline:
    """The state of the whole pipeline, through doors that give out sums and no names."""

    def age(at: datetime | None) -> int:
        return max(0, int((now - at).total_seconds())) if at else 0

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(batches), 0), coalesce(sum(events), 0), coalesce(sum(failing), 0), min(oldest),"
            " min(oldest_due) FROM ingest_backlog_by_organization()"
        )
        batches, events, failing, oldest, oldest_due = cursor.fetchone()
        cursor.execute("SELECT events, round(last_minute) FROM ingest_settling(%s)", [now])
        settled, rate = cursor.fetchone()
        cursor.execute("SELECT source, reason, requests, events FROM ingest_turned_away_totals()")
        turned_away = {(source, reason): (int(requests), int(n)) for source, reason, requests, n in cursor.fetchall()}
    return Pipeline(
        int(batches), int(events), int(failing), age(oldest), age(oldest_due), int(settled), int(rate), turned_away
    )
