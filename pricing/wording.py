"""How prices read to people. Pure text."""

from dataclasses import dataclass
from decimal import Decimal

from common.display import MINUS, dollars
from pricing.rate import UNIT_PRICED_BY
from pricing.rules import RuleKind
from pricing.terms import Units

UNIT_NAMES = {
    "input": "Input",
    "cache_read": "Cache read",
    "cache_write": "Cache write",
    "cache_write_5m": "Cache write, 5 min",
    "cache_write_1h": "Cache write, 1 h",
    "output": "Output",
    "reasoning_output": "Reasoning",
    "input_audio": "Audio in",
    "output_audio": "Audio out",
    "images": "Images",
    "requests": "Requests",
    "tool_calls": "Tool calls",
}
KIND_NAMES = {
    RuleKind.PERCENT: "Percent of list",
    RuleKind.FIXED: "Fixed price",
    RuleKind.CUSTOM: "Model of your own",
}
TIER_NAMES = {"": "All", "standard": "Standard", "batch": "Batch", "flex": "Flex", "priority": "Priority"}


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """USD per million; None: nobody knows one. What has no price of its own is paid like its whole (cache like input).

    `change` in percent, as text.
    """

    name: str
    listed: Decimal | None
    paid: Decimal | None
    change: str = ""


def percent_said(percent: Decimal) -> str:
    """ "15 % off", "20 % on top", "the list price itself"."""
    size = f"{abs(percent).normalize():f}"
    if percent == 0:
        return "the list price itself"
    return f"{size} % off list" if percent < 0 else f"{size} % on top of list"


def units_said(units: Units) -> str:
    """ "Input $2.50, Output $10.00" per million."""
    named = (
        f"{UNIT_NAMES.get(unit, unit)} {'unknown' if amount is None else dollars(Decimal(amount))}"
        for unit, amount in units.items()
    )
    return ", ".join(named)


def terms_said(percent: Decimal | None, units: Units, levels: int = 0) -> str:
    """What a rule says in one line; `levels` is its number of long-context tiers."""
    if percent is not None:
        return percent_said(percent)
    more = f"; {levels} more above long inputs" if levels else ""
    return f"{units_said(units)} per million{more}"


def change_said(paid: Decimal, listed: Decimal) -> str:
    """Paid against listed, in percent with at most one decimal: "−15%", "+20%"; empty where they are the same."""
    if not listed or paid == listed:
        return ""
    moved = ((paid - listed) * 100 / listed).quantize(Decimal("0.1")).normalize()
    return f"{MINUS if moved < 0 else '+'}{abs(moved):f}%"


def unit_prices(listed: Units, paid: Units) -> list[UnitPrice]:
    """Every unit that either names, in the usual order."""
    named = [unit for unit in UNIT_NAMES if unit in listed or unit in paid]
    return [_unit(unit, listed.get(unit), _price_of(unit, paid)) for unit in named]


def _price_of(unit: str, units: Units) -> str | None:
    return next((units[name] for name in UNIT_PRICED_BY[unit] if name in units), None)


def _unit(unit: str, listed: str | None, paid: str | None) -> UnitPrice:
    before, after = (None if amount is None else Decimal(amount) for amount in (listed, paid))
    change = change_said(after, before) if before is not None and after is not None else ""
    return UnitPrice(UNIT_NAMES[unit], before, after, change)
