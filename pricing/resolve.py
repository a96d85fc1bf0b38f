"""The price books of this process, read from the database once and again when they have changed."""

from collections import defaultdict
from collections.abc import Iterator

from pricing.book import ModelEntry, PriceBook, PriceEntry, ProviderEntry
from pricing.models import ListPrice, PriceBookVersion, PricedModel, PriceProvider
from pricing.organization_book import OrganizationBook
from pricing.selectors import catalog_version, rules_of
from pricing.terms import Terms

# Organizations whose books a process remembers; beyond, the memory of them starts anew.
REMEMBERED_BOOKS = 500

Book = PriceBook | OrganizationBook


class _Process:
    book = PriceBook(0, ())
    own_books: dict[int, OrganizationBook] = {}


def price_book() -> PriceBook:
    """The book of the catalog as this transaction sees it: one read of one row when nothing has changed."""
    version = catalog_version()
    book = _Process.book
    if book.version != version:
        book = _Process.book = PriceBook(version, read_entries())
    return book


def book_of(organization_id: int) -> Book:
    """The prices of an organization as this transaction sees them: its own rules over the list. Call it in its scope.

    One more read of one row than `price_book`; without rules it is the list itself.
    """
    catalog = price_book()
    version = PriceBookVersion.objects.filter(organization=organization_id).values_list("version", flat=True).first()
    if version is None:
        return catalog
    book = _Process.own_books.get(organization_id)
    if book is None or book.version != version or book.catalog is not catalog:
        book = OrganizationBook(version, catalog, rules_of(organization_id))
        if len(_Process.own_books) >= REMEMBERED_BOOKS:
            _Process.own_books = {}
        _Process.own_books[organization_id] = book
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
