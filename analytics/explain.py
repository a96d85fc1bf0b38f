"""Where the cost of one event comes from: units × price, line by line, by its price and rule. Pure."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from common.money import NANO
from pricing.book import (
    BEFORE_FIRST_PRICE,
    NO_PRICE,
    NO_TIER_PRICE,
    UNKNOWN_MODEL,
    UNKNOWN_PROVIDER,
    UNSUPPORTED_UNITS,
    rate_at,
)
from pricing.models import ListPrice
from pricing.rate import AMOUNT_OUT_OF_RANGE, NO_UNIT_PRICE, Line, Rate, served_from_own_cache
from pricing.rules import Rule
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
    """One addend; prices in USD per million, amounts in USD, all exact. None: nobody knows the price.

    `price` and `amount` by the list, `paid_price` and `paid` as the organization pays.
    """

    name: str
    quantity: int
    price: Decimal | None
    amount: Decimal | None
    paid_price: Decimal | None
    paid: Decimal | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`exact` (by the list) and `paid_exact` are the sums of the lines in USD before they were rounded, once each, to
    the nano-dollar."""

    lines: list[CostLine]
    exact: Decimal | None
    paid_exact: Decimal | None
    own_cache: bool
    # The lines, rounded, are what was charged; False would mean that the price says something else than the charge.
    agrees: bool
    # Reported minus computed, in USD; None when either is missing.
    reported_gap: Decimal | None


def explain(event: UsageEvent, price: ListPrice | None, rule: Rule | None = None) -> Explanation:
    own_cache = served_from_own_cache(event.cache)
    buckets = buckets_of(event)
    listed, paid = (None, None) if own_cache or event.cost is None else _rates(event, price, rule)
    by_list, by_contract = _lines_of(listed, buckets), _lines_of(paid, buckets)
    lines = [
        _line(bucket, quantity, by_list, by_contract, charged=paid is not None)
        for bucket, quantity in zip(BUCKETS, buckets, strict=True)
    ]
    exact, paid_exact = _sum(by_list, listed), _sum(by_contract, paid)
    return Explanation(
        lines=[line for line in lines if line.quantity and (line.name != "Requests" or line.amount or line.paid)],
        exact=exact,
        paid_exact=paid_exact,
        own_cache=own_cache,
        agrees=_rounds_to(exact, event.list_cost) and _rounds_to(paid_exact, event.cost),
        reported_gap=_gap(event),
    )


def buckets_of(event: UsageEvent) -> Buckets:
    return Buckets(*(getattr(event, bucket) for bucket in BUCKETS))


def _rates(event: UsageEvent, price: ListPrice | None, rule: Rule | None) -> tuple[Rate | None, Rate | None]:
    """The list rate and the one that was paid, as settling chose them (`pricing.charge`)."""
    listed = None if price is None else rate_at(price.terms, event.time)
    if rule is None:
        return listed, listed
    contract = rule.contract(listed)
    if listed is None or listed.cost(buckets_of(event)) is None:
        return contract, contract
    return listed, contract


def _lines_of(rate: Rate | None, buckets: Buckets) -> dict[str, Line]:
    return {} if rate is None else {line.bucket: line for line in rate.lines(buckets)}


def _line(
    bucket: str, quantity: int, by_list: dict[str, Line], by_contract: dict[str, Line], *, charged: bool
) -> CostLine:
    nothing = Decimal() if charged else None
    listed, paid = by_list.get(bucket), by_contract.get(bucket)
    return CostLine(
        BUCKET_NAMES[bucket],
        quantity,
        listed.usd_per_million if listed else nothing,
        listed.amount if listed else nothing,
        paid.usd_per_million if paid else nothing,
        paid.amount if paid else nothing,
    )


def _sum(lines: dict[str, Line], rate: Rate | None) -> Decimal | None:
    return None if rate is None else sum((line.amount for line in lines.values()), Decimal())


def _rounds_to(exact: Decimal | None, charged: int | None) -> bool:
    return exact is None or _nano(exact) == charged


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
