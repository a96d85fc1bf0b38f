from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from pricing import resolve
from pricing.book import PriceBook
from pricing.catalog import LoadReport, catalog_load
from pricing.models import ListPrice, PriceCatalog, PricedModel
from pricing.price_source import SOURCE_VERSION, SourceModel, SourcePeriod, SourceProvider, read_source
from pricing.resolve import price_book
from pricing.selectors import catalog_version, price_history, price_list
from pricing.terms import Terms
from pricing.usage_buckets import Buckets
from tests.pricing.books import LONG_AGO, book_of

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANNOUNCED = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve._Process, "book", PriceBook(0, ()))


def source(*models: SourceModel) -> list[SourceProvider]:
    return [SourceProvider("acme", "Acme", "https://acme.example/prices", (), models)]


def swift(*periods: tuple[datetime, str], name: str = "swift") -> SourceModel:
    rows = tuple(
        SourcePeriod(start, number > 0, Terms(units={"input": amount}))
        for number, (start, amount) in enumerate(periods)
    )
    return SourceModel(name, {"starts_with": name}, {"standard": rows})


def load(*models: SourceModel, now: datetime = NOW, version: str = "test") -> LoadReport:
    return catalog_load(source=source(*models), now=now, source_version=version)


def cost(at: datetime, model: str = "swift") -> int | None:
    rate = price_book().resolve("acme", model, "standard", at).rate
    return rate.cost(Buckets(uncached_input=1)) if rate else None


def acme_prices() -> list[tuple[datetime, dict[str, str]]]:
    rows = ListPrice.objects.filter(model__provider="acme").order_by("effective_from")
    return list(rows.values_list("effective_from", "units"))


def test_a_load_stores_prices_with_their_provenance() -> None:
    report = load(swift((LONG_AGO, "1")))
    assert (report.models_added, report.prices_added) == (1, 1)
    price = ListPrice.objects.get(model__provider="acme")
    assert (price.effective_from, price.tier, price.units) == (LONG_AGO, "standard", {"input": "1"})
    assert (price.source, price.source_version, price.source_url, price.loaded_at) == (
        "genai-prices",
        "test",
        "https://acme.example/prices",
        NOW,
    )


def test_the_same_load_again_adds_nothing_and_keeps_the_version() -> None:
    load(swift((LONG_AGO, "1")))
    version = catalog_version()
    report = load(swift((LONG_AGO, "1")), now=NOW + timedelta(hours=1), version="next")
    assert not report.changed
    assert catalog_version() == version
    assert PriceCatalog.objects.get().source_version == "next"


def test_a_changed_price_is_a_new_row_and_the_past_stays() -> None:
    load(swift((LONG_AGO, "1")))
    version = catalog_version()
    assert cost(NOW) == 1_000
    assert load(swift((LONG_AGO, "5")), now=NOW).prices_added == 1
    assert acme_prices() == [(LONG_AGO, {"input": "1"}), (NOW, {"input": "5"})]
    assert catalog_version() != version
    assert (cost(NOW - timedelta(microseconds=1)), cost(NOW)) == (1_000, 5_000)


def test_an_announced_price_that_was_called_off_goes() -> None:
    load(swift((LONG_AGO, "1"), (ANNOUNCED, "9")))
    assert cost(ANNOUNCED) == 9_000
    assert load(swift((LONG_AGO, "1"))).prices_withdrawn == 1
    assert cost(ANNOUNCED) == 1_000


def test_a_model_the_source_dropped_keeps_its_price_behind_the_listed_ones() -> None:
    load(swift((LONG_AGO, "1")))
    report = load(swift((LONG_AGO, "7"), name="swift-2"))
    assert report.models_unlisted >= 1
    assert not PricedModel.objects.get(provider="acme", name="swift").listed
    assert (cost(NOW, "swift-1"), cost(NOW, "swift-2")) == (1_000, 7_000)


def test_a_changed_alias_reaches_running_processes() -> None:
    load(swift((LONG_AGO, "1")))
    assert cost(NOW, "fleet") is None
    report = load(replace(swift((LONG_AGO, "1")), match={"or": [{"equals": "swift"}, {"equals": "fleet"}]}))
    assert (report.models_changed >= 1, report.prices_added) == (True, 0)
    assert cost(NOW, "fleet") == 1_000


