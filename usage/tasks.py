"""Celery tasks of usage."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from usage.store import make_partitions

MONTHS_AHEAD = 2


@shared_task(name="usage.make_partitions", ignore_result=True)
def make_partitions_ahead() -> None:
    """This month's partition and the next ones', before the first event needs them."""
    now = timezone.now()
    make_partitions(now + timedelta(days=31 * month) for month in range(MONTHS_AHEAD + 1))
