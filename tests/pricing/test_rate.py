from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.rate import PRICED_BY, Rate, served_from_own_cache
from pricing.terms import UNITS, Tier, Units, amount_text
from pricing.usage_buckets import BUCKETS, Buckets

NANO_PER_USD_PER_MILLION = 1000

PLAIN: Units = {"input": "0.1", "cache_read": "0.025", "output": "0.4"}
EVERYTHING: Units = {
    "input": "3",
    "cache_read": "0.3",
    "cache_write": "3.75",
    "cache_write_1h": "6",
    "output": "15",
    "reasoning_output": "7",
    "input_audio": "40",
    "output_audio": "80",
    "images": "20000",
    "requests": "12000",
}

COSTS = [
    # The example of the contract: 1200 × 0.1 + 300 × 0.025 + 250 × 0.4 USD per million.
    (PLAIN, Buckets(uncached_input=1200, cache_read=300, output=150, reasoning_output=100), 227_500),
    (PLAIN, Buckets(), 0),
    (PLAIN, Buckets(cache_write_5m=10), 1_000),  # no price for writes: plain input
    (PLAIN, Buckets(input_audio=10), 1_000),
    (PLAIN, Buckets(output_audio=10), 4_000),
    (PLAIN, Buckets(requests=5), 0),  # nobody charges per request here
    (EVERYTHING, Buckets(uncached_input=1), 3_000),
    (EVERYTHING, Buckets(cache_read=1), 300),
    (EVERYTHING, Buckets(cache_write_5m=1), 3_750),
    (EVERYTHING, Buckets(cache_write_1h=1), 6_000),
    (EVERYTHING, Buckets(output=1), 15_000),
    (EVERYTHING, Buckets(reasoning_output=1), 7_000),
    (EVERYTHING, Buckets(input_audio=1), 40_000),
    (EVERYTHING, Buckets(output_audio=1), 80_000),
    (EVERYTHING, Buckets(images=1), 20_000_000),
    (EVERYTHING, Buckets(requests=2), 24_000_000),
]


@pytest.mark.parametrize(("units", "buckets", "nano"), COSTS)
def test_cost_of_each_bucket(units: Units, buckets: Buckets, nano: int) -> None:
    # A request fee would hide in every other figure.
    expected = nano + (12_000_000 if "requests" in units and buckets.requests == 1 else 0)
    assert Rate(units).cost(buckets) == expected


@pytest.mark.parametrize(
    ("tokens", "nano"),
    [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4), (10, 5), (14, 7)],
)
def test_halves_round_to_even(tokens: int, nano: int) -> None:
    assert Rate({"input": "0.0005"}).cost(Buckets(tokens)) == nano


def test_rounding_happens_once_per_event_and_not_per_bucket() -> None:
    rate = Rate({"input": "0.0004", "output": "0.0004"})
    assert rate.cost(Buckets(uncached_input=1)) == 0
    assert rate.cost(Buckets(uncached_input=1, output=1)) == 1


TIERS: list[Tier] = [
    {"above_input_tokens": 200_000, "units": {"input": "6", "output": "22.5"}},
    {"above_input_tokens": 500_000, "units": {"input": "9", "output": "30"}},
]


@pytest.mark.parametrize(
    ("buckets", "nano"),
    [
        (Buckets(200_000, output=10), 200_000 * 3_000 + 10 * 15_000),
        (Buckets(200_001, output=10), 200_001 * 6_000 + 10 * 22_500),
        (Buckets(500_001, output=10), 500_001 * 9_000 + 10 * 30_000),
        (Buckets(1, cache_read=200_000), 200_001 * 6_000),  # every kind of input counts for the threshold
        (Buckets(1, input_audio=200_000), 200_001 * 6_000),
        (Buckets(1, cache_write_5m=100_000, cache_write_1h=100_000), 200_001 * 6_000),
        (Buckets(1, output=900_000), 3_000 + 900_000 * 15_000),  # output does not
    ],
)
def test_long_context_prices_the_whole_request(buckets: Buckets, nano: int) -> None:
    assert Rate({"input": "3", "output": "15"}, TIERS).cost(buckets) == nano


