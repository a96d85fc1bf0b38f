"""Celery tasks of watching: rules are read again and again, so a lost message costs a minute."""

from celery import shared_task
from django.utils import timezone

from watch.evaluate import evaluate


@shared_task(name="watch.evaluate", ignore_result=True)
def evaluate_rules() -> None:
    evaluate(timezone.now())
