"""Waking a worker for deliveries. It only wakes: beat finds what a lost message leaves."""

from celery import current_app
from django.db import connection, transaction
from kombu.exceptions import OperationalError


def wake_after_commit() -> None:
    """One message per transaction."""
    if not any(registered[1] is _wake for registered in connection.run_on_commit):
        transaction.on_commit(_wake)


def _wake() -> None:
    try:
        current_app.send_task("alerts.deliver", expires=30)
    except OperationalError:
        # No broker, no wake-up: the delivery waits in Postgres for beat's next round.
        return
