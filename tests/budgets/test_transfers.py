"""Which budgets may share a limit, and that a transfer moves it and nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from budgets.limits import limits_now
from budgets.models import Budget, BudgetLimit, Scope
from budgets.transfers import beside, transfer
from tenants.access import organization_scope
from tenants.models import Team, VirtualKey
from tests.budgets.support import USD, make_budget
from tests.factories import Tenant, make_key

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOP, LEFT, RIGHT, BELOW = 1, 2, 3, 4
PARENTS = {TOP: None, LEFT: TOP, RIGHT: TOP, BELOW: LEFT}


def team(number: int) -> dict[str, Any]:
    return {"scope_type": Scope.TEAM, "team": Team(id=number, parent_id=PARENTS[number])}


def key(of: int) -> dict[str, Any]:
    return {"scope_type": Scope.VIRTUAL_KEY, "virtual_key": VirtualKey(id=9, team_id=of)}


def customer(of: int | None = None) -> dict[str, Any]:
    within = None if of is None else Team(id=of, parent_id=PARENTS[of])
    return {"scope_type": Scope.CUSTOMER, "value": "acme", "team": within}


def budget(number: int, **given: Any) -> Budget:
    return Budget(**{"id": number, "organization_id": 1, "period": "month", "timezone": "UTC", "limit": 1} | given)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (team(LEFT), team(RIGHT), True),
        (team(LEFT), team(TOP), False),
        (team(LEFT), team(BELOW), False),
        (team(LEFT), key(TOP), True),
        (key(LEFT), key(LEFT), True),
        (key(LEFT), key(RIGHT), False),
        (customer(LEFT), team(BELOW), True),
        (customer(), team(TOP), True),
        (customer(), {"scope_type": Scope.ORGANIZATION}, False),
        ({"scope_type": Scope.ORGANIZATION}, team(TOP), False),
        (team(LEFT), team(RIGHT) | {"unit": "tokens"}, False),
        (team(LEFT), team(RIGHT) | {"period": "week"}, False),
        (team(LEFT), team(RIGHT) | {"timezone": "Asia/Kolkata"}, False),
        (team(LEFT) | {"period": "total"}, team(RIGHT) | {"period": "total"}, False),
        (
            team(LEFT) | {"period": "rolling", "rolling_days": 7},
            team(RIGHT) | {"period": "rolling", "rolling_days": 7},
            False,
        ),
    ],
)
def test_which_lie_beside_each_other(one: dict[str, Any], other: dict[str, Any], expected: bool) -> None:
    first, second = budget(1, **one), budget(2, **other)
    assert beside(first, [first, second], NOW) == ([second] if expected else [])


@pytest.fixture
def pair(tenant: Tenant) -> tuple[Budget, Budget]:
    second, _ = make_key(tenant, "second")
    return make_budget(tenant, "a", key=tenant.key, now=NOW), make_budget(tenant, "b", key=second, now=NOW)


def move(tenant: Tenant, source: Budget, target: Budget, amount: int) -> None:
    with organization_scope(tenant.id):
        transfer(
            organization=tenant.organization, source=source, target=target, amount=amount, reason="launch",
            actor=tenant.owner, now=NOW,
        )  # fmt: skip


def limits(tenant: Tenant, pair: tuple[Budget, Budget], now: datetime) -> list[int]:
    with organization_scope(tenant.id):
        found = limits_now(pair, now)
    return [found[budget.id] for budget in pair]


def test_until_the_period_ends(tenant: Tenant, pair: tuple[Budget, Budget]) -> None:
    move(tenant, *pair, 40 * USD)
    december = datetime(2026, 12, 1, tzinfo=UTC)
    assert limits(tenant, pair, NOW) == limits(tenant, pair, december - timedelta(seconds=1)) == [60 * USD, 140 * USD]
    assert limits(tenant, pair, december) == [100 * USD, 100 * USD]


@pytest.mark.parametrize("amount", [0, -1, 100 * USD, 10**30])
def test_not_more_than_there_is(tenant: Tenant, pair: tuple[Budget, Budget], amount: int) -> None:
    with pytest.raises(ValidationError):
        move(tenant, *pair, amount)
    with organization_scope(tenant.id):
        assert not BudgetLimit.objects.filter(kind="transfer").exists()
    assert limits(tenant, pair, NOW) == [100 * USD, 100 * USD]
