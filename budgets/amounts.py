"""Amounts in a budget's unit: as the API writes them, as people read and write them. Pure."""

import re

from budgets.models import MAX_LIMIT, Unit
from common.display import compact, count, usd, usd_compact, usd_exact
from common.money import parse_usd, to_usd, usd_to_nano

_WHOLE = re.compile(r"0|[1-9][0-9]{0,18}")
# Digits in groups of three or none: "1,50" is not taken for fifteen dozen of anything.
_AMOUNT = re.compile(r"\$?\s*((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)")


class AmountError(ValueError):
    """The text is no amount in the unit; the message says what would be one. `code` is for machines."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def to_text(unit: str, amount: int | None) -> str | None:
    """For machines: USD with nine decimals, or a whole number."""
    if amount is None:
        return None
    return to_usd(amount) if unit == Unit.COST else str(amount)


def from_text(unit: str, text: object) -> int:
    """What `to_text` writes, in nano-USD, tokens or requests; above 0 and at most MAX_LIMIT. AmountError."""
    amount = _usd(text) if unit == Unit.COST else _whole(unit, text)
    return checked(unit, amount)


def checked(unit: str, amount: int) -> int:
    """The amount; AmountError for one that no limit may have."""
    if not 0 < amount <= MAX_LIMIT:
        most = "1000000000 USD" if unit == Unit.COST else f"{MAX_LIMIT} {unit}"
        raise AmountError("out_of_range", f"must be more than 0 and at most {most}")
    return amount


def _usd(text: object) -> int:
    found = parse_usd(text) if isinstance(text, str) else None
    if found is None:
        raise AmountError("invalid", 'must be a decimal string in USD such as "500.00"')
    nano = usd_to_nano(found)
    if nano is None:
        raise AmountError("too_fine", "is finer than a nano-dollar (9 decimals)")
    return nano


def _whole(unit: str, text: object) -> int:
    if not isinstance(text, str) or _WHOLE.fullmatch(text) is None:
        raise AmountError("invalid", f'must be a whole number of {unit} as a string such as "1000000"')
    return int(text)


def from_person(unit: str, text: str) -> int:
    """An amount as people write it, such as "$1,250.50" or "2,000,000". AmountError."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        like = "an amount in US dollars, such as 1,250.50" if unit == Unit.COST else "a whole number, such as 2,000,000"
        raise AmountError("invalid", f"Write {like}.")
    plain = found[1].replace(",", "").lstrip("0") or "0"
    return from_text(unit, f"0{plain}" if plain.startswith(".") else plain)


def for_person(unit: str, amount: int) -> str:
    """What `from_person` takes, every digit of it."""
    return usd_exact(amount).removeprefix("$") if unit == Unit.COST else count(amount)


def spoken(unit: str, amount: int | None) -> str:
    """For pages: "$1,234.56", "1.23M tokens", "8,819 requests"."""
    if unit == Unit.COST or amount is None:
        return usd(amount)
    return f"{compact(amount) if unit == Unit.TOKENS else count(amount)} {unit if amount != 1 else unit[:-1]}"


def spoken_exact(unit: str, amount: int | None) -> str:
    """Every digit: "$0.000231", "1,234,567 tokens"."""
    if unit == Unit.COST or amount is None:
        return usd_exact(amount)
    return f"{count(amount)} {unit if amount != 1 else unit[:-1]}"


def short(unit: str, amount: int | None) -> str:
    """For tiles and axes, without the unit's name: "$12.3k", "1.23M"."""
    return usd_compact(amount) if unit == Unit.COST or amount is None else compact(amount)
