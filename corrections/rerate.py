"""What pricing an event anew, other counts and another status change. Pure; amounts in nano-USD."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from pricing.charge import Charge
from pricing.usage_buckets import Buckets


class Standing(NamedTuple):
    """A stored event as it stands: its own figures and everything that prices and counts have changed since.

    Refunds and corrections of the amount are not in `cost`: they stay whatever the price is. `unpriced_requests` are
    those that still have no price; `status` and `buckets` are the ones that count now.
    """

    at: datetime
    event_id: str
    team_id: int
    virtual_key_id: int
    provider: str
    model: str
    reported_provider: str
    reported_model: str
    service_tier: str
    status: str
    cache: str
    buckets: Buckets
    unpriced: bool
    unpriced_requests: int
    list_cost: int
    cost: int
    # What callers called it.
    labels: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}


class Change(NamedTuple):
    """`deltas` by measure, empty when all stays as it is. `kept`: no price is known any more, so the old one stays."""

    deltas: Mapping[str, int]
    newly_priced: bool = False
    kept: bool = False


_NONE: Mapping[str, int] = {}
UNCHANGED, KEPT = Change(_NONE), Change(_NONE, kept=True)


def difference(standing: Standing, charge: Charge) -> Change:
    """From how an event stands to what it is charged now. What had a price never loses it."""
    if charge.cost is None or charge.list_cost is None:
        return UNCHANGED if standing.unpriced else KEPT
    deltas = {"cost": charge.cost - standing.cost, "list_cost": charge.list_cost - standing.list_cost}
    if standing.unpriced:
        return Change(deltas | {"unpriced_requests": -standing.unpriced_requests}, newly_priced=True)
    return Change(deltas) if any(deltas.values()) else UNCHANGED


def recount(standing: Standing, buckets: Buckets, charge: Charge) -> Change:
    """From how an event stands to other counts, which are charged `charge`.

    Without a price for them only the counts change: a cost that is known stays, and what has none has it for none of
    its requests.
    """
    before, after = _counted(standing.buckets, standing.status), _counted(buckets, standing.status)
    deltas = {name: count - before[name] for name, count in after.items()}
    priced = False
    if charge.cost is not None and charge.list_cost is not None:
        priced = True
        deltas |= {"cost": charge.cost - standing.cost, "list_cost": charge.list_cost - standing.list_cost}
    if standing.unpriced:
        deltas["unpriced_requests"] = (0 if priced else buckets.requests) - standing.unpriced_requests
    newly_priced = standing.unpriced and priced
    changes = newly_priced or any(deltas.values())
    return Change(deltas if changes else _NONE, newly_priced, kept=not priced and not standing.unpriced)


def _counted(buckets: Buckets, status: str) -> dict[str, int]:
    """What an event of these counts adds to the measures that no price is needed for."""
    return {
        "requests": buckets.requests,
        "errors": buckets.requests if status == "error" else 0,
        "input_tokens": buckets.input_tokens,
        "cache_read_input_tokens": buckets.cache_read,
        "cache_write_input_tokens": buckets.cache_write_5m + buckets.cache_write_1h,
        "output_tokens": buckets.output_tokens,
        "reasoning_output_tokens": buckets.reasoning_output,
    }


def moves(sums: Mapping[str, Mapping[str, int]], status: str) -> list[tuple[str, dict[str, int]]]:
    """(status, deltas) that take all measures of an event from where they are (`sums` by status) to one status."""
    taken = [(old, measures) for old, measures in sorted(sums.items()) if old != status and any(measures.values())]
    if not taken:
        return []
    names = taken[0][1]
    moved = {name: sum(measures[name] for _, measures in taken) for name in names}
    moved["errors"] = moved["requests"] if status == "error" else 0
    away = [(old, {name: -measure for name, measure in measures.items()}) for old, measures in taken]
    return [*away, (status, moved)]
