"""Prices that are most likely a slip of the pen, told by holding them against known ones. Pure.

A price a hundred times higher or lower than every known price of its unit asks to be confirmed: usually somebody
entered dollars per 1,000 tokens, or cents.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple

from pricing.rate import UNIT_PRICED_BY
from pricing.terms import Tier, Units, amount_text

TOO_FAR = 100
# Around a thousandth, a price per 1,000 is the likeliest explanation.
_PER_THOUSAND = (300, 3_000)


class Doubt(NamedTuple):
    """`path` is where in the terms it stands: ("units", "input"), ("tiers", "0", "units", "input"), ("percent",)."""

    path: tuple[str, ...]
    detail: str


def doubts_of_percent(percent: Decimal) -> list[Doubt]:
    factor = 1 + percent / 100
    if factor * TOO_FAR > 1 and factor < TOO_FAR:
        return []
    said = "nothing at all" if factor == 0 else f"{amount_text(factor)} times the list price"
    return [Doubt(("percent",), f"{amount_text(percent)} % makes it {said}.")]


def doubts_of_units(units: Units, tiers: Sequence[Tier], known: Sequence[Units], known_as: str) -> list[Doubt]:
    """`known` are list prices to hold them against, `known_as` what people call those."""
    return [
        Doubt(path, detail)
        for path, unit, price in _amounts(units, tiers)
        if (detail := _doubt(price, _reference(unit, known), known_as))
    ]


def _amounts(units: Units, tiers: Sequence[Tier]) -> Iterator[tuple[tuple[str, ...], str, Decimal]]:
    levels = [(("units",), units), *((("tiers", str(i), "units"), tier["units"]) for i, tier in enumerate(tiers))]
    for path, level in levels:
        for unit, amount in level.items():
            if amount is not None:
                yield (*path, unit), unit, Decimal(amount)


def _reference(unit: str, known: Iterable[Units]) -> list[Decimal]:
    found = []
    for units in known:
        amount = next((units[name] for name in UNIT_PRICED_BY[unit] if units.get(name) is not None), None)
        if amount is not None:
            found.append(Decimal(amount))
    return found


def _doubt(price: Decimal, reference: Sequence[Decimal], known_as: str) -> str:
    """In words; empty when the price is not in doubt or there is nothing to hold it against."""
    if not reference or (not price and 0 in reference):
        return ""
    # Where some of several are free, the others say what is usual.
    paid = [amount for amount in reference if amount] or list(reference)
    low, high = min(paid), max(paid)
    usual = f"${amount_text(low)}" if low == high else f"${amount_text(low)} to ${amount_text(high)}"
    known = f"{known_as} ({usual})"
    if price >= high * TOO_FAR:
        return f"${amount_text(price)} per million is {_times(price, high)} more than {known}."
    if price * TOO_FAR <= low:
        hint = " Is it the price of 1,000?" if _is_per_thousand(price, low) else ""
        return f"${amount_text(price)} per million is {_times(low, price)} less than {known}.{hint}"
    return ""


def _is_per_thousand(price: Decimal, known: Decimal) -> bool:
    least, most = _PER_THOUSAND
    return price * least <= known <= price * most


def _times(larger: Decimal, smaller: Decimal) -> str:
    if not smaller:
        return "infinitely"
    with localcontext(prec=12):
        return f"{(larger / smaller).quantize(Decimal(1)):,} times"
