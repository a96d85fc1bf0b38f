"""What was sent and not taken in: refused requests and duplicates, counted per hour, source, credential and reason.

Requests only add to a sum in memory, which a thread writes every few seconds: counting must not cost the hot path a
statement. A process that is killed loses the sums of its last seconds; what was accepted is never counted here.
"""

import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from common.background import Background
from common.db import server_cursor
from tenants.access import organization_scope

log = logging.getLogger(__name__)

DUPLICATE = "duplicate"
OVERLOADED = "ingestion-overloaded"
# More kinds of sums than this in a few seconds are not kept: whoever makes them is not worth the memory.
MOST_SUMS = 50_000


class Kind(NamedTuple):
    organization_id: int
    hour: datetime
    source: str
    credential_id: int
    reason: str


class TurnedAway:
    """Sums of one process that are not written yet: per kind the requests and the events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[Kind, tuple[int, int]] = {}
        self._background = Background("turned-away", self.flush)

    def note(
        self, *, organization_id: int, source: str, credential_id: int, reason: str, now: datetime, events: int = 0
    ) -> None:
        """Counts one request; `events` where it is known how many."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        kind = Kind(organization_id, hour, source, credential_id, reason)
        with self._lock:
            requests, known = self._sums.get(kind, (0, 0))
            if requests or len(self._sums) < MOST_SUMS:
                self._sums[kind] = (requests + 1, known + events)

    def flush(self) -> None:
        """Writes the sums; what cannot be written now is kept for the next time."""
        with self._lock:
            sums, self._sums = self._sums, {}
        by_organization: dict[int, dict[Kind, tuple[int, int]]] = {}
        for kind, sum_ in sums.items():
            by_organization.setdefault(kind.organization_id, {})[kind] = sum_
        while by_organization:
            organization_id, own = by_organization.popitem()
            try:
                _add(organization_id, own)
            except (DatabaseError, InterfaceError) as error:
                log.warning("counts of what was turned away could not be written yet: %s", error)
                self._keep(own, *by_organization.values())
                return

    def _keep(self, *unwritten: Mapping[Kind, tuple[int, int]]) -> None:
        with self._lock:
            for sums in unwritten:
                for kind, (requests, events) in sums.items():
                    newer = self._sums.get(kind, (0, 0))
                    self._sums[kind] = (requests + newer[0], events + newer[1])

    def start_writing(self) -> None:
        """Starts this process's thread that writes the sums; called once, after any fork."""
        self._background.start(every=settings.INTAKE_COUNT_SECONDS)


turned_away = TurnedAway()


def _add(organization_id: int, sums: Mapping[Kind, tuple[int, int]]) -> None:
    """Rows in the order of the key, so that two processes lock them in the same order."""
    rows = [(*kind[1:], *sum_) for kind, sum_ in sorted(sums.items())]
    with organization_scope(organization_id), server_cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_turned_away AS kept"
            " (organization_id, hour, source, credential_id, reason, requests, events)"
            " SELECT %s::bigint, * FROM unnest(%s::timestamptz[], %s::text[], %s::bigint[], %s::text[], %s::bigint[],"
            " %s::bigint[]) ON CONFLICT (organization_id, hour, source, credential_id, reason) DO UPDATE"
            " SET requests = kept.requests + excluded.requests, events = kept.events + excluded.events",
            [organization_id, *(list(column) for column in zip(*rows, strict=True))],
        )
