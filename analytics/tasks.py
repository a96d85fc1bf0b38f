"""Celery tasks of analytics: wake-ups, nothing that would be lost with the message."""

from celery import shared_task
from django.utils import timezone

from analytics.review_mails import reviews_send


@shared_task(name="analytics.send_reviews", ignore_result=True)
def send_reviews() -> None:
    reviews_send(clock=timezone.now)
