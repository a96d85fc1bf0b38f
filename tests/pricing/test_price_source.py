"""How the source's conditions become dated rows, on small prices of our own in the source's types."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from pricing.price_source import SourcePeriod, read_source
from pricing.terms import EARLIEST_PRICE, TIERS, Terms

MAY, JUNE, OCTOBER = date(2026, 5, 1), date(2026, 6, 1), date(2026, 10, 14)


def price(amount: str, **others: str) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(amount), **{key: Decimal(text) for key, text in others.items()})


def schedule(
    prices: ModelPrice | list[ConditionalPrice],
    *,
    tier: str = "standard",
    names: tuple[str, ...] = ("swift",),
    variants: list[PriceVariant] | None = None,
) -> list[SourcePeriod]:
    clause = ClauseOr([ClauseEquals(name) for name in names])
    model = ModelInfo(id=names[0], match=clause, prices=prices, price_variants=variants)
    ((source,),) = [provider.models for provider in read_source([Provider("acme", "Acme", "", models=[model])])]
    return list(source.schedules.get(tier, ()))


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def cost_of(amount: str, **others: str) -> Terms:
    return Terms(units={"input": amount, **others})


def test_an_undated_price_counts_from_the_floor() -> None:
    assert schedule(price("1.50")) == [SourcePeriod(EARLIEST_PRICE, False, cost_of("1.5"))]


def test_an_undated_price_counts_from_the_earliest_date_in_the_names() -> None:
    (period,) = schedule(price("1"), names=("swift", "swift-2026-06-01", "swift-20260501"))
    assert period.effective_from == at(MAY)


def test_dated_prices_follow_each_other() -> None:
    periods = schedule(
        [
            ConditionalPrice(prices=price("3")),
            ConditionalPrice(StartDateConstraint(MAY), prices=price("2")),
            ConditionalPrice(StartDateConstraint(JUNE), prices=price("1")),
        ]
    )
    assert periods == [
        SourcePeriod(EARLIEST_PRICE, False, cost_of("3")),
        SourcePeriod(at(MAY), True, cost_of("2")),
        SourcePeriod(at(JUNE), True, cost_of("1")),
    ]


def test_a_date_on_which_nothing_changes_is_no_period() -> None:
    assert (
        len(
            schedule(
                [ConditionalPrice(prices=price("3")), ConditionalPrice(StartDateConstraint(MAY), prices=price("3.0"))]
            )
        )
        == 1
    )


def test_a_name_dated_after_a_price_change_says_nothing_about_the_launch() -> None:
    periods = schedule(
        [ConditionalPrice(prices=price("3")), ConditionalPrice(StartDateConstraint(MAY), prices=price("2"))],
        names=("swift", "swift-2026-06-01"),
    )
    assert [period.effective_from for period in periods] == [EARLIEST_PRICE, at(MAY)]


def test_units_are_ours_per_million_and_the_rest_is_kept_aside() -> None:
    (period,) = schedule(
        price(
            "1",
            output_mtok="2.00",
            cache_read_mtok="0.1",
            cache_write_mtok="1.25",
            cache_write_1h_mtok="2",
            output_reasoning_mtok="3",
            input_audio_mtok="40",
            requests_kcount="5",
            web_searches_kcount="10",
        )
    )
    assert period.terms.units == {
        "input": "1",
        "cache_read": "0.1",
        "cache_write": "1.25",
        "cache_write_1h": "2",
        "output": "2",
        "reasoning_output": "3",
        "input_audio": "40",
        "requests": "5000",
    }
    assert period.terms.extras == {"web_searches_kcount": "10"}


def test_a_tier_level_lists_every_unit() -> None:
    tiered = TieredPrices(Decimal(1), [Tier(200_000, Decimal(2)), Tier(400_000, Decimal(3))])
    (period,) = schedule(ModelPrice(input_mtok=tiered, output_mtok=Decimal(5)))
    assert period.terms == Terms(
        units={"input": "1", "output": "5"},
        tiers=[
            {"above_input_tokens": 200_000, "units": {"input": "2", "output": "5"}},
            {"above_input_tokens": 400_000, "units": {"input": "3", "output": "5"}},
        ],
    )


def test_variants_become_service_tiers_from_their_own_date() -> None:
    variants = [
        PriceVariant({"processing": "batch"}, price("0.5"), StartDateConstraint(OCTOBER)),
        PriceVariant({"service_tier": "flex"}, price("0.7")),
        PriceVariant({"service_tier": "default"}, ModelPrice()),
        PriceVariant({"service_tier": "priority"}, ModelPrice()),
        PriceVariant({"search_type": "web"}, price("9")),
    ]
    found = {tier: schedule(price("1", output_mtok="2"), tier=tier, variants=variants) for tier in TIERS}
    assert found == {
        "standard": [SourcePeriod(EARLIEST_PRICE, False, cost_of("1", output="2"))],
        "batch": [SourcePeriod(at(OCTOBER), True, cost_of("0.5", output="2"))],
        "flex": [SourcePeriod(EARLIEST_PRICE, False, cost_of("0.7", output="2"))],
        "priority": [SourcePeriod(EARLIEST_PRICE, False, cost_of("1", output="2"))],
    }


def test_hours_become_windows_around_midnight() -> None:
    (period,) = schedule(
        [
            ConditionalPrice(prices=price("1")),
            ConditionalPrice(TimeOfDateConstraint(time(22, 30, tzinfo=UTC), time(4, 0, tzinfo=UTC)), prices=price("2")),
        ]
    )
    assert period.terms == Terms(
        units={"input": "1"},
        windows=[
            {"start": "00:00", "end": "04:00", "units": {"input": "2"}, "tiers": []},
            {"start": "22:30", "end": "24:00", "units": {"input": "2"}, "tiers": []},
        ],
    )


def test_hours_listed_beside_dates_do_not_reach_back_before_them() -> None:
    before, after = schedule(
        [
            ConditionalPrice(prices=price("1")),
            ConditionalPrice(StartDateConstraint(MAY), prices=price("2")),
            ConditionalPrice(TimeOfDateConstraint(time(1, tzinfo=UTC), time(4, tzinfo=UTC)), prices=price("4")),
        ]
    )
    assert before.terms == cost_of("1")
    assert after.terms.units == {"input": "2"}
    assert [window["units"] for window in after.terms.windows] == [{"input": "4"}]


@pytest.mark.parametrize(("name", "units"), [("swift:free", {"input": "0", "output": "0"}), ("swift", None)])
def test_only_a_model_named_free_is_free_without_a_price(name: str, units: dict[str, str] | None) -> None:
    assert [period.terms.units for period in schedule(ModelPrice(), names=(name,))] == ([units] if units else [])


def test_audio_with_a_price_that_the_source_lacks_is_marked() -> None:
    models = {(p.id, m.name): m for p in read_source() for m in p.models}
    (period,) = models["openai", "gpt-4o-audio-preview"].schedules["standard"]
    assert period.terms.units["input_audio"] is None
    assert period.terms.units["output_audio"] is None


def test_every_price_of_the_bundled_source_is_a_plain_decimal() -> None:
    terms = [p.terms for provider in read_source() for m in provider.models for s in m.schedules.values() for p in s]
    amounts = [
        amount for term in terms for amount in (*term.units.values(), *term.extras.values()) if amount is not None
    ]
    assert len(amounts) > 5_000
    assert all(format(Decimal(amount), "f") == amount for amount in amounts)
