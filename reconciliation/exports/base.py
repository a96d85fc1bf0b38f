"""What every export is turned into, and how its values are read. Pure; money is exact."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

# A document holds so many items at most: a year of days with thirty models each.
MAX_ITEMS = 20_000
MAX_COUNT = 10**15
MAX_NAME = 200
# One billion USD.
MAX_USD = Decimal(10**9)
COSTS, USAGE = "costs", "usage"
_DAY = timedelta(days=1)
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")


class ExportError(ValueError):
    """Why this is no export that can be read. `pointer` (RFC 6901) leads to the place."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or 'The export'}: {detail}")
        self.pointer, self.detail = pointer, detail


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a bill, or of the usage that goes with it, of one day of UTC.

    `source` is COSTS (with `amount` in USD) or USAGE (with token counts, input including what was cached). `model` is
    as the provider writes it, "" where the line names none; `line_item` is the provider's own text, "" without one.
    """

    provider: str
    day: date
    source: str
    model: str = ""
    line_item: str = ""
    amount: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0


def mapping(value: Any, pointer: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ExportError(pointer, "must be an object")
    return value


def listing(value: Any, pointer: str) -> list[Any]:
    if not isinstance(value, list):
        raise ExportError(pointer, "must be an array")
    if len(value) > MAX_ITEMS:
        raise ExportError(pointer, f"holds more than {MAX_ITEMS} items")
    return value


def text(value: Any, pointer: str) -> str:
    """A name; null and absent are ""."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_NAME or not _PRINTABLE.fullmatch(value):
        raise ExportError(pointer, f"must be a text of at most {MAX_NAME} characters")
    return value.strip()


def count(value: Any, pointer: str) -> int:
    """A number of tokens; null and absent are 0."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise ExportError(pointer, f"must be a whole number from 0 to {MAX_COUNT}")
    return value


def money(value: Any, pointer: str) -> Decimal:
    """An amount, exactly as it is written: JSON numbers must come as text, integer or Decimal, never as float."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ExportError(pointer, "must be an amount")
    written = str(value)
    if not _NUMBER.fullmatch(written):
        raise ExportError(pointer, "must be a decimal number")
    amount = Decimal(written)
    if abs(amount) > MAX_USD:
        raise ExportError(pointer, "is out of range")
    return amount


def currency(value: Any, pointer: str) -> None:
    """Bills in other currencies are refused: they would need a rate that nobody stated."""
    if not isinstance(value, str) or value.upper() != "USD":
        raise ExportError(pointer, "must be USD")


def day_of(start: datetime, end: datetime, pointer: str) -> date:
    """The day of UTC that a bucket lies in; ExportError for one that spans several."""
    midnight = datetime(start.year, start.month, start.day, tzinfo=UTC)
    if not start < end <= midnight + _DAY:
        raise ExportError(pointer, "must lie within one day of UTC: ask for buckets of a day or an hour")
    return start.date()


def instant(value: Any, pointer: str) -> datetime:
    """Seconds since 1970, or an RFC 3339 time."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value)
            if parsed.tzinfo is not None:
                return parsed.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ExportError(pointer, "must be a time") from error
    raise ExportError(pointer, "must be a time with its offset")
