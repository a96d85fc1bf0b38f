"""Which budget includes which, and what the parts of one are promised together: tables over a tree of teams."""

import pytest

from budgets.amounts import AmountError, for_person, from_person, from_text, spoken, spoken_exact, to_text
from budgets.models import Budget
from budgets.nesting import contains, parts_of, promised
from tenants.models import Organization, Team, VirtualKey

# 1 ── 2 ── 3, and 4 beside 2.
PARENTS = {1: None, 2: 1, 3: 2, 4: 1}
SCOPES: dict[str, dict[str, object]] = {
    "org": {"scope_type": "organization"},
    **{f"team {number}": {"scope_type": "team", "team": Team(id=number)} for number in PARENTS},
    "key in 3": {"scope_type": "virtual_key", "virtual_key": VirtualKey(id=7, team=Team(id=3))},
    "acme": {"scope_type": "customer", "value": "acme"},
    "acme in 2": {"scope_type": "customer", "value": "acme", "team": Team(id=2)},
    "acme in 3": {"scope_type": "customer", "value": "acme", "team": Team(id=3)},
    "globex in 3": {"scope_type": "customer", "value": "globex", "team": Team(id=3)},
    "env=prod": {"scope_type": "tag", "tag_name": "env", "value": "prod"},
}
INSIDE = {
    "org": set(SCOPES) - {"org"},
    "team 1": {"team 2", "team 3", "team 4", "key in 3", "acme in 2", "acme in 3", "globex in 3"},
    "team 2": {"team 3", "key in 3", "acme in 2", "acme in 3", "globex in 3"},
    "team 3": {"key in 3", "acme in 3", "globex in 3"},
    "acme": {"acme in 2", "acme in 3"},
    "acme in 2": {"acme in 3"},
}


def budget(name: str, number: int = 0, **fields: object) -> Budget:
    measured = {"unit": "cost", "period": "month"} | SCOPES[name] | fields
    return Budget(id=number, name=name, organization=Organization(id=1), **measured)


@pytest.mark.parametrize("outer", SCOPES)
def test_contains(outer: str) -> None:
    inside = {name for name in SCOPES if contains(budget(outer), budget(name), PARENTS)}
    assert inside == INSIDE.get(outer, set())


@pytest.mark.parametrize(
    ("names", "whole", "parts"),
    [
        # Only those right below, keys beside teams.
        (["org", "team 1", "team 2", "team 4"], "org", [["team 1"]]),
        (["org", "team 2", "team 3", "team 4"], "org", [["team 2", "team 4"]]),
        (["org", "team 1", "key in 3"], "team 1", [["key in 3"]]),
        # Each way to cut it on its own.
        (["org", "team 1", "acme", "acme in 3", "env=prod"], "org", [["team 1"], ["acme"], ["env=prod"]]),
        (["org", "acme in 2", "acme in 3", "globex in 3"], "org", [["acme in 2", "globex in 3"]]),
        (["org", "team 1", "acme in 2", "acme in 3"], "team 1", [["acme in 2"]]),
        (["org", "team 1", "team 3", "acme in 3"], "team 1", [["team 3"], ["acme in 3"]]),
        (["org", "acme", "acme in 3"], "acme", [["acme in 3"]]),
        (["org"], "org", []),
    ],
)
def test_parts(names: list[str], whole: str, parts: list[list[str]]) -> None:
    budgets = [budget(name, number) for number, name in enumerate(names)]
    found = parts_of(budgets, PARENTS).get(names.index(whole), [])
    assert sorted([sorted(each.name for each in way) for way in found]) == sorted(parts)


def test_other_units_and_windows_are_no_parts() -> None:
    others: list[dict[str, object]] = [{"unit": "tokens"}, {"period": "day"}, {"period": "rolling", "rolling_days": 7}]
    budgets = [budget("org", 0), *(budget("team 1", number, **each) for number, each in enumerate(others, 1))]
    assert parts_of(budgets, PARENTS) == {}


def test_what_the_parts_are_promised() -> None:
    teams = [budget("team 1", 1), budget("team 4", 2), budget("team 4", 3)]
    customers = [budget("acme", 4)]
    limits = {1: 10, 2: 20, 3: 5, 4: 16}
    assert promised([teams], limits) == 15, "of two budgets on the same scope the lower one holds"
    assert promised([teams, customers], limits) == 16, "what cuts the same usage is not added up"
    assert promised([], limits) == 0


@pytest.mark.parametrize(
    ("unit", "text", "amount"),
    [
        ("cost", "500.00", 500 * 10**9),
        ("cost", "0.000000001", 1),
        ("tokens", "1000000", 10**6),
        ("requests", "1", 1),
        ("tokens", str(10**18), 10**18),
    ],
)
def test_amounts_over_the_wire(unit: str, text: str, amount: int) -> None:
    assert from_text(unit, text) == amount
    assert from_text(unit, to_text(unit, amount)) == amount
    assert from_person(unit, for_person(unit, amount)) == amount


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("cost", "0"), ("cost", "-1"), ("cost", "1e3"), ("cost", 5), ("cost", None), ("cost", "0.0000000001"),
        ("tokens", "1.0"), ("tokens", "01"), ("tokens", "1_000"), ("tokens", "٣"), ("tokens", " 1"), ("tokens", "0"),
        ("requests", 5), ("requests", "1" + "0" * 19),
    ],
)  # fmt: skip
def test_what_is_no_amount(unit: str, text: object) -> None:
    with pytest.raises(AmountError):
        from_text(unit, text)


@pytest.mark.parametrize(
    ("unit", "text", "amount"),
    [("cost", "$1,250.50", 1_250_500_000_000), ("cost", "0.50", 5 * 10**8), ("tokens", " 2,000,000 ", 2_000_000)],
)
def test_amounts_as_people_write_them(unit: str, text: str, amount: int) -> None:
    assert from_person(unit, text) == amount


def test_amounts_as_people_read_them() -> None:
    assert [spoken(unit, 1_234_567) for unit in ("cost", "tokens", "requests")] == [
        "$0.0012",
        "1.23M tokens",
        "1,234,567 requests",
    ]
    assert (spoken("requests", 1), spoken_exact("tokens", 1_234_567)) == ("1 request", "1,234,567 tokens")