def test_an_unchanged_catalog_costs_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    load(swift((LONG_AGO, "1")))
    book = price_book()
    with django_assert_num_queries(1):
        assert price_book() is book


def test_an_empty_catalog_knows_nobody() -> None:
    assert PriceBook(0, ()).resolve("openai", "gpt-4o", "standard", NOW).reason == "unknown_provider"


def execute(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_nobody_changes_a_price() -> None:
    load(swift((LONG_AGO, "1")))
    with pytest.raises(DatabaseError, match=r"permission denied|in force or history"):
        execute("UPDATE pricing_listprice SET units = '{}'")
    assert acme_prices() == [(LONG_AGO, {"input": "1"})]


def test_nobody_deletes_a_price_that_is_in_force() -> None:
    load(swift((LONG_AGO, "1"), (ANNOUNCED, "9")))
    with pytest.raises(DatabaseError, match="in force or history"):
        execute("DELETE FROM pricing_listprice")
    assert len(acme_prices()) == 2


def test_nobody_deletes_a_model_that_charges_point_to() -> None:
    load(swift())
    with pytest.raises(DatabaseError, match="permission denied"):
        execute("DELETE FROM pricing_pricedmodel WHERE provider_id = 'acme'")


def test_two_prices_cannot_hold_at_once() -> None:
    load(swift((LONG_AGO, "1")))
    price = ListPrice.objects.get(model__provider="acme")
    price.pk = None
    with pytest.raises(IntegrityError, match="pricing_prices_never_overlap"), transaction.atomic():
        price.save(force_insert=True)


def test_price_list_shows_what_holds_at_a_moment_and_until_when() -> None:
    change = datetime(2026, 6, 1, tzinfo=UTC)
    load(swift((LONG_AGO, "1"), (change, "2")), swift((LONG_AGO, "3"), name="falcon"))
    columns = ("model__name", "units", "effective_to")
    shown = price_list(change - timedelta(days=1), "acme").values_list(*columns)
    assert list(shown) == [("falcon", {"input": "3"}, None), ("swift", {"input": "1"}, change)]
    assert list(price_list(NOW, "Acme SWIFT").values_list(*columns)) == [("swift", {"input": "2"}, None)]
    (price,) = price_list(NOW, "acme/swift")
    assert [older.units["input"] for older in price_history(price)] == ["2", "1"]
    assert not price_list(NOW, "acme nothing")
    assert not price_list(LONG_AGO - timedelta(days=1), "acme")


def run_load_prices(*options: str) -> str:
    output = StringIO()
    call_command("load_prices", *options, stdout=output)
    return output.getvalue()


def test_the_bundled_prices_load_once_and_resolve_like_the_source() -> None:
    run_load_prices("--check-all")
    rows = ListPrice.objects.count()
    assert rows > 2_500
    assert run_load_prices() == f"Prices of genai-prices {SOURCE_VERSION} are loaded already.\n"
    assert "0 added, 0 withdrawn; models: 0 added, 0 changed, 0 unlisted" in run_load_prices("--check-all")
    assert ListPrice.objects.count() == rows
    stored, bundled = price_book(), book_of(read_source())
    usage = Buckets(1200, cache_read=300, output=150, reasoning_output=100)
    for name in ("gpt-4.1-nano", "gpt-5.4", "gpt-4o-2024-08-06", "whisper-1"):
        for tier in ("standard", "batch", "flex"):
            ours, theirs = (book.resolve("openai", name, tier, NOW) for book in (stored, bundled))
            assert (ours.model, ours.reason) == (theirs.model, theirs.reason)
            assert (ours.rate and ours.rate.cost(usage)) == (theirs.rate and theirs.rate.cost(usage))
    nano = stored.resolve("openai", "gpt-4.1-nano", "standard", NOW)
    assert nano.rate is not None
    assert nano.price_id is not None
    assert nano.rate.cost(usage) == 227_500
    assert ListPrice.objects.get(pk=nano.price_id).model.name == "gpt-4.1-nano"
