"""Usage of closed months: an organization may have it refused instead of counted in the open month."""

import time
from collections.abc import Sequence
from datetime import datetime

from common.problems import Fault, Problem
from tenants.access import organization_scope
from usage.closing import NEVER, refused_before
from usage.records import Reported

# A month that was closed this recently may still take an event; it then counts in the open month.
REMEMBERED_SECONDS = 10.0
MOST_REMEMBERED = 10_000


class _Process:
    refused: dict[int, tuple[float, datetime]] = {}  # organization → until when this is remembered, refused before


def refuse_closed(organization_id: int, events: Sequence[Reported], pointers: Sequence[str]) -> None:
    """Problem 422 with a fault `period_closed` for every event of a month that takes none any more."""
    before = _refused_before(organization_id)
    if before == NEVER:
        return  # as in nearly every organization: nothing to look at each event for
    faults = [
        Fault(f"{pointer}/time", "period_closed", f"is in a closed month: usage before {before.isoformat()} is refused")
        for event, pointer in zip(events, pointers, strict=True)
        if event.time < before
    ]
    if faults:
        raise Problem("validation-error", f"{len(faults)} events are of closed months.", errors=tuple(faults))


def forget() -> None:
    """Looks anew at the next event."""
    _Process.refused = {}


def _refused_before(organization_id: int) -> datetime:
    known = _Process.refused.get(organization_id)
    now = time.monotonic()
    if known is not None and now < known[0]:
        return known[1]
    with organization_scope(organization_id):
        before = refused_before(organization_id)
    if len(_Process.refused) >= MOST_REMEMBERED:
        _Process.refused = {}
    _Process.refused[organization_id] = now + REMEMBERED_SECONDS, before
    return before
