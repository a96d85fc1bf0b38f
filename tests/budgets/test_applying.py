"""Which budgets a call counts in, what their limit is and what was used: tables, mostly without a database."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from budgets.applying import Applying, Subject, scopes_in_use, window_of
from budgets.calls import calls_of
from budgets.limits import limit_at
from budgets.models import Budget, BudgetLimit, LedgerEntry, Scope
from budgets.standing import Used, used
from budgets.windows import Window
from common.ids import new_id
from ingest.schema import parse_events
from tenants.access import organization_scope
from tests.budgets.support import make_budget
from tests.factories import Tenant, make_key, make_team, utc_now
from tests.ingest.payloads import event
from usage.records import Charged

# 1 ── 2 ── 3, and 4 beside 2.
PARENTS = {1: None, 2: 1, 3: 2, 4: 1}
ALL: list[tuple[str, dict[str, Any]]] = [
    ("organization", {}),
    ("top", {"scope_type": "team", "team_id": 1}),
    ("middle", {"scope_type": "team", "team_id": 2}),
    ("beside", {"scope_type": "team", "team_id": 4}),
    ("key", {"scope_type": "virtual_key", "virtual_key_id": 7}),
    ("acme", {"scope_type": "customer", "value": "acme"}),
    ("acme in 2", {"scope_type": "customer", "value": "acme", "team_id": 2}),
    ("acme in 4", {"scope_type": "customer", "value": "acme", "team_id": 4}),
    ("feature", {"scope_type": "feature", "value": "bot"}),
    ("agent", {"scope_type": "agent", "value": "acme"}),
    ("user", {"scope_type": "user", "value": "u1"}),
    ("model", {"scope_type": "model", "value": "gpt-4o"}),
    ("tag", {"scope_type": "tag", "tag_name": "env", "value": "prod"}),
    ("tag in 1", {"scope_type": "tag", "tag_name": "env", "value": "prod", "team_id": 1}),
]
WIDE = ["organization", "top"]


def applying() -> Applying:
    return Applying(
        [
            Budget(id=number, name=name, **({"scope_type": "organization"} | fields))
            for number, (name, fields) in enumerate(ALL)
        ],
        PARENTS,
    )


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        (Subject(1, 8), WIDE),
        (Subject(3, 8), [*WIDE, "middle"]),
        (Subject(4, 7), [*WIDE, "beside", "key"]),
        (Subject(1, 0, customer="acme"), [*WIDE, "acme"]),
        (Subject(3, 0, customer="acme"), [*WIDE, "middle", "acme", "acme in 2"]),
        (Subject(1, 0, agent="acme"), [*WIDE, "agent"]),
        (Subject(1, 0, customer="Acme", feature="acme"), WIDE),
        (Subject(1, 0, feature="bot", user="u1", model="gpt-4o"), [*WIDE, "feature", "user", "model"]),
        (Subject(1, 0, tags={"env": "prod", "region": "eu"}), [*WIDE, "tag", "tag in 1"]),
        (Subject(1, 0, tags={"env": "test", "prod": "env"}), WIDE),
        # A team that is not in the tree counts in the organization only.
        (Subject(9, 0, tags={"env": "prod"}), ["organization", "tag"]),
    ],
)
def test_applying(subject: Subject, names: list[str]) -> None:
    assert [budget.name for budget in applying().of(subject)] == names


def charged(key_id: int, team_id: int, **names: Any) -> Charged:
    _, (reported,) = parse_events([event(**names)], pointers=[""], now=utc_now())
    return Charged(reported, START, team_id, key_id, "openai", "gpt-4o")


def test_a_batch_reads_the_budgets_that_it_counts_in_and_no_others(tenant: Tenant, stranger: Tenant) -> None:
    above = make_team(tenant, "above")
    team, beside = make_team(tenant, "team", above), make_team(tenant, "beside")
    key, _ = make_key(tenant, "key", team)
    idle, _ = make_key(tenant, "idle", team)
    counted = [
        make_budget(tenant, "all"),
        make_budget(tenant, "above", team=above),
        make_budget(tenant, "key", key=key),
        make_budget(tenant, "acme", on="customer", value="acme"),
        make_budget(tenant, "acme in team", on="customer", value="acme", team=team),
        make_budget(tenant, "model", on="model", value="gpt-4o"),
        make_budget(tenant, "prod", on="tag", tag_name="env", value="prod"),
    ]
    for other in (
        {"team": beside},
        {"key": idle},
        {"on": "customer", "value": "other"},
        {"on": "feature", "value": "acme"},
        {"on": "tag", "tag_name": "acme", "value": "prod"},
        {"on": "user", "value": "u2"},
    ):
        make_budget(tenant, "not counted in", **other)
    make_budget(stranger, "a stranger's")
    batch = [
        charged(key.id, team.id, customer="acme", tags={"env": "prod"}),
        charged(key.id, team.id, customer="nobody", user="u1", feature="bot"),
    ]
    with organization_scope(tenant.id):
        scopes = scopes_in_use(tenant.id)
        found = Applying.to_calls(tenant.id, calls_of(batch, scopes))
        everything = Applying.of_organization(tenant.id)
    assert scopes == {Scope.CUSTOMER, Scope.FEATURE, Scope.MODEL, Scope.TAG, Scope.USER}
    assert sorted(found.by_id) == sorted(budget.id for budget in counted)
    for subject in (
        Subject(team.id, key.id, model="gpt-4o", customer="acme", tags={"env": "prod"}),
        Subject(team.id, key.id, model="gpt-4o", customer="nobody", user="u1", feature="bot"),
    ):
        assert found.of(subject) == everything.of(subject)


def test_window_of() -> None:
    budget = Budget(
        period="rolling", timezone="Asia/Kathmandu", week_start="sunday", fiscal_year_start_month=4, rolling_days=7
    )

    assert window_of(budget) == Window("rolling", ZoneInfo("Asia/Kathmandu"), 6, 4, 7)


START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def written(kind: str, amount: int, starts: int, ends: int | None = None) -> BudgetLimit:
    """A limit from one day of March to another."""
    return BudgetLimit(
        id=new_id(),
        kind=kind,
        amount=amount,
        starts_at=START + starts * DAY,
        ends_at=None if ends is None else START + ends * DAY,
        created_at=START,
    )


@pytest.mark.parametrize(
    ("limits", "by_day"),
    [
        ([], {0: 5}),
        ([("base", 100, 0)], {-9: 100, 0: 100, 9: 100}),
        ([("base", 100, 0), ("base", 70, 3)], {0: 100, 2: 100, 3: 70}),
        ([("base", 70, 3), ("base", 100, 0)], {2: 100, 3: 70}),
        # Of two that begin at the same instant the later one holds.
        ([("base", 100, 0), ("base", 70, 0)], {0: 70}),
        ([("base", 100, 0), ("increase", 50, 2, 4)], {1: 100, 2: 150, 3: 150, 4: 100}),
        ([("base", 100, 0), ("increase", 50, 2), ("base", 10, 5)], {2: 150, 9: 60}),
        ([("base", 100, 0), ("transfer", -30, 1), ("rollover", 5, 1, 2)], {0: 100, 1: 75, 2: 70}),
        ([("base", 100, 0), ("transfer", -300, 1)], {0: 100, 1: 1}),
    ],
)
def test_limit_at(limits: list[tuple[str, int, int]], by_day: dict[int, int]) -> None:
    history = [written(*limit) for limit in limits]

    assert {day: limit_at(Budget(limit=5), history, START + day * DAY) for day in by_day} == by_day


def test_used_of_a_unit() -> None:
    sums = Used(1, 2, 3, 4)

    assert [sums.of(unit) for unit in ("cost", "tokens", "requests")] == [1, 2, 3]


@pytest.mark.django_db
def test_used_is_the_sum_of_the_slots_in_the_window(tenant: Tenant) -> None:
    now = utc_now()
    with organization_scope(tenant.id):
        rolling = Budget.objects.create(
            organization=tenant.organization, name="rolling", scope_type="organization", limit=1, period="rolling",
            rolling_days=7, timezone="UTC", counts_from=now,
        )  # fmt: skip
        for days_ago in range(10):
            slot = window_of(rolling).slot_at(now - days_ago * DAY)
            LedgerEntry.objects.create(
                organization=tenant.organization, budget=rolling, period_start=slot.start, period_end=slot.end,
                spent=10**days_ago, tokens=1, requests=2, unpriced_requests=3, settled_at=now,
            )  # fmt: skip
        monthly = make_budget(tenant)

        assert used([], now) == {}
        assert used([rolling, monthly], now) == {rolling.id: Used(1_111_111, 7, 14, 21), monthly.id: Used()}
