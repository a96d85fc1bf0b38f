"""Money is an integer of nano-USD (10^-9 USD) inside and a decimal string of USD outside. No float comes near it."""

import re
from decimal import Decimal

NANO = 1_000_000_000
_PLAIN_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.([0-9]{1,12}))?")


def to_usd(nano: int | Decimal | None) -> str | None:
    """1_234_567_890 → "1.234567890"; always nine decimals, so that equal amounts are equal strings."""
    if nano is None:
        return None
    whole = int(nano)
    sign = "-" if whole < 0 else ""
    dollars, rest = divmod(abs(whole), NANO)
    return f"{sign}{dollars}.{rest:09d}"


def parse_usd(text: str) -> Decimal | None:
    """The exact amount in USD that a plain decimal string writes (up to 12 decimals), or None when it is not one."""
    return Decimal(text) if _PLAIN_DECIMAL.fullmatch(text) else None


def usd_to_nano(amount: Decimal) -> int | None:
    """USD as nano-USD; None when the amount is finer than a nano-dollar."""
    nano = amount.scaleb(9)
    return int(nano) if nano == nano.to_integral_value() else None
