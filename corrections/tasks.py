"""Celery tasks of corrections: wake-ups, nothing that would be lost with the message."""

from celery import shared_task
from django.db import connection
from django.utils import timezone

from corrections.late_prices import reprice_late
from corrections.runs import work_off as work_off_organization


@shared_task(name="corrections.work_off", ignore_result=True)
def work_off() -> None:
    """Goes on with every repricing until none has more to do that this worker may take."""
    organizations = organizations_at_work()
    while organizations:
        organizations = [each for each in organizations if work_off_organization(each, timezone.now())]


@shared_task(name="corrections.price_late", ignore_result=True)
def price_late() -> None:
    """Looks whether a newer price list prices what had no price."""
    reprice_late(timezone.now())


def organizations_at_work() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM corrections_organizations_at_work()")
        return [organization_id for (organization_id,) in cursor.fetchall()]
