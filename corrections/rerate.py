"""What pricing an event anew changes. Pure; amounts in nano-USD."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from pricing.charge import Charge
from pricing.usage_buckets import Buckets


class Standing(NamedTuple):
    """A stored event as it stands: its own figures and everything that repricing has booked for it since.

    Refunds and corrections of the amount are not in `cost`: they stay whatever the price is. `unpriced_requests` are
    those that still have no price; `status` is the one that counts now.
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
