"""Telling the workers that there is something to settle. Only a hint: what is to be done stands in Postgres."""

import logging
import threading
import time

from django.db import transaction
from kombu.exceptions import OperationalError

from ingest.tasks import settle

log = logging.getLogger(__name__)

# One hint is enough for everything that arrives while the worker starts on it; beat finds what no hint was sent for.
QUIET_SECONDS = 0.2
# After a failure nobody waits for Redis again for a while.
BACK_OFF_SECONDS = 5.0


class _Bell:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._not_before = 0.0

    def ring(self) -> None:
        if not self._may_ring():
            return
        try:
            settle.delay()
        except OperationalError as error:
            log.warning("no worker could be woken (%s); the next sweep will find the events", error)
            with self._lock:
                self._not_before = time.monotonic() + BACK_OFF_SECONDS

    def _may_ring(self) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._not_before:
                return False
            self._not_before = now + QUIET_SECONDS
            return True


_bell = _Bell()


def after_commit() -> None:
    """Wakes a worker once the current transaction has committed."""
    transaction.on_commit(_bell.ring)
