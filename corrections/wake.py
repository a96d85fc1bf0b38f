"""Telling a worker that a repricing has more to do. Only a hint: beat finds what no hint was sent for."""

import logging

from django.db import transaction
from kombu.exceptions import OperationalError

from corrections.tasks import work_off

log = logging.getLogger(__name__)


def after_commit() -> None:
    """Wakes a worker once the current transaction has committed."""
    transaction.on_commit(_ring)


def _ring() -> None:
    try:
        work_off.delay()
    except OperationalError as error:
        log.warning("no worker could be woken (%s); the next sweep will find the run", error)
