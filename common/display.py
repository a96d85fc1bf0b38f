"""How amounts, counts, shares and times read on a page. Pure text; money comes in as nano-USD, never as a float."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

from common.money import NANO

MISSING = "—"
MINUS = "−"
Number = int | Decimal

_CENT = Decimal("0.01")
_COMPACT_STEPS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
_AGO_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def usd(nano: Number | None) -> str:
    """1_234_560_000_000 → "$1,234.56". Below a cent two significant digits remain: "$0.00042". None → "—"."""
    if nano is None:
        return MISSING
    amount = Decimal(nano) / NANO
    if amount != 0 and abs(amount) < _CENT:
        amount = round_to(amount, 2)
    digits = 2 if amount == 0 or abs(amount) >= _CENT else 1 - amount.adjusted()
    return signed_dollars(amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN))


def usd_exact(nano: Number | None) -> str:
    """Every digit down to the nano-dollar, at least cents: "$0.000231", "$12.00"."""
    if nano is None:
        return MISSING
    sign = MINUS if nano < 0 else ""
    dollars, rest = divmod(abs(int(nano)), NANO)
    return f"{sign}${dollars:,}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"


def usd_fine(nano: Number | None) -> str:
    """For single calls: below a dollar three significant digits, "$0.0428", "$0.000231"; else the same as `usd`."""
    amount = round_to(Decimal(nano or 0) / NANO, 3)
    if nano is None or not 0 < abs(amount) < 1:
        return usd(nano)
    return signed_dollars(amount.quantize(Decimal(1).scaleb(min(-2, amount.adjusted() - 2))))


def usd_signed(nano: Number | None) -> str:
    """A change of an amount: "+$3.10", "−$0.42", "±$0"."""
    if nano is None:
        return MISSING
    return "±$0" if nano == 0 else usd(nano) if nano < 0 else f"+{usd(nano)}"


def dollars(amount: Decimal | None) -> str:
    """An exact amount in USD with every digit it has, at least cents: "$0.10", "$0.0002312345"."""
    if amount is None:
        return MISSING
    whole, _, rest = f"{abs(amount):,f}".partition(".")
    sign = MINUS if amount < 0 else ""
    return f"{sign}${whole}.{rest.rstrip('0').ljust(2, '0')}"


def usd_compact(nano: Number | None) -> str:
    """For tiles and axes: "$12.3k", "$1.24M"; below a thousand dollars the same as `usd`."""
    if nano is None:
        return MISSING
    size = abs(Decimal(nano)) / NANO
    if size < 1000:
        return usd(nano)
    sign = MINUS if nano < 0 else ""
    return f"{sign}${compact(size)}"


def signed_dollars(amount: Decimal) -> str:
    sign = MINUS if amount < 0 else ""
    return f"{sign}${abs(amount):,f}"


def compact(value: Number | None) -> str:
    """Three significant digits and a unit: 1_234_567 → "1.23M"; below a thousand as it is."""
    if value is None:
        return MISSING
    size = abs(Decimal(value))
    if size < 1000:
        return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
    sign = MINUS if value < 0 else ""
    return sign + _scaled(size)


def _scaled(size: Decimal) -> str:
    rounded = round_to(size, 3)
    step, unit = next((step, unit) for step, unit in _COMPACT_STEPS if rounded >= step)
    text = f"{rounded / step:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + unit


def round_to(value: Decimal, digits: int) -> Decimal:
    """The value rounded half-even to so many significant digits."""
    if value == 0:
        return value
    return value.quantize(Decimal(1).scaleb(value.adjusted() - digits + 1), ROUND_HALF_EVEN)


def count(value: Number | None) -> str:
    """A whole number with separators: "8,819"."""
    return MISSING if value is None else f"{value:,}"


def share(part: Number | None, whole: Number | None) -> Decimal | None:
    """The part in percent of the whole; None when there is no whole to speak of."""
    if part is None or not whole:
        return None
    return Decimal(part) * 100 / Decimal(whole)


def percent(value: Number | None) -> str:
    """A number that already is in percent: 63.4 → "63%", 4.21 → "4.2%", 0.01 → "<0.1%"."""
    if value is None:
        return MISSING
    size = abs(Decimal(value))
    sign = MINUS if value < 0 else ""
    if 0 < size < Decimal("0.1"):
        return f"{sign}<0.1%"
    digits = Decimal("0.1") if 0 < size < Decimal("9.95") else Decimal(1)
    return f"{sign}{size.quantize(digits, ROUND_HALF_EVEN):,f}%"


def change(current: Number | None, previous: Number | None) -> Decimal | None:
    """From previous to current, in percent; None when there was nothing to compare with."""
    if current is None or not previous:
        return None
    return (Decimal(current) - Decimal(previous)) * 100 / abs(Decimal(previous))


def delta(current: Number | None, previous: Number | None) -> str:
    """The change as signed text: "+12%", "−3.4%", "±0%"; "new" after nothing; "—" when unknown."""
    if current is None or previous is None:
        return MISSING
    moved = change(current, previous)
    if moved is None:
        return "new" if current else "±0%"
    if moved == 0:
        return "±0%"
    return percent(moved) if moved < 0 else f"+{percent(moved)}"


def ago(moment: datetime | None, now: datetime) -> str:
    """ "just now", "5 min ago", "3 h ago", "12 d ago"; "in 5 min" for what is still to come."""
    if moment is None:
        return "never"
    seconds = int((now - moment).total_seconds())
    for size, unit in _AGO_STEPS:
        if abs(seconds) >= size:
            length = f"{abs(seconds) // size} {unit}"
            return f"{length} ago" if seconds > 0 else f"in {length}"
    return "just now"


def moment(value: datetime | None) -> str:
    """A moment with its zone written out: "23 Nov 2026, 19:00 UTC"."""
    return MISSING if value is None else f"{value:%-d %b %Y, %H:%M} {value.tzname()}"


def clock(value: datetime | None) -> str:
    """A moment to the second, in the zone it comes in: "23 Nov 2026, 19:00:05"."""
    return MISSING if value is None else f"{value:%-d %b %Y, %H:%M:%S}"


def clock_short(value: datetime | None) -> str:
    """A moment of the last months to the minute, in the zone it comes in: "23 Nov, 19:00"."""
    return MISSING if value is None else f"{value:%-d %b, %H:%M}"


def seconds(length: int | None) -> str:
    """A length of time in its two largest units at most: "0 s", "42 s", "3 min 5 s", "2 h 10 min", "3 d 4 h"."""
    if length is None:
        return MISSING
    for (size, unit), (below, small) in pairwise(((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))):
        if length >= size:
            rest = length % size // below
            return f"{length // size} {unit} {rest} {small}" if rest else f"{length // size} {unit}"
    return f"{length} s"
