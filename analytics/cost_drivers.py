"""Why a bill changed: volume, tokens per request, mix and price, which add up to the change. Pure, exact, nano-USD.

The way from the bill before to the bill now is walked in steps, each the bill that would have been:

    the bill before
    → volume      as many requests as now, each with the tokens and at the average price of before
    → tokens      as many tokens as now, at the average price of before
    → mix         of the models that are used now, each at its own price of before
    → price       at the prices of now: the bill now

A part is the difference of two steps, each rounded once to the nano-dollar, so the parts always add up. What has no
requests (fees, corrections booked to no call) has no such reasons and is a part of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Amounts:
    """One kind of usage, e.g. a model, in one period. `requests` are those whose cost is known."""

    cost: int = 0
    requests: int = 0
    tokens: int = 0

    @property
    def has_usage(self) -> bool:
        return bool(self.requests or self.tokens)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same kind of usage in the period before and in this one."""

    before: Amounts
    now: Amounts


@dataclass(frozen=True, slots=True)
class Drivers:
    """The parts of a change of cost."""

    volume: int = 0
    tokens: int = 0
    mix: int = 0
    price: int = 0
    other: int = 0

    @property
    def change(self) -> int:
        return self.volume + self.tokens + self.mix + self.price + self.other

    @property
    def biggest(self) -> str:
        """The name of the part that did most to move the bill the way it went; "" when it did not move."""
        way = (self.change > 0) - (self.change < 0)
        parts = {name: way * getattr(self, name) for name in ("volume", "tokens", "mix", "price", "other")}
        return max(parts, key=parts.__getitem__) if way else ""


def drivers(pairs: Iterable[Pair]) -> Drivers:
    """The parts of the change over all kinds of usage."""
    pairs = list(pairs)
    used = [pair for pair in pairs if pair.before.has_usage or pair.now.has_usage]
    other = sum(pair.now.cost - pair.before.cost for pair in pairs if pair not in used)
    before, now = _total(pair.before for pair in used), _total(pair.now for pair in used)
    if not before.has_usage or not before.cost:
        # Nothing to compare with: all of it is usage that was not there.
        return Drivers(volume=now.cost - before.cost, other=other)
    by_volume = _scaled(before.cost, now.requests, before.requests) if before.requests else before.cost
    by_tokens = _scaled(before.cost, now.tokens, before.tokens) if before.tokens else by_volume
    by_mix = round(sum((_at_old_price(pair) for pair in used), Fraction()))
    return Drivers(
        volume=by_volume - before.cost,
        tokens=by_tokens - by_volume,
        mix=by_mix - by_tokens,
        price=now.cost - by_mix,
        other=other,
    )


def _at_old_price(pair: Pair) -> Fraction:
    """What the usage of now would have cost before. What is new had no price before: it counts at its own."""
    before, now = pair.before, pair.now
    if before.tokens and now.tokens:
        return Fraction(before.cost * now.tokens, before.tokens)
    if before.requests and now.requests and not (before.tokens or now.tokens):
        return Fraction(before.cost * now.requests, before.requests)
    return Fraction(now.cost)


def _scaled(cost: int, now: int, before: int) -> int:
    return round(Fraction(cost * now, before))


def _total(amounts: Iterable[Amounts]) -> Amounts:
    cost = requests = tokens = 0
    for each in amounts:
        cost, requests, tokens = cost + each.cost, requests + each.requests, tokens + each.tokens
    return Amounts(cost, requests, tokens)
