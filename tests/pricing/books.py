"""Price books for pure tests: straight from a source or from a few prices, without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

from pricing.book import ModelEntry, PriceBook, PriceEntry, ProviderEntry
from pricing.price_source import SourceProvider
from pricing.terms import STANDARD, Terms

LONG_AGO = datetime(2020, 6, 11, tzinfo=UTC)


def book_of(source: Sequence[SourceProvider]) -> PriceBook:
    ids = count(1)
    return PriceBook(
        1,
        [
            ProviderEntry(
                provider.id,
                provider.fallbacks,
                [
                    ModelEntry(
                        model.name,
                        model.match,
                        {
                            tier: [PriceEntry(next(ids), p.effective_from, p.terms) for p in periods]
                            for tier, periods in model.schedules.items()
                        },
                    )
                    for model in provider.models
                ],
            )
            for provider in source
        ],
    )


def small_book(**prices: list[tuple[datetime, Terms]]) -> PriceBook:
    """One provider "acme" with one model "swift" and its prices by tier."""
    ids = count(1)
    entries = {tier: [PriceEntry(next(ids), start, terms) for start, terms in rows] for tier, rows in prices.items()}
    entries.setdefault(STANDARD, [])
    return PriceBook(7, [ProviderEntry("acme", [], [ModelEntry("swift", {"starts_with": "swift"}, entries)])])
