"""Units × price, in integers, rounded once: the innermost loop of the product.

A compiled `Rate` knows nothing of models or dates; `pricing.book` says which one applies. Amounts are nano-USD.
"""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from operator import mul
from typing import NamedTuple

from pricing.terms import Tier, Units
from pricing.usage_buckets import BUCKETS, Buckets

# Answers from a cache of the customer's own never reached a provider; what the event counts was not billed.
OWN_CACHE_OUTCOMES = frozenset({"hit", "semantic"})
OWN_CACHE_COST = 0

NO_UNIT_PRICE = "no_unit_price"
AMOUNT_OUT_OF_RANGE = "amount_out_of_range"

LARGEST_AMOUNT = 2**63 - 1  # what a bigint column holds: 9.2 billion USD
_EXACT = 120  # digits: more than a price, a factor and a quantity have together
_NANO_DIGITS = 3  # an integer price per million tokens in 10^-3 USD is one in nano-USD per token

# Where each bucket's price is looked for. A part without its own price is billed like the whole it belongs to:
# vendors that give no cache discount or list no reasoning price bill those tokens as plain input and output.
PRICED_BY: dict[str, tuple[str, ...]] = {
    "uncached_input": ("input",),
    "cache_read": ("cache_read", "input"),
    "cache_write_5m": ("cache_write_5m", "cache_write", "input"),
    "cache_write_1h": ("cache_write_1h", "cache_write", "input"),
    "output": ("output",),
    "reasoning_output": ("reasoning_output", "output"),
    "input_audio": ("input_audio", "input"),
    "output_audio": ("output_audio", "output"),
    "images": ("images",),
    "requests": ("requests",),
    "tool_calls": ("tool_calls",),
}


# The same for every unit a price may name, containers included.
UNIT_PRICED_BY: dict[str, tuple[str, ...]] = {
    **PRICED_BY,
    "input": ("input",),
    "cache_write": ("cache_write", "cache_write_5m", "input"),
}


class Line(NamedTuple):
    """One addend of a cost, for people who ask where a figure comes from. `amount` is exact, in USD."""

    bucket: str
    quantity: int
    usd_per_million: Decimal
    amount: Decimal


class Rate:
    """The price of every bucket, scaled to integers. Immutable after construction, safe to share."""

    __slots__ = ("_base", "_divisor", "_gaps", "_scale", "_terms", "_tiers")

    def __init__(
        self,
        units: Units,
        tiers: Sequence[Tier] = (),
        *,
        unknown: frozenset[str] = frozenset(),
        factor: Decimal = Decimal(1),
    ) -> None:
        """`units` and `tiers` as in `pricing.terms`; `unknown` are buckets that must not be priced from them.

        `factor` multiplies every price, exactly: a discount is part of the rate, so that its cost is rounded once.
        """
        self._terms = units, tiers, unknown, factor
        levels = [(-1, units), *((tier["above_input_tokens"], tier["units"]) for tier in tiers)]
        prices = [(above, [_price(bucket, level, unknown, factor) for bucket in BUCKETS]) for above, level in levels]
        self._scale = max(_NANO_DIGITS, *(_digits(price) for _, row in prices for price in row))
        self._divisor = 10 ** (self._scale - _NANO_DIGITS)
        self._gaps = tuple(
            index
            for index, bucket in enumerate(BUCKETS)
            # No price per request means that requests are free; every other absence means that nobody knows.
            if bucket != "requests" and any(row[index] is None for _, row in prices)
        )
        scaled = [(above, tuple(_integer(price, self._scale) for price in row)) for above, row in prices]
        self._base = scaled[0][1]
        self._tiers = tuple(sorted(scaled[1:], reverse=True))

    def times(self, factor: Decimal) -> "Rate":
        """This rate with every price multiplied."""
        units, tiers, unknown, own = self._terms
        return Rate(units, tiers, unknown=unknown, factor=exact_product(own, factor))

    def cost(self, buckets: Buckets) -> int | None:
        """Nano-USD, rounded half-even once; None when it cannot be known (`why_unpriced` says why)."""
        for index in self._gaps:
            if buckets[index]:
                return None
        nano, rest = divmod(sum(map(mul, buckets, self._prices(buckets))), self._divisor)
        twice = rest * 2
        if twice > self._divisor or (twice == self._divisor and nano & 1):
            nano += 1
        return nano if nano <= LARGEST_AMOUNT else None

    def why_unpriced(self, buckets: Buckets) -> str | None:
        """A stable reason such as "no_unit_price:output", or None when `cost` gives an amount."""
        for index in self._gaps:
            if buckets[index]:
                return f"{NO_UNIT_PRICE}:{BUCKETS[index]}"
        return AMOUNT_OUT_OF_RANGE if self.cost(buckets) is None else None

    def lines(self, buckets: Buckets) -> list[Line]:
        """The addends of the cost, unrounded; buckets without a price are left out."""
        with localcontext(prec=_EXACT):
            prices = [Decimal(price).scaleb(-self._scale) for price in self._prices(buckets)]
        return [
            Line(bucket, quantity, price, _usd(quantity, price))
            for index, (bucket, quantity, price) in enumerate(zip(BUCKETS, buckets, prices, strict=True))
            if quantity and price and index not in self._gaps
        ]

    def _prices(self, buckets: Buckets) -> tuple[int, ...]:
        if self._tiers:
            total = buckets.input_tokens
            for above, prices in self._tiers:
                if total > above:
                    return prices
        return self._base


def served_from_own_cache(cache: str | None) -> bool:
    """Whether an event's `cache` says that no provider was called, so that it costs `OWN_CACHE_COST`."""
    return cache in OWN_CACHE_OUTCOMES


def exact_product(amount: Decimal, factor: Decimal) -> Decimal:
    """Without the 28 digits that Decimal stops at by default."""
    with localcontext(prec=_EXACT):
        return amount * factor


def _price(bucket: str, units: Units, unknown: frozenset[str], factor: Decimal) -> Decimal | None:
    if bucket in unknown:
        return None
    unit = next((unit for unit in PRICED_BY[bucket] if unit in units), None)
    amount = None if unit is None else units[unit]
    return None if amount is None else exact_product(Decimal(amount), factor)


def _usd(quantity: int, usd_per_million: Decimal) -> Decimal:
    with localcontext(prec=_EXACT):
        return (quantity * usd_per_million).scaleb(-6)


def _integer(price: Decimal | None, scale: int) -> int:
    with localcontext(prec=_EXACT):
        return int((price or Decimal()).scaleb(scale))


def _digits(price: Decimal | None) -> int:
    with localcontext(prec=_EXACT):
        exponent = (price or Decimal()).normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0
