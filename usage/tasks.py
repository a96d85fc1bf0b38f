"""Celery tasks of usage."""

from datetime import UTC, datetime

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from usage.key_networks import forget_networks
from usage.retention import drop_old_events, first_of_month
from usage.store import make_partitions

MONTHS_AHEAD = 2


@shared_task(name="usage.make_partitions", ignore_result=True)
def make_partitions_ahead() -> None:
    """This month's partition and the next ones', before the first event needs them."""
    today = timezone.now().astimezone(UTC).date()
    months = [first_of_month(today, ahead) for ahead in range(MONTHS_AHEAD + 1)]
    make_partitions(datetime(month.year, month.month, 1, tzinfo=UTC) for month in months)


@shared_task(name="usage.drop_old_events", ignore_result=True)
def drop_events_past_retention() -> None:
    """The events of months that need not be kept any longer; sums outlive them."""
    drop_old_events(now=timezone.now(), keep=settings.EVENT_RETENTION_MONTHS)


@shared_task(name="usage.forget_old_networks", ignore_result=True)
def forget_old_networks() -> None:
    """Networks that no key was used from for a year."""
    forget_networks(timezone.now())
