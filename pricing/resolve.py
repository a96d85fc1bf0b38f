"""The price book of this process, read from the catalog once and again when the catalog has changed."""

from collections import defaultdict
from collections.abc import Iterator

from pricing.book import ModelEntry, PriceBook, PriceEntry, ProviderEntry
from pricing.models import ListPrice, PricedModel, PriceProvider
from pricing.selectors import catalog_version
from pricing.terms import Terms


class _Process:
    book = PriceBook(0, ())


def price_book() -> PriceBook:
    """The book of the catalog as this transaction sees it: one read of one row when nothing has changed."""
    version = catalog_version()
    book = _Process.book
    if book.version != version:
        book = _Process.book = PriceBook(version, read_entries())
    return book


def read_entries() -> Iterator[ProviderEntry]:
    """Every provider with its models in match order: those the source still lists come first."""
    prices: dict[int, dict[str, list[PriceEntry]]] = defaultdict(lambda: defaultdict(list))
    columns = ("model_id", "tier", "id", "effective_from", "units", "tiers", "extras", "windows")
    for model, tier, price, start, *terms in ListPrice.objects.order_by("effective_from").values_list(*columns):
        prices[model][tier].append(PriceEntry(price, start, Terms(*terms)))
    models: dict[str, list[ModelEntry]] = defaultdict(list)
    ordered = PricedModel.objects.order_by("provider_id", "-listed", "position")
    for model, provider, name, match in ordered.values_list("id", "provider_id", "name", "match"):
        models[provider].append(ModelEntry(name, match, prices.get(model, {})))
    for provider, fallbacks in PriceProvider.objects.values_list("id", "fallbacks"):
        yield ProviderEntry(provider, fallbacks, models[provider])
