"""What one price says, in the shape it is stored in: plain JSON with amounts as decimal strings, never floats.

`units`    unit → USD per 1,000,000 of it; null means "billed apart, at a price nobody told us".
`tiers`    other `units` for the whole request when its input tokens exceed `above_input_tokens` (ascending).
`extras`   what the source lists for things an event does not count (searches, audio hours, pages), in its own words.
`windows`  other `units` and `tiers` for daily hours in UTC, "HH:MM" from `start` (inclusive) to `end` (exclusive).
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypedDict

# A price without a date counts from the day the first language model was sold by the token (OpenAI's API, private
# beta), unless the model's own names carry a date.
EARLIEST_PRICE = datetime(2020, 6, 11, tzinfo=UTC)

STANDARD = "standard"
TIERS = (STANDARD, "batch", "flex", "priority")

# The units a price may name. Containers (input, output, cache_write) stand for every part without its own price.
UNITS = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning_output",
    "input_audio",
    "output_audio",
    "images",
    "requests",
    "tool_calls",
)

Units = dict[str, str | None]


class Tier(TypedDict):
    above_input_tokens: int
    units: Units


class Window(TypedDict):
    start: str
    end: str
    units: Units
    tiers: list[Tier]


@dataclass(frozen=True, slots=True)
class Terms:
    units: Units = field(default_factory=dict)
    tiers: list[Tier] = field(default_factory=list)
    extras: Units = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """The source names the model and no price for it."""
        return not (self.units or self.extras or self.windows)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


NO_PRICE = Terms()


def amount_text(amount: Decimal) -> str:
    """The one way an amount is written: no exponent, no trailing zeros."""
    return format(amount.normalize(), "f")
