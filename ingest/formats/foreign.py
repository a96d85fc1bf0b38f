"""Values of other tools' payloads in the forms our events take: cut, hashed or refused, always the same way. Pure.

Everything here depends on the value alone, so that a payload sent again becomes the same event again.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

from common.problems import Fault

UNKNOWN = "unknown"
MAX_COUNT = 10**15
MAX_TAGS = 20
MAX_USD = 1_000_000
_MAX_TEXT = 200
_MAX_LATENCY_MS = 10**10
_PICO = Decimal("1e-12")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MICROSECOND = 253_402_300_799_999_999  # the year 9999
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,200}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_TAG_NAMES = re.compile(r"[^a-z0-9_]+")
_DIGITS = re.compile(r"[0-9]{1,30}")


class Unreadable(ValueError):
    """A value that cannot be what its field says. `code` and the message are those of the fault."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code

    def at(self, pointer: str) -> Fault:
        return Fault(pointer, self.code, str(self))


def label(value: object) -> str:
    """What somebody named, as a label of ours: control characters become spaces, the end of a long one its hash."""
    if value is None or isinstance(value, dict | list):
        return ""
    text = _CONTROL.sub(" ", str(value)).strip()
    return text if len(text) <= _MAX_TEXT else f"{text[:180]}~{digest(text)[:16]}"


def first_label(*values: object) -> str:
    """The first of the values that says something."""
    return next((text for value in values if (text := label(value))), "")


def identifier(text: str) -> str:
    """An id as it is where it can be one of ours, else its hash. Never trimmed or folded: that would join two ids."""
    return text if _IDENTIFIER.fullmatch(text) else f"hash:{digest(text)}"


def digest(*parts: object) -> str:
    """32 hex digits that stand for these values; parts cannot run into each other."""
    text = "\x1f".join(str(part) for part in parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def count(value: object) -> int:
    """A count that came as a number, as a float without a fraction, or as plain digits. None is 0."""
    if value is None:
        return 0
    if isinstance(value, bool):
        raise Unreadable("type", "must be a whole number")
    if isinstance(value, str):
        number = int(value) if _DIGITS.fullmatch(value) else None
    elif isinstance(value, float | Decimal):
        exact = Decimal(value)
        whole = exact.is_finite() and abs(exact) <= MAX_COUNT and exact == exact.to_integral_value()
        number = int(exact) if whole else None
    else:
        number = value if isinstance(value, int) else None
    if number is None:
        raise Unreadable("type", "must be a whole number")
    if not 0 <= number <= MAX_COUNT:
        raise Unreadable("out_of_range", f"must be from 0 to {MAX_COUNT}")
    return number


def cost(value: object) -> str | None:
    """An amount of USD, rounded half-even to 12 decimals, as the plain decimal string our events carry."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise Unreadable("type", "must be an amount in USD")
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise Unreadable("invalid", "must be an amount in USD") from error
    if not amount.is_finite() or not 0 <= amount <= MAX_USD:
        raise Unreadable("out_of_range", f"must be from 0 to {MAX_USD}")
    return f"{amount.quantize(_PICO, ROUND_HALF_EVEN):f}".rstrip("0").rstrip(".") or "0"


def latency(milliseconds: object) -> int | None:
    """A duration where it is one; usage is not refused for the sake of how long it took."""
    try:
        number = count(milliseconds)
    except Unreadable:
        return None
    return number if number <= _MAX_LATENCY_MS else None


def moment(microseconds: int) -> str:
    """The time so many microseconds after 1970 began in UTC, as RFC 3339."""
    if not 0 < microseconds <= _LAST_MICROSECOND:
        raise Unreadable("invalid", "is no time")
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")


def tags(pairs: Iterable[tuple[str, object]]) -> dict[str, str]:
    """Tags as ours are: names in lower case with underscores, at most 20, the first of a name, none without a value."""
    made: dict[str, str] = {}
    for name, value in pairs:
        key, text = _NOT_IN_TAG_NAMES.sub("_", name.lower()).strip("_")[:40], label(value)
        if key and text and len(made) < MAX_TAGS:
            made.setdefault(key, text)
    return made


def inclusive_usage(counts: dict[str, int], total: int | None) -> dict[str, int]:
    """Counts by our wire names, in our convention: input includes cached tokens, output includes reasoning.

    Most sources count so as well. That one does not is seen where its parts are more than the whole, or where its own
    total is just the parts more; then the parts are added, and the buckets again sum to the source's total.
    """
    usage = dict(counts)
    cached = sum(counts.get(name, 0) for name in _CACHED)
    reasoning = counts.get("reasoning_output_tokens", 0)
    given, received = counts.get("input_tokens", 0), counts.get("output_tokens", 0)
    beyond = (total or 0) - given - received
    if cached > given or (cached and beyond in {cached, cached + reasoning}):
        usage["input_tokens"] = given + cached
        beyond -= cached
    if reasoning > received or (reasoning and beyond == reasoning):
        usage["output_tokens"] = received + reasoning
    return usage


_CACHED = ("cache_read_input_tokens", "cache_write_input_tokens", "cache_write_1h_input_tokens")


def compact(event: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that say nothing."""
    return {name: value for name, value in event.items() if value not in (None, "", {})}
