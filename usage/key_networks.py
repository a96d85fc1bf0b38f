"""Which networks virtual keys are used from: /24 or /48, never an address.

Requests only add to a dictionary in memory; a thread of the process writes it every few seconds, and what was written
for an hour is not written again in it. So accepting usage costs no statement more, and a row is written at most once
per hour, key, network and process. Processes may write the same at the same time: a row's first and last moments only
widen. A process that is killed forgets what it had written as well, so that the next use is noted again; what is lost
is a network that was used in its last seconds and never after.
"""

import logging
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import QuerySet
from django.http import HttpRequest

from common.background import Background
from common.db import server_cursor
from common.networks import origin
from tenants.access import organization_scope
from tenants.authentication import Caller
from tenants.selectors import organization_ids
from usage.models import KeyNetwork

log = logging.getLogger(__name__)

# Of one key the networks it used last; of one process what it noted this hour, and what it has not written yet.
MOST_OF_A_KEY = 256
MOST_NOTED = 50_000
# A network that was not used for so long appears anew.
ABSENCE = timedelta(days=90)
# And is forgotten after so long.
KEPT = timedelta(days=365)


class Use(NamedTuple):
    organization_id: int
    virtual_key_id: int
    network: str


# First and last moment of a use since it was last written.
Span = tuple[datetime, datetime]


class KeyNetworks:
    """What one process noted and has not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[Use, int] = {}
        self._waiting: dict[Use, Span] = {}
        self._background = Background("key-networks", self.flush)

    def note(self, request: HttpRequest, caller: Caller, now: datetime) -> None:
        """Where the caller is, if it is a virtual key: an access token is no key's secret. Never fails."""
        if caller.virtual_key_id is None:
            return
        network = origin(request.META, settings.TRUSTED_PROXY_COUNT)
        if network is None:
            return
        use, hour = Use(caller.organization_id, caller.virtual_key_id, network), int(now.timestamp()) // 3600
        if self._noted.get(use) != hour:
            self._add(use, hour, now)

    def _add(self, use: Use, hour: int, now: datetime) -> None:
        with self._lock:
            if use not in self._waiting and len(self._waiting) >= MOST_NOTED:
                return
            # Threads come here in any order.
            self._waiting[use] = _joined(self._waiting.get(use), (now, now))
            if len(self._noted) >= MOST_NOTED:
                self._noted.clear()
            self._noted[use] = hour

    def flush(self) -> None:
        """Writes what waits; what cannot be written now is kept for the next time."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        by_organization: dict[int, dict[Use, Span]] = {}
        for use, span in waiting.items():
            by_organization.setdefault(use.organization_id, {})[use] = span
        while by_organization:
            organization_id, own = by_organization.popitem()
            try:
                _write(organization_id, own)
            except (DatabaseError, InterfaceError) as error:
                log.warning("where keys were used from could not be written yet: %s", error)
                self._keep(own, *by_organization.values())
                return

    def _keep(self, *unwritten: Mapping[Use, Span]) -> None:
        with self._lock:
            for spans in unwritten:
                for use, span in spans.items():
                    self._waiting[use] = _joined(self._waiting.get(use), span)

    def forget(self) -> None:
        """Begins anew, as a new process does."""
        with self._lock:
            self._noted.clear()
            self._waiting.clear()

    def start_writing(self) -> None:
        """Starts this process's thread that writes; called once, after any fork."""
        self._background.start(every=settings.INTAKE_COUNT_SECONDS)


def _joined(one: Span | None, other: Span) -> Span:
    return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))


key_networks = KeyNetworks()

# Keys that are gone are left out; the rows come in the order of the key, so that two processes lock them alike.
_UPSERT = """
INSERT INTO usage_key_network AS kept
    (organization_id, virtual_key_id, network, first_seen_at, last_seen_at, appeared_at, days)
SELECT key.organization_id, key.id, used.network, used.first, used.last, used.first, 1
FROM unnest(%(keys)s::bigint[], %(networks)s::text[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[])
    AS used (key_id, network, first, last)
JOIN tenants_virtualkey AS key ON key.organization_id = %(organization)s AND key.id = used.key_id
ORDER BY key.id, used.network
ON CONFLICT (organization_id, virtual_key_id, network) DO UPDATE SET
    appeared_at = CASE WHEN excluded.first_seen_at > kept.last_seen_at + %(absence)s::interval
        THEN excluded.first_seen_at ELSE least(kept.appeared_at, excluded.first_seen_at) END,
    days = kept.days + (date_trunc('day', excluded.last_seen_at, 'UTC')
        > date_trunc('day', kept.last_seen_at, 'UTC'))::int,
    first_seen_at = least(kept.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at)
"""
_TRIM = """
DELETE FROM usage_key_network AS old USING (
    SELECT virtual_key_id, network, row_number() OVER (
        PARTITION BY virtual_key_id ORDER BY last_seen_at DESC, network) AS place
    FROM usage_key_network WHERE organization_id = %(organization)s AND virtual_key_id = ANY(%(keys)s::bigint[])
) AS ranked
WHERE old.organization_id = %(organization)s AND old.virtual_key_id = ranked.virtual_key_id
    AND old.network = ranked.network AND ranked.place > %(most)s
"""


def _write(organization_id: int, spans: Mapping[Use, Span]) -> None:
    """Adds what was seen, and drops of each of these keys what is above its bound."""
    uses = sorted(spans)
    with organization_scope(organization_id), server_cursor() as cursor:
        keys = [use.virtual_key_id for use in uses]
        cursor.execute(
            _UPSERT,
            {
                "organization": organization_id,
                "keys": keys,
                "networks": [use.network for use in uses],
                "firsts": [spans[use][0] for use in uses],
                "lasts": [spans[use][1] for use in uses],
                "absence": ABSENCE,
            },
        )
        cursor.execute(_TRIM, {"organization": organization_id, "keys": keys, "most": MOST_OF_A_KEY})


def networks_of_key(*, organization_id: int, virtual_key_id: int) -> QuerySet[KeyNetwork]:
    """All of them, the one used last first; at most `MOST_OF_A_KEY`."""
    found = KeyNetwork.objects.filter(organization_id=organization_id, virtual_key_id=virtual_key_id)
    return found.order_by("-last_seen_at", "network")


def forget_networks(now: datetime) -> int:
    """Deletes what no key was used from for a year; how many."""
    forgotten = 0
    for organization_id in organization_ids():
        with organization_scope(organization_id), server_cursor() as cursor:
            cursor.execute(
                "DELETE FROM usage_key_network WHERE organization_id = %s AND last_seen_at < %s",
                [organization_id, now - KEPT],
            )
            forgotten += cursor.rowcount
    return forgotten
