"""Where the cost of one event comes from: units × price, line by line, from the price it was charged with. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from common.money import NANO
from pricing.book import (
    BEFORE_FIRST_PRICE,
    NO_PRICE,
    NO_TIER_PRICE,
    UNKNOWN_MODEL,
    UNKNOWN_PROVIDER,
    UNSUPPORTED_UNITS,
)
from pricing.models import ListPrice
from pricing.rate import AMOUNT_OUT_OF_RANGE, NO_UNIT_PRICE, Line, Rate, served_from_own_cache
from pricing.terms import Tier, Units
from pricing.usage_buckets import BUCKETS, Buckets
from usage.models import UsageEvent

PICO_PER_NANO, PICO_DIGITS = 1000, 12  # events keep the reported cost in 10^-12 USD

BUCKET_NAMES = {
    "uncached_input": "Input tokens, not cached",
    "cache_read": "Input tokens read from cache",
    "cache_write_5m": "Input tokens written to cache, 5 minutes",
    "cache_write_1h": "Input tokens written to cache, 1 hour",
    "output": "Output tokens",
    "reasoning_output": "Reasoning tokens",
    "input_audio": "Audio input tokens",
    "output_audio": "Audio output tokens",
    "images": "Images",
    "requests": "Requests",
    "tool_calls": "Tool calls billed by the provider",
}


@dataclass(frozen=True, slots=True)
class CostLine:
    """One addend; `price` in USD per million, `amount` in USD, both exact. Both None: nobody knows the price."""

    name: str
    quantity: int
    price: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`exact` is the sum of the lines in USD before it was rounded, once, to the nano-dollar."""

    lines: list[CostLine]
    exact: Decimal | None
    own_cache: bool
    # The lines, rounded, are what was charged; False would mean that the price says something else than the charge.
    agrees: bool
    # Reported minus computed, in USD; None when either is missing.
    reported_gap: Decimal | None


def explain(event: UsageEvent, price: ListPrice | None) -> Explanation:
    own_cache = served_from_own_cache(event.cache)
    buckets = buckets_of(event)
    charged = price is not None and event.cost is not None and not own_cache
    found = {line.bucket: line for line in rate_at(price, event.time).lines(buckets)} if charged and price else {}
    lines = [_line(bucket, quantity, found, charged) for bucket, quantity in zip(BUCKETS, buckets, strict=True)]
    exact = sum((line.amount for line in found.values()), Decimal()) if charged else None
    return Explanation(
        lines=[line for line in lines if line.quantity and (line.name != "Requests" or line.amount)],
        exact=exact,
        own_cache=own_cache,
        agrees=exact is None or _nano(exact) == event.list_cost,
        reported_gap=_gap(event),
    )


def buckets_of(event: UsageEvent) -> Buckets:
    return Buckets(*(getattr(event, bucket) for bucket in BUCKETS))


def rate_at(price: ListPrice, moment: datetime) -> Rate:
    """The rate of a price at a moment: some prices differ by the hour of the day."""
    units, tiers = _terms(price, moment)
    return Rate(units, tiers)


def _terms(price: ListPrice, moment: datetime) -> tuple[Units, Sequence[Tier]]:
    clock = f"{moment.astimezone(UTC):%H:%M}"
    for window in price.windows:
        if window["start"] <= clock < window["end"]:
            return window["units"], window["tiers"]
    return price.units, price.tiers


def _line(bucket: str, quantity: int, found: dict[str, Line], charged: bool) -> CostLine:
    line = found.get(bucket)
    if line is not None:
        return CostLine(BUCKET_NAMES[bucket], quantity, line.usd_per_million, line.amount)
    nothing = Decimal() if charged else None
    return CostLine(BUCKET_NAMES[bucket], quantity, nothing, nothing)


def _nano(usd: Decimal) -> int:
    return int((usd * NANO).quantize(Decimal(1), ROUND_HALF_EVEN))


def _gap(event: UsageEvent) -> Decimal | None:
    if event.reported_cost is None or event.cost is None:
        return None
    return (Decimal(event.reported_cost) - event.cost * PICO_PER_NANO).scaleb(-PICO_DIGITS)


# reason → (in plain words, what to do)
_REASONS = {
    UNKNOWN_PROVIDER: (
        "The price list has no provider of this name.",
        "Report one of the names it knows, such as openai, anthropic, google or azure. For a model you host yourself, "
        "there is no list price.",
    ),
    UNKNOWN_MODEL: (
        "The provider is known, this model of it is not.",
        "Check the name for typos. If the vendor has just brought it out, load a newer price list.",
    ),
    NO_PRICE: ("The price list names the model, but gives no price for it.", "Load a newer price list."),
    NO_TIER_PRICE: (
        "The model has prices, but none for the service tier that was reported.",
        "Check the service tier: batch, flex and priority are priced apart from standard.",
    ),
    BEFORE_FIRST_PRICE: (
        "The call was made before the first price of this model.",
        "Check the time that the caller reports.",
    ),
    UNSUPPORTED_UNITS: (
        "The model is billed by something that events do not count, such as seconds or pages.",
        "Report the model's own cost beside the event; CostHub shows it, but does not add it up.",
    ),
    AMOUNT_OUT_OF_RANGE: ("The amount is larger than any bill.", "Check the token counts that the caller reports."),
}


def reason_in_words(reason: str) -> tuple[str, str]:
    """Why usage has no price and what to do about it; a reason nobody has words for is shown as it stands."""
    if reason.startswith(f"{NO_UNIT_PRICE}:"):
        unit = BUCKET_NAMES.get(reason.partition(":")[2], reason).lower()
        return f"The price list has no price for {unit} of this model.", "Load a newer price list."
    return _REASONS.get(reason, (reason, "Load a newer price list."))