@pytest.mark.parametrize(
    ("units", "buckets", "reason"),
    [
        ({"input": "1"}, Buckets(output=1), "no_unit_price:output"),
        ({"input": "1"}, Buckets(reasoning_output=1), "no_unit_price:reasoning_output"),
        ({"output": "1"}, Buckets(cache_read=1), "no_unit_price:cache_read"),
        (PLAIN, Buckets(images=1), "no_unit_price:images"),
        (PLAIN | {"output_audio": None}, Buckets(output_audio=1), "no_unit_price:output_audio"),
        (PLAIN, Buckets(10**18), "amount_out_of_range"),
    ],
)
def test_what_has_no_price_is_not_free(units: Units, buckets: Buckets, reason: str) -> None:
    rate = Rate(units)
    assert rate.cost(buckets) is None
    assert rate.why_unpriced(buckets) == reason


def test_a_unit_without_price_only_matters_when_it_was_used() -> None:
    rate = Rate({"input": "1"})
    assert rate.cost(Buckets(uncached_input=5)) == 5_000
    assert rate.why_unpriced(Buckets(uncached_input=5)) is None


def test_a_unit_that_one_tier_lacks_is_not_priced_from_the_other() -> None:
    rate = Rate({"input": "1", "output": "2"}, [{"above_input_tokens": 10, "units": {"input": "2"}}])
    assert rate.why_unpriced(Buckets(11, output=1)) == "no_unit_price:output"


def test_the_largest_amount_a_column_holds_is_the_limit() -> None:
    rate = Rate({"input": "0.001"})
    assert rate.cost(Buckets(2**63 - 1)) == 2**63 - 1
    assert rate.cost(Buckets(2**63)) is None


prices = st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=18).map(amount_text) | st.sampled_from(
    ["0", "0.0005", "0.1", "0.025", "3.75", "0.08333333333333334", "75"]
)
units_strategy = st.dictionaries(st.sampled_from(UNITS), prices).map(
    lambda units: {"input": "1", "output": "2"} | units
)
counts = st.integers(0, 10**12)
buckets_strategy = st.builds(Buckets, *[counts] * len(BUCKETS))


def exact(units: Units, buckets: Buckets) -> Fraction | None:
    """Nano-USD as a fraction, straight from the definition."""
    total = Fraction()
    for bucket, quantity in zip(BUCKETS, buckets, strict=True):
        price = next(
            (units[unit] for unit in PRICED_BY[bucket] if unit in units), "0" if bucket == "requests" else None
        )
        if price is None and quantity:
            return None
        total += quantity * Fraction(price or 0) * NANO_PER_USD_PER_MILLION
    return total


@given(units_strategy, buckets_strategy)
def test_cost_is_the_exact_sum_rounded_half_even(units: Units, buckets: Buckets) -> None:
    expected = exact(units, buckets)
    rounded = None if expected is None else round(expected)
    assert Rate(units).cost(buckets) == (rounded if rounded is not None and rounded < 2**63 else None)


@given(units_strategy, units_strategy, st.integers(0, 10**12), buckets_strategy)
def test_a_tier_is_the_rate_of_its_own_units(base: Units, high: Units, above: int, buckets: Buckets) -> None:
    by_tokens = buckets._replace(images=0, tool_calls=0)  # units that only some of these levels price
    tiered = Rate(base, [{"above_input_tokens": above, "units": high}])
    chosen = high if buckets.input_tokens > above else base
    assert tiered.cost(by_tokens) == Rate(chosen).cost(by_tokens)


@given(units_strategy, buckets_strategy)
def test_lines_explain_the_whole_cost(units: Units, buckets: Buckets) -> None:
    rate = Rate(units)
    if (nano := rate.cost(buckets)) is not None:
        total = sum((Fraction(line.amount) for line in rate.lines(buckets)), Fraction())
        assert round(total * 10**9) == nano


def test_a_line_names_bucket_quantity_price_and_amount() -> None:
    (line,) = Rate(PLAIN).lines(Buckets(cache_read=300))
    assert line == ("cache_read", 300, Decimal("0.025"), Decimal("0.0000075"))


@pytest.mark.parametrize(
    ("cache", "free"), [("hit", True), ("semantic", True), ("miss", False), (None, False), ("", False)]
)
def test_answers_from_the_customers_own_cache_cost_nothing(cache: str | None, free: bool) -> None:
    assert served_from_own_cache(cache) is free
