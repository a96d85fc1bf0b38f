"""What to hold for a call before anybody knows what it will cost. Pure.

A hold that is too low is no limit: the output is held up to a cap that the caller must forward to the provider, at the
dearer of the prices for plain and reasoning output, and the input at the price of what the caller says it consists of.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pricing.book import Resolution
from pricing.charge import charge
from pricing.rate import Rate
from pricing.usage_buckets import Buckets

# Per call. Past any context there is, and little enough for sums of holds to stay within 64 bits.
MAX_TOKENS = 10**8
# Nano-USD that one call may hold: a million USD.
MAX_HELD = 10**15
# The cap of a call that names none.
DEFAULT_MAX_OUTPUT = 4_096


class Amounts(NamedTuple):
    """By unit; `cost` in nano-USD, None when no price is known."""

    cost: int | None
    tokens: int
    requests: int

    def of(self, unit: str) -> int | None:
        return {"cost": self.cost, "tokens": self.tokens, "requests": self.requests}[unit]


class Worth(NamedTuple):
    """A call's amounts: all of it up to the cap, and its input alone."""

    full: Amounts
    input: Amounts


def worth(found: Resolution, asked: Buckets) -> Worth:
    """`asked` holds the input in its parts and the cap as plain output."""
    bare = _without_output(asked)
    costs = [charge(found, buckets, None).cost for buckets in _dearest_outputs(asked)]
    known = [cost for cost in costs if cost is not None]
    return Worth(
        Amounts(max(known) if len(known) == len(costs) else None, asked.input_tokens + asked.output, asked.requests),
        Amounts(charge(found, bare, None).cost, asked.input_tokens, asked.requests),
    )


def dearest(rates: Iterable[Rate], asked: Buckets) -> Worth | None:
    """The call at the dearest of these rates, for a model whose own is not known; None when none of them tells."""
    costs = [(cost, rate) for rate in rates for cost in map(rate.cost, _dearest_outputs(asked)) if cost is not None]
    if not costs:
        return None
    cost, rate = max(costs, key=lambda pair: pair[0])
    return Worth(
        Amounts(cost, asked.input_tokens + asked.output, asked.requests),
        Amounts(rate.cost(_without_output(asked)), asked.input_tokens, asked.requests),
    )


def _dearest_outputs(asked: Buckets) -> tuple[Buckets, ...]:
    """The whole cap as plain output, and as reasoning: a model may have a price of its own for that."""
    return (asked, asked._replace(output=0, reasoning_output=asked.output))


def _without_output(asked: Buckets) -> Buckets:
    return asked._replace(output=0)
