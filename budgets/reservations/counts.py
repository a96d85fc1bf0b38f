"""How many authorizations came to what, over all time: what /metrics shows.

What happens to every call is added up in memory and written every few seconds, so that counting costs the hot path no
statement; a process that is killed loses the sums of its last seconds. Everything rarer is written at once.
"""

import threading
import time
from enum import StrEnum

from common.db import server_cursor
from tenants.access import organization_scope

WRITE_S = 5.0


class Outcome(StrEnum):
    ALLOWED = "allowed"
    DEGRADED = "degraded"
    REFUSED = "refused"
    SHADOW = "would_have_refused"
    RATE_LIMITED = "rate_limited"
    UNCOUNTED = "allowed_without_counters"
    UNAVAILABLE = "refused_without_counters"
    ABANDONED = "abandoned"
    OVERRUN = "more_than_held"


_OFTEN = frozenset({Outcome.ALLOWED, Outcome.DEGRADED})


class Counts:
    """Sums of one process that are not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[tuple[int, str], int] = {}
        self._written = time.monotonic()

    def note(self, organization_id: int, outcome: Outcome, count: int = 1) -> None:
        if count:
            with self._lock:
                key = (organization_id, outcome.value)
                self._sums[key] = self._sums.get(key, 0) + count
            if outcome not in _OFTEN or time.monotonic() - self._written > WRITE_S:
                self.write()

    def write(self) -> None:
        """Writes the sums. What cannot be written is lost, as it would be with the process."""
        with self._lock:
            sums, self._sums = self._sums, {}
            self._written = time.monotonic()
        for organization_id in sorted({organization_id for organization_id, _ in sums}):
            own = sorted((outcome, count) for (owner, outcome), count in sums.items() if owner == organization_id)
            with organization_scope(organization_id), server_cursor() as cursor:
                cursor.execute(
                    "INSERT INTO budgets_authorization_count AS kept (organization_id, outcome, count)"
                    " SELECT own.id, sums.* FROM tenants_organization AS own, unnest(%s::text[], %s::bigint[]) AS sums"
                    " WHERE own.id = %s ON CONFLICT (organization_id, outcome)"
                    " DO UPDATE SET count = kept.count + excluded.count",
                    [[outcome for outcome, _ in own], [count for _, count in own], organization_id],
                )


counts = Counts()
