"""Celery tasks of ingestion: wake-ups, nothing that would be lost with the message."""

from datetime import datetime, timedelta

from celery import shared_task
from django.conf import settings
from django.db import connection
from django.utils import timezone

from ingest.fees import book_due
from ingest.pipeline import settle_waiting
from tenants.access import organization_scope
from tenants.selectors import organization_ids

# Claims that one transaction forgets: few enough to hold nobody up.
CHUNK = 20_000
COUNT_DAYS = 90


@shared_task(name="ingest.settle", ignore_result=True)
def settle() -> None:
    """Settles until nothing waits that this worker may take."""
    while settle_waiting(timezone.now()):
        pass


@shared_task(name="ingest.book_fees", ignore_result=True)
def book_fees() -> None:
    """Books the hours of flat fees that have passed."""
    book_due(timezone.now())


@shared_task(name="ingest.forget_old_claims", ignore_result=True)
def forget_old_claims() -> None:
    """Forgets event ids that are too old to be accepted again, and what traces of that age covered."""
    before = timezone.now() - timedelta(days=settings.EVENT_CLAIM_DAYS)
    forget_claims(before)
    for organization_id in organization_ids():
        with organization_scope(organization_id), connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM ingest_covered_span WHERE organization_id = %s AND noted_at < %s",
                [organization_id, before],
            )


def forget_claims(before: datetime, *, chunk: int = CHUNK) -> int:
    """Deletes the claims made before this, a chunk per transaction; how many."""
    forgotten = 0
    for organization_id in organization_ids():
        deleted = chunk
        while deleted == chunk:
            with organization_scope(organization_id), connection.cursor() as cursor:
                cursor.execute(
                    "DELETE FROM ingest_claim WHERE organization_id = %(organization)s AND event_id IN (SELECT event_id"
                    " FROM ingest_claim WHERE organization_id = %(organization)s AND claimed_at < %(before)s"
                    " LIMIT %(chunk)s)",
                    {"organization": organization_id, "before": before, "chunk": chunk},
                )
                deleted = cursor.rowcount
            forgotten += deleted
    return forgotten


@shared_task(name="ingest.forget_old_counts", ignore_result=True)
def forget_old_counts() -> None:
    """Forgets how much came in by hour and source, once no page asks for it any more."""
    before = timezone.now() - timedelta(days=COUNT_DAYS)
    for organization_id in organization_ids():
        with organization_scope(organization_id), connection.cursor() as cursor:
            for table in ("ingest_intake", "ingest_turned_away"):
                cursor.execute(
                    f"DELETE FROM {table} WHERE organization_id = %s AND hour < %s", [organization_id, before]
                )
