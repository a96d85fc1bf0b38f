"""Where the cost of one event comes from: units × price, line by line, by its price and rule. Pure."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from common.money import NANO
from pricing.book import rate_at
from pricing.models import ListPrice
from pricing.rate import Line, Rate, served_from_own_cache
from pricing.reasons import BUCKET_NAMES
from pricing.rules import Rule
from pricing.usage_buckets import BUCKETS, Buckets
from usage.models import UsageEvent

PICO_PER_NANO, PICO_DIGITS = 1000, 12  # events keep the reported cost in 10^-12 USD


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
