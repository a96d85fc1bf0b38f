"""What the sent events come to by our own account: counts from the file, cost in Decimal from the local catalog."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

from ingest.files.columns import USAGE, Event, RowError, moment
from pricing.book import PriceBook
from pricing.rate import served_from_own_cache
from pricing.usage_buckets import UsageError, from_inclusive

NANO = Decimal("1e-9")
_STANDARD_TIER, _CACHE_MISS = "standard", "miss"


@dataclass(frozen=True, slots=True)
class Totals:
    """`cost` in USD; None when nothing was priced because there is no catalog here."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = Decimal(0)
    unpriced_requests: int | None = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*(_combined(a, b, 1) for a, b in zip(_values(self), _values(other), strict=True)))

    def __sub__(self, other: "Totals") -> "Totals":
        return Totals(*(_combined(a, b, -1) for a, b in zip(_values(self), _values(other), strict=True)))

    def equals(self, other: "Totals") -> bool:
        """Whether all is equal that both know."""
        return all(a == b for a, b in zip(_values(self), _values(other), strict=True) if None not in (a, b))


FIELDS = tuple(field.name for field in fields(Totals))


def _values(totals: Totals) -> list[Any]:
    return [getattr(totals, name) for name in FIELDS]


def _combined(a: Any, b: Any, sign: int) -> Any:
    return None if a is None or b is None else a + sign * b


class Account:
    """Adds events up. Without a price book it counts, and leaves cost and unpriced requests unknown."""

    def __init__(self, book: PriceBook | None) -> None:
        self._book = book

    def of(self, events: Iterable[Event]) -> Totals:
        unknown = None if self._book is None else 0
        total = Totals(cost=None if self._book is None else Decimal(0), unpriced_requests=unknown)
        for event in events:
            total += self._of_one(event)
        return total

    def _of_one(self, event: Event) -> Totals:
        """Of an event that the server took, so its counts make sense."""
        usage = event["usage"]
        requests = usage.get("requests", 1)
        counted = Totals(requests, usage.get("input_tokens", 0), usage.get("output_tokens", 0), None, None)
        if self._book is None:
            return counted
        cost = self._cost(self._book, event)
        return replace(counted, cost=cost or Decimal(0), unpriced_requests=requests if cost is None else 0)

    def _cost(self, book: PriceBook, event: Event) -> Decimal | None:
        """USD, rounded half-even to the nano-dollar once; None for what has no price."""
        if served_from_own_cache(event.get("cache", _CACHE_MISS)):
            return Decimal(0)
        tier = event.get("service_tier", _STANDARD_TIER)
        try:
            at = moment(event["time"], naive_is_utc=False)
            buckets = from_inclusive(**{"input_tokens": 0} | {k: v for k, v in event["usage"].items() if k in USAGE})
        except (RowError, UsageError):
            return None
        rate = book.resolve(event["provider"], event["model"], tier, at).rate
        if rate is None or rate.why_unpriced(buckets):
            return None
        with localcontext(prec=60):
            return sum((line.amount for line in rate.lines(buckets)), Decimal(0)).quantize(NANO, ROUND_HALF_EVEN)


def totals_of_me(spend: dict[str, Any]) -> Totals:
    """The server's own total, from `spend.total` of /api/v1/me."""
    return Totals(
        int(spend["requests"]),
        int(spend["input_tokens"]),
        int(spend["output_tokens"]),
        Decimal(spend["cost"]),
        int(spend["unpriced_requests"]),
    )
