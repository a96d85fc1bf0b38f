from datetime import UTC, datetime, timedelta, timezone

import pytest

from pricing import book as price_book
from pricing.book import PriceBook
from pricing.terms import NO_PRICE, Terms
from pricing.usage_buckets import Buckets
from tests.pricing.books import LONG_AGO, small_book

CHEAP, DEAR = Terms(units={"input": "1", "output": "2"}), Terms(units={"input": "5", "output": "6"})
CHANGE = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE_TOKEN = Buckets(uncached_input=1)


def cost(book: PriceBook, at: datetime, *, model: str = "swift", tier: str = "standard") -> int | None:
    rate = book.resolve("acme", model, tier, at).rate
    assert rate is not None
    return rate.cost(ONE_TOKEN)


def reason(book: PriceBook, *, provider: str = "acme", model: str = "swift", tier: str = "standard") -> str | None:
    resolution = book.resolve(provider, model, tier, LATER)
    assert resolution.rate is None
    return resolution.reason


def test_a_price_counts_from_its_first_moment_to_the_next_ones() -> None:
    book = small_book(standard=[(LONG_AGO, CHEAP), (CHANGE, DEAR)])
    assert cost(book, LONG_AGO) == 1_000
    assert cost(book, CHANGE - timedelta(microseconds=1)) == 1_000
    assert cost(book, CHANGE) == 5_000
    assert cost(book, LATER) == 5_000


def test_the_offset_of_a_time_does_not_matter() -> None:
    book = small_book(standard=[(LONG_AGO, CHEAP), (CHANGE, DEAR)])
    tokyo = timezone(timedelta(hours=9))
    assert cost(book, datetime(2026, 3, 1, 8, 59, tzinfo=tokyo)) == 1_000
    assert cost(book, datetime(2026, 3, 1, 9, 0, tzinfo=tokyo)) == 5_000


def test_names_are_canonical_and_the_price_is_named() -> None:
    book = small_book(standard=[(LONG_AGO, CHEAP), (CHANGE, DEAR)])
    resolution = book.resolve("ACME", " Swift-2026-01-01 ", "standard", LATER)
    assert (resolution.provider, resolution.model, resolution.price_id, resolution.reason) == ("acme", "swift", 2, None)


def test_unknown_names_come_back_normalized() -> None:
    book = small_book(standard=[(LONG_AGO, CHEAP)])
    assert book.resolve("Nobody", "Swift", "standard", LATER)[:3] == ("nobody", "swift", None)
    assert reason(book, provider="nobody") == "unknown_provider"
    assert reason(book, model="slow") == "unknown_model"


def test_before_the_first_price_there_is_none() -> None:
    book = small_book(standard=[(CHANGE, CHEAP)])
    assert book.resolve("acme", "swift", "standard", CHANGE - timedelta(seconds=1)).reason == "before_first_price"


def test_a_tier_without_a_price_is_not_the_standard_one() -> None:
    book = small_book(standard=[(LONG_AGO, CHEAP)], batch=[(CHANGE, CHEAP)])
    assert reason(book, tier="flex") == "no_tier_price"
    assert reason(book, tier="gold") == "no_tier_price"
    assert book.resolve("acme", "swift", "batch", CHANGE - timedelta(seconds=1)).reason == "no_tier_price"
    assert cost(book, CHANGE, tier="batch") == 1_000


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (NO_PRICE, "no_price"),
        (Terms(extras={"audio_hours": "0.36"}), "unsupported_units"),
        (Terms(units={"input": "1"}, extras={"audio_hours": "4.8"}), "unsupported_units"),
        (Terms(extras={"input_document_kpages": "1"}), "unsupported_units"),
        (Terms(extras={"input_mchars": "15"}), "unsupported_units"),
    ],
)
def test_prices_that_an_event_cannot_be_priced_by(terms: Terms, expected: str) -> None:
    assert reason(small_book(standard=[(LONG_AGO, terms)])) == expected


def test_a_model_without_any_price_row_has_no_price() -> None:
    assert reason(small_book()) == "no_price"


def test_searches_beside_tokens_do_not_stand_in_the_way() -> None:
    terms = Terms(units={"input": "1"}, extras={"web_searches_kcount": "10"})
    assert cost(small_book(standard=[(LONG_AGO, terms)]), LATER) == 1_000


def test_image_models_do_not_price_their_output_as_text() -> None:
    terms = Terms(units={"input": "1", "output": "2"}, extras={"output_image_mtok": "30"})
    rate = small_book(standard=[(LONG_AGO, terms)]).resolve("acme", "swift", "standard", LATER).rate
    assert rate is not None
    assert rate.cost(ONE_TOKEN) == 1_000
    assert rate.why_unpriced(Buckets(output=1)) == "no_unit_price:output"


NIGHT = Terms(
    units={"input": "1"},
    windows=[
        {"start": "00:00", "end": "04:00", "units": {"input": "2"}, "tiers": []},
        {"start": "22:30", "end": "24:00", "units": {"input": "3"}, "tiers": []},
    ],
)


@pytest.mark.parametrize(
    ("clock", "nano"),
    [
        ((0, 0, 0), 2_000),
        ((3, 59, 59), 2_000),
        ((4, 0, 0), 1_000),
        ((22, 29, 59), 1_000),
        ((22, 30, 0), 3_000),
        ((23, 59, 59), 3_000),
    ],
)
def test_hours_of_the_day_have_their_own_price(clock: tuple[int, int, int], nano: int) -> None:
    book = small_book(standard=[(LONG_AGO, NIGHT)])
    moment = datetime(2026, 7, 1, *clock, 999_999, tzinfo=UTC)
    assert cost(book, moment) == nano
    assert cost(book, moment.astimezone(timezone(timedelta(hours=-7)))) == nano


def test_the_memory_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_book, "REMEMBERED_NAMES", 10)
    book = small_book(standard=[(LONG_AGO, CHEAP)])
    for number in range(100):
        book.resolve("acme", f"unheard-of-{number}", "standard", LATER)
    assert len(book._timelines) <= 10
    assert cost(book, LATER) == 1_000
