"""Celery tasks of alerts: wake-ups, nothing that would be lost with the message."""

from celery import shared_task
from django.utils import timezone

from alerts.deliver import deliver_due


@shared_task(name="alerts.deliver", ignore_result=True)
def deliver() -> None:
    deliver_due(clock=timezone.now)
