"""Celery tasks of ingestion: wake-ups, nothing that would be lost with the message."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db import connection
from django.utils import timezone

from ingest.fees import book_due
from ingest.pipeline import settle_waiting
from tenants.access import organization_scope
from tenants.selectors import organization_ids


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
    for organization_id in organization_ids():
        with organization_scope(organization_id), connection.cursor() as cursor:
            for table, age in (("ingest_claim", "claimed_at"), ("ingest_covered_span", "noted_at")):
                cursor.execute(
                    f"DELETE FROM {table} WHERE organization_id = %s AND {age} < %s", [organization_id, before]
                )
