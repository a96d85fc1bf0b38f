"""Every cost is explained to the last digit by the price it was charged with."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from analytics.explain import explain
from pricing.models import ListPrice
from pricing.reasons import reason_in_words
from pricing.rules import Rule, RuleKind
from pricing.usage_buckets import BUCKETS
from usage.models import UsageEvent

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def event(**fields: Any) -> UsageEvent:
    counts = dict.fromkeys(BUCKETS, 0) | {"requests": 1}
    return UsageEvent(time=NOON, cache="miss", **(counts | {"cost": None, "list_cost": None} | fields))


def price(**terms: Any) -> ListPrice:
    return ListPrice(units={"input": "0.10", "cache_read": "0.025", "output": "0.40"}, **terms)


def test_lines_are_units_times_price() -> None:
    charged = event(uncached_input=1200, cache_read=300, output=250, cost=227_500, list_cost=227_500)
    found = explain(charged, price())
    assert [(line.name, line.quantity, line.price, line.amount) for line in found.lines] == [
        ("Input tokens, not cached", 1200, Decimal("0.10"), Decimal("0.000120")),
        ("Input tokens read from cache", 300, Decimal("0.025"), Decimal("0.0000075")),
        ("Output tokens", 250, Decimal("0.40"), Decimal("0.000100")),
    ]
    assert found.exact == Decimal("0.0002275")
    assert found.agrees


def rule(kind: RuleKind = RuleKind.PERCENT, **given: Any) -> Rule:
    named = {"provider": "openai", "model": "*", "tier": "", "percent": None, "units": {}, "tiers": []} | given
    return Rule(id=1, kind=kind, effective_from=NOON, **named)


def test_a_contract_is_explained_beside_the_list() -> None:
    charged = event(uncached_input=1000, output=10, cost=98_800, list_cost=104_000)
    found = explain(charged, price(), rule(percent=Decimal(-5)))
    assert [(line.price, line.amount, line.paid_price, line.paid) for line in found.lines] == [
        (Decimal("0.10"), Decimal("0.0001"), Decimal("0.095"), Decimal("0.000095")),
        (Decimal("0.40"), Decimal("0.000004"), Decimal("0.38"), Decimal("0.0000038")),
    ]
    assert (found.exact, found.paid_exact, found.agrees) == (Decimal("0.000104"), Decimal("0.0000988"), True)
    assert not explain(charged, price(), rule(percent=Decimal(-6))).agrees
    assert not explain(charged, price()).agrees


def test_a_model_of_ones_own_is_explained_without_a_list_price() -> None:
    charged = event(uncached_input=1000, cost=2_000_000, list_cost=2_000_000)
    found = explain(charged, None, rule(RuleKind.CUSTOM, units={"input": "2"}))
    assert (found.exact, found.paid_exact, found.agrees) == (Decimal("0.002"), Decimal("0.002"), True)


def test_a_contract_that_prices_more_than_the_list_stands_for_both() -> None:
    charged = event(images=2, cost=2_000_000, list_cost=2_000_000)
    found = explain(charged, price(), rule(RuleKind.FIXED, units={"input": "1", "images": "1000"}))
    assert (found.exact, found.paid_exact, found.agrees) == (Decimal("0.002"), Decimal("0.002"), True)


def test_rounding_happens_once_at_the_end() -> None:
    charged = event(cache_read=1, uncached_input=1, cost=125, list_cost=125)
    assert explain(charged, price()).exact == Decimal("0.000000125")
    half = event(cache_read=1, cost=2, list_cost=2)
    assert explain(half, price(tiers=[])).exact == Decimal("0.000000025")
    assert not explain(half, price()).agrees


def test_a_long_context_is_explained_with_its_own_prices() -> None:
    tiers = [{"above_input_tokens": 1000, "units": {"input": "0.20"}}]
    charged = event(uncached_input=2000, cost=400_000, list_cost=400_000)
    found = explain(charged, price(tiers=tiers))
    assert found.lines[0].price == Decimal("0.20")
    assert found.agrees


def test_a_price_by_the_hour_is_the_one_of_the_hour() -> None:
    night = {"start": "11:00", "end": "13:00", "units": {"input": "0.05"}, "tiers": []}
    priced = price(windows=[night])
    charged = event(uncached_input=1_000_000, cost=50_000_000, list_cost=50_000_000)
    assert explain(charged, priced).agrees
    later = event(uncached_input=1_000_000, cost=100_000_000, list_cost=100_000_000)
    later.time = NOON.replace(hour=13)
    assert explain(later, priced).agrees


def test_no_price_means_unknown_and_never_nothing() -> None:
    found = explain(event(uncached_input=10), None)
    assert [(line.quantity, line.price, line.amount) for line in found.lines] == [(10, None, None)]
    assert found.exact is None


def test_an_answer_of_the_own_cache_cost_nothing() -> None:
    cached = event(uncached_input=10, cost=0, list_cost=0)
    cached.cache = "hit"
    found = explain(cached, price())
    assert found.own_cache
    assert found.exact is None
    assert found.agrees


def test_reported_and_computed_are_compared_exactly() -> None:
    charged = event(uncached_input=10, cost=1_000, list_cost=1_000, reported_cost=1_000_001)
    assert explain(charged, price()).reported_gap == Decimal("0.000000000001")
    assert explain(event(reported_cost=5), None).reported_gap is None


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("unknown_provider", "no provider of this name"),
        ("unknown_model", "this model of it is not"),
        ("no_unit_price:output", "no price for output tokens"),
        ("no_tier_price", "service tier"),
        ("something_new", "something_new"),
    ],
)
def test_reasons_in_words(reason: str, says: str) -> None:
    why, what = reason_in_words(reason)
    assert says in why
    assert what
