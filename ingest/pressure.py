"""The inbox's bound: past it new usage is put off, so that what is waiting is settled before the disk is full.

Batches that were set aside with an error do not age an organization: one bad batch must not stop the good ones.
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from common.problems import Problem
from ingest.turned_away import OVERLOADED

RETRY_AFTER_S = 10
# The backlog is asked for no more often than this, and a slow answer is used for longer.
LOOK_EVERY_S = 1.0
LOOK_COST = 20


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the inbox: all events, and by organization the events and the oldest batch that is due."""

    events: int = 0
    by_organization: dict[int, tuple[int, datetime | None]] = field(default_factory=dict)


class _Inbox:
    """The backlog as of a moment ago. One thread looks; the others go by what it saw last."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._seen = Backlog()
        self._look_at = 0.0

    def backlog(self) -> Backlog:
        if time.monotonic() >= self._look_at and self._looking.acquire(blocking=False):
            try:
                started = time.monotonic()
                self._seen = _backlog()
                took = time.monotonic() - started
                self._look_at = started + max(LOOK_EVERY_S, LOOK_COST * took)
            finally:
                self._looking.release()
        return self._seen

    def look_again(self) -> None:
        self._look_at = 0.0


inbox = _Inbox()


def refuse_when_overloaded(*, organization_id: int, now: datetime, headers: dict[str, str]) -> None:
    """Problem 503 `ingestion-overloaded` when too much waits, of everybody or of this organization, or for too long."""
    backlog = inbox.backlog()
    events, oldest = backlog.by_organization.get(organization_id, (0, None))
    if backlog.events >= settings.INBOX_MAX_EVENTS or events >= settings.INBOX_ORGANIZATION_MAX_EVENTS:
        raise _overloaded("Too many events are waiting to be settled.", headers)
    if oldest is not None and now - oldest > timedelta(seconds=settings.INBOX_MAX_AGE_SECONDS):
        raise _overloaded("Settling is too far behind.", headers)


def _overloaded(why: str, headers: dict[str, str]) -> Problem:
    return Problem(
        OVERLOADED,
        f"{why} Nothing was stored; send the batch again later.",
        headers=headers | {"Retry-After": str(RETRY_AFTER_S)},
    )


def _backlog() -> Backlog:
    with connection.cursor() as cursor:
        cursor.execute("SELECT organization_id, events, oldest_due FROM ingest_backlog_by_organization()")
        by_organization = {organization: (events, oldest) for organization, events, oldest in cursor.fetchall()}
    return Backlog(sum(events for events, _ in by_organization.values()), by_organization)
