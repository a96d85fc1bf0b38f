"""What one event costs, at list and as the organization pays: shared by settling and repricing. Pure."""

from typing import NamedTuple

from pricing.book import NO_PRICE, Resolution
from pricing.rate import OWN_CACHE_COST, served_from_own_cache
from pricing.usage_buckets import Buckets


class Charge(NamedTuple):
    """nano-USD. Both costs are known, or neither is and `unpriced_reason` says why."""

    list_cost: int | None
    cost: int | None
    unpriced_reason: str = ""


_FREE = Charge(OWN_CACHE_COST, OWN_CACHE_COST)


def charge(found: Resolution, buckets: Buckets, cache: str | None) -> Charge:
    """`cache` as the event says it: an answer of the customer's own cache reached no provider."""
    if served_from_own_cache(cache):
        return _FREE
    listed, contract = found.rate, found.contract
    if listed is None:
        return Charge(None, None, found.reason or NO_PRICE)
    list_cost = listed.cost(buckets)
    if contract is None:
        if list_cost is None:
            return Charge(None, None, listed.why_unpriced(buckets) or NO_PRICE)
        return Charge(list_cost, list_cost)
    cost = contract.cost(buckets)
    if cost is None:
        return Charge(None, None, contract.why_unpriced(buckets) or NO_PRICE)
    # The contract may price a unit that the list does not; its figure is then the only one there is.
    return Charge(cost if list_cost is None else list_cost, cost)
