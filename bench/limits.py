"""What the machine can do at best: the same rows by the shortest way there is into the same tables."""

import time
from dataclasses import dataclass

import psycopg
from django.db import connections

from tenants.access import organization_scope
from usage.models import UsageEvent


@dataclass(frozen=True, slots=True)
class Rate:
    events: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.events / self.seconds


def copy_rows(organization_id: int, *, rows: int, batch: int) -> Rate:
    """Binary COPY, batch by batch, one connection, a commit each, into a table like the events' in keys and checks."""
    owner = connections["owner"]
    owner.ensure_connection()
    plain: psycopg.Connection[tuple[object, ...]] = owner.connection
    with owner.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_event")
        cursor.execute("CREATE TABLE bench_event (LIKE usage_event INCLUDING ALL) PARTITION BY RANGE (time)")
        cursor.execute("CREATE TABLE bench_event_all PARTITION OF bench_event DEFAULT")
    blobs = _blobs(organization_id, rows=rows, batch=batch)
    started = time.perf_counter()
    for blob in blobs:
        with (
            plain.transaction(),
            plain.cursor() as raw,
            raw.copy("COPY bench_event FROM STDIN (FORMAT binary)") as copy,
        ):
            copy.write(blob)
    seconds = time.perf_counter() - started
    with owner.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM bench_event")
        (copied,) = cursor.fetchone()
        cursor.execute("DROP TABLE bench_event")
    return Rate(copied, seconds)


def _blobs(organization_id: int, *, rows: int, batch: int) -> list[bytes]:
    """The stored events in COPY's own format, so that nothing but COPY is timed."""
    with organization_scope(organization_id):
        plain = connections["default"].connection
        blobs = []
        for offset in range(0, rows, batch):
            query = f"COPY (SELECT * FROM usage_event ORDER BY time, event_id LIMIT {batch} OFFSET {offset})"
            with psycopg.Cursor(plain) as raw, raw.copy(f"{query} TO STDOUT (FORMAT binary)") as copy:
                blobs.append(b"".join(bytes(part) for part in copy))
    return blobs


def insert_payloads(organization_id: int, payloads: list[bytes], *, batch: int) -> Rate:
    """Bare psycopg, one connection: the inbox payloads and nothing else, one row and one commit per batch."""
    owner = connections["owner"]
    owner.ensure_connection()
    plain: psycopg.Connection[tuple[object, ...]] = owner.connection
    with owner.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_inbox")
        cursor.execute("CREATE TABLE bench_inbox (LIKE ingest_inbox INCLUDING ALL)")
    started = time.perf_counter()
    with psycopg.Cursor(plain) as raw:
        for number, payload in enumerate(payloads):
            raw.execute(
                "INSERT INTO bench_inbox (organization_id, id, received_at, virtual_key_id, events, payload,"
                " not_before) VALUES (%b, %b, now(), 1, %b, %b, now())",
                (organization_id, number, batch, payload),
            )
    seconds = time.perf_counter() - started
    with owner.cursor() as cursor:
        cursor.execute("DROP TABLE bench_inbox")
    return Rate(len(payloads) * batch, seconds)


def bulk_create(organization_id: int, *, rows: int, batch: int) -> Rate:
    """Django's bulk_create(ignore_conflicts=True) of the same rows into the same table, moved by a year."""
    with organization_scope(organization_id):
        stored = list(UsageEvent.objects.order_by("time")[:rows])
        for item in stored:
            item.event_id = f"bulk-{item.event_id}"
    started = time.perf_counter()
    for start in range(0, len(stored), batch):
        with organization_scope(organization_id):
            UsageEvent.objects.bulk_create(stored[start : start + batch], ignore_conflicts=True)
    return Rate(len(stored), time.perf_counter() - started)
