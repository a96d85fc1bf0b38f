"""Which rule of a price book wins, as a table; and that a contracted cost is exact."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.book import PriceBook
from pricing.charge import Charge, charge
from pricing.organization_book import OrganizationBook
from pricing.rate import PRICED_BY, Rate
from pricing.rules import Rule, RuleKind, matches_pattern
from pricing.terms import NO_PRICE, Terms, Units, Window, amount_text
from pricing.usage_buckets import BUCKETS, Buckets
from tests.pricing.books import LONG_AGO, small_book

LIST = Terms(units={"input": "10", "output": "20"})
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MILLION = Buckets(uncached_input=1_000_000)
USD = 10**9


def rule(number: int, *, kind: RuleKind = RuleKind.PERCENT, start: datetime = START, **given: Any) -> Rule:
    named = {"provider": "acme", "model": "*", "tier": "", "percent": None, "units": {}, "tiers": []} | given
    if kind is RuleKind.PERCENT and named["percent"] is None:
        named["percent"] = Decimal(-number)
    return Rule(id=number, kind=kind, effective_from=start, **named)


def book(*rules: Rule, listed: PriceBook | None = None) -> OrganizationBook:
    return OrganizationBook(1, listed or small_book(standard=[(LONG_AGO, LIST)], batch=[(LONG_AGO, LIST)]), rules)


def winner(rules: Sequence[Rule], *, model: str = "swift-2", tier: str = "standard", at: datetime = NOW) -> int | None:
    """The rule that counts, in whatever order the rules come."""
    winners = {book(*order).resolve("acme", model, tier, at).rule_id for order in permutations(rules)}
    assert len(winners) == 1
    return winners.pop()


LATER = START + timedelta(days=30)
PRECEDENCE: list[tuple[str, list[Rule], int | None]] = [
    ("nothing applies", [rule(1, model="other"), rule(2, provider="globex")], None),
    ("everything", [rule(1, provider="*")], 1),
    ("this provider before any", [rule(1), rule(2, provider="*", start=LATER)], 1),
    ("pattern before everything", [rule(1, provider="*", model="s*"), rule(2, start=LATER)], 1),
    ("longer pattern", [rule(1, model="sw*"), rule(2, model="s*", start=LATER)], 1),
    ("longer counts letters, not stars", [rule(1, model="swi*"), rule(2, model="s*t*", start=LATER)], 1),
    ("a name before a pattern", [rule(1, model="swift"), rule(2, model="swif*", start=LATER)], 1),
    ("the reported name first", [rule(1, model="swift-2"), rule(2, model="swift", start=LATER)], 1),
    ("model before provider", [rule(1, provider="*", model="swift"), rule(2, start=LATER)], 1),
    ("model before tier", [rule(1, model="swift"), rule(2, tier="standard", start=LATER)], 1),
    ("provider before tier", [rule(1), rule(2, provider="*", tier="standard", start=LATER)], 1),
    ("this tier before all", [rule(1, tier="standard"), rule(2, start=LATER)], 1),
    ("another tier is another matter", [rule(1, tier="batch")], None),
    ("newer before older", [rule(1, start=LATER), rule(2)], 1),
    ("then the one entered last", [rule(1), rule(2)], 2),
    ("not yet in force", [rule(1, start=NOW + timedelta(seconds=1)), rule(2)], 2),
    ("in force from its first moment", [rule(1, start=NOW)], 1),
    ("over at its end", [rule(1, model="swift", effective_to=NOW), rule(2)], 2),
    ("withdrawn before it began", [rule(1, effective_to=START)], None),
    ("a name is not a pattern", [rule(1, model="swif")], None),
]


@pytest.mark.parametrize(("case", "rules", "expected"), PRECEDENCE, ids=[case for case, *_ in PRECEDENCE])
def test_precedence(case: str, rules: list[Rule], expected: int | None) -> None:
    assert winner(rules) == expected


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "", True),
        ("*", "anything", True),
        ("gpt-4*", "gpt-4.1-nano", True),
        ("gpt-4*", "gpt-5", False),
        ("*nano", "gpt-4.1-nano", True),
        ("gpt*nano", "gpt-nano", True),
        ("gptn*nano", "gptnano", False),  # the same letters are not used twice
        ("a*b*c", "axbxc", True),
        ("a*b*c", "acb", False),
        ("a**b", "ab", True),
        ("swift", "swift", True),
        ("swift", "swift-2", False),
        ("s?ift", "swift", False),
        ("[s]wift", "swift", False),
        ("*a*a*a*a*a*a*a*a*a*a*b", "a" * 200, False),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    assert matches_pattern(pattern, name) is fits


def test_a_percentage_changes_what_is_paid_and_not_the_list() -> None:
    found = book(rule(1, percent=Decimal("-15"))).resolve("acme", "swift", "standard", NOW)
    assert (found.price_id, found.rule_id) == (1, 1)
    assert charge(found, MILLION, "miss") == Charge(10 * USD, 8_500_000_000)
    assert charge(found, MILLION, "hit") == Charge(0, 0)


def test_a_markup_and_a_gift() -> None:
    dearer = book(rule(1, percent=Decimal("20.5"))).resolve("acme", "swift", "standard", NOW)
    assert charge(dearer, MILLION, "miss").cost == 12_050_000_000
    free = book(rule(1, percent=Decimal("-100"))).resolve("acme", "swift", "standard", NOW)
    assert charge(free, MILLION, "miss") == Charge(10 * USD, 0)


def test_fixed_prices_stand_beside_the_list() -> None:
    tiers = [{"above_input_tokens": 200_000, "units": {"input": "6"}}]
    fixed = rule(1, kind=RuleKind.FIXED, model="swift", units={"input": "7", "output": "9"}, tiers=tiers)
    found = book(fixed).resolve("acme", "swift", "standard", NOW)
    assert charge(found, Buckets(100_000), "miss") == Charge(USD, 700_000_000)
    assert charge(found, MILLION, "miss") == Charge(10 * USD, 6 * USD)


def test_a_unit_that_the_contract_does_not_price_is_unpriced_and_not_free() -> None:
    fixed = rule(1, kind=RuleKind.FIXED, model="swift", units={"input": "7"})
    found = book(fixed).resolve("acme", "swift", "standard", NOW)
    assert charge(found, Buckets(output=1), "miss") == Charge(None, None, "no_unit_price:output")


def test_a_contract_that_prices_what_the_list_does_not_counts_for_both() -> None:
    fixed = rule(1, kind=RuleKind.FIXED, units={"input": "7", "images": "1000"})
    found = book(fixed).resolve("acme", "swift", "standard", NOW)
    assert charge(found, Buckets(images=3), "miss") == Charge(3_000_000, 3_000_000)
    unlisted_tier = book(fixed).resolve("acme", "swift", "flex", NOW)
    assert charge(unlisted_tier, MILLION, "miss") == Charge(7 * USD, 7 * USD)


@pytest.mark.parametrize("provider", ["acme", "our-own-cluster"])
def test_a_custom_model_gets_both_costs(provider: str) -> None:
    custom = rule(1, kind=RuleKind.CUSTOM, provider=provider, model="house-llm", units={"input": "2"})
    found = book(custom).resolve(provider.upper(), "House-LLM", "standard", NOW)
    assert found[:3] == (provider, "house-llm", None)
    assert charge(found, MILLION, "miss") == Charge(2 * USD, 2 * USD)
    assert book(custom).resolve(provider, "house-llm", "standard", START - timedelta(seconds=1)).rate is None


def test_a_custom_model_is_told_apart_from_the_one_the_list_takes_it_for() -> None:
    custom = rule(1, kind=RuleKind.CUSTOM, model="swift-tuned", units={"input": "30"})
    tuned = book(custom).resolve("acme", "swift-tuned", "standard", NOW)
    assert (tuned.model, charge(tuned, MILLION, "miss")) == ("swift-tuned", Charge(30 * USD, 30 * USD))
    assert book(custom).resolve("acme", "swift", "standard", NOW)[:3] == ("acme", "swift", 1)


def test_a_percentage_of_an_unknown_price_is_not_a_price() -> None:
    custom = rule(1, kind=RuleKind.CUSTOM, provider="own", model="llm", units={"input": "2"})
    percent = rule(2, provider="own", model="llm", start=LATER)
    assert book(percent).resolve("own", "llm", "standard", NOW).reason == "unknown_provider"
    assert book(custom, percent).resolve("own", "llm", "standard", NOW).rule_id == 1
    before = book(percent, listed=small_book(standard=[(LONG_AGO, NO_PRICE)]))
    assert before.resolve("acme", "swift", "standard", NOW).reason == "no_price"


def test_list_and_rules_change_on_their_own_dates() -> None:
    change, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    listed = small_book(standard=[(LONG_AGO, LIST), (change, Terms(units={"input": "4"}))])
    own = book(rule(1, percent=Decimal(-50), effective_to=end), listed=listed)

    def at(moment: datetime) -> tuple[int | None, int | None, Charge]:
        found = own.resolve("acme", "swift", "standard", moment)
        return found.price_id, found.rule_id, charge(found, MILLION, "miss")

    second = timedelta(seconds=1)
    assert at(START - second) == (1, None, Charge(10 * USD, 10 * USD))
    assert at(START) == (1, 1, Charge(10 * USD, 5 * USD))
    assert at(change - second) == (1, 1, Charge(10 * USD, 5 * USD))
    assert at(change) == (2, 1, Charge(4 * USD, 2 * USD))
    assert at(end - second) == (2, 1, Charge(4 * USD, 2 * USD))
    assert at(end) == (2, None, Charge(4 * USD, 4 * USD))


def test_a_discount_holds_at_every_hour_of_the_day() -> None:
    night: Window = {"start": "00:00", "end": "06:00", "units": {"input": "2"}, "tiers": []}
    listed = small_book(standard=[(LONG_AGO, Terms(units={"input": "10"}, windows=[night]))])
    own = book(rule(1, percent=Decimal(-50)), listed=listed)
    noon, four = NOW.replace(hour=12), NOW.replace(hour=4)
    assert charge(own.resolve("acme", "swift", "standard", noon), MILLION, "miss").cost == 5 * USD
    assert charge(own.resolve("acme", "swift", "standard", four), MILLION, "miss").cost == USD


prices = st.decimals(min_value=0, max_value=10**6, places=9, allow_nan=False)
units_of = st.dictionaries(st.sampled_from(["input", "cache_read", "output", "requests", "images"]), prices, min_size=1)
counts = st.integers(min_value=0, max_value=10**9)
usages = st.builds(
    Buckets, uncached_input=counts, cache_read=counts, output=counts, images=counts, requests=st.integers(1, 3)
)
percents = st.decimals(min_value=-100, max_value=10_000, places=4, allow_nan=False)


@given(units_of, usages, percents)
def test_a_contracted_cost_is_exact(amounts: dict[str, Decimal], usage: Buckets, percent: Decimal) -> None:
    """The exact product is rounded half-even once; a rounded cost is never discounted."""
    units: Units = {name: amount_text(amount) for name, amount in amounts.items()}
    listed = Rate(units)
    paid = listed.times(rule(1, percent=percent).factor).cost(usage)
    if listed.why_unpriced(usage) is not None:
        return
    exact = Fraction()
    for bucket, quantity in zip(BUCKETS, usage, strict=True):
        named = next((unit for unit in PRICED_BY[bucket] if unit in amounts), None)
        if named and quantity:
            exact += quantity * Fraction(amounts[named]) * (1 + Fraction(percent) / 100) * 1000
    expected = round(exact)  # of a Fraction: exact, half to even
    assert paid == (expected if expected < 2**63 else None)


def test_rounding_after_the_discount_and_not_before() -> None:
    # 3 tokens at 0.0005 USD per million are 1.5 nano-USD: 2 at list. 30 % of 1.5 round to 0, those of 2 to 1.
    listed = Rate({"input": "0.0005"})
    assert (listed.cost(Buckets(3)), listed.times(Decimal("0.3")).cost(Buckets(3))) == (2, 0)


def test_factors_multiply() -> None:
    rate = Rate({"input": "10"}).times(Decimal("0.5")).times(Decimal("0.5"))
    assert rate.cost(MILLION) == 2_500_000_000
