"""Whether a call would be allowed, and if not why: by tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from budgets.models import Action, Budget, BudgetAction, Enforcement, UnpricedPolicy
from budgets.reservations.models import Reason
from budgets.standing import Used
from budgets.verdict import Ask, Standing, judge, model_allowed
from common.periods import Period

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = Period(NOW.replace(hour=0), NOW.replace(hour=0) + timedelta(days=1))


def standing(used: int, *actions: tuple[int, Action], reserved: int | None = 0, limit: int = 100, **fields: Any) -> Any:
    values = {"name": "b", "unit": "requests", "enforcement": Enforcement.HARD, "limit": limit}
    return Standing(
        budget=Budget(**values | fields),
        at=NOW,
        window=DAY,
        limit=limit,
        extras=(),
        used=Used(cost=used, tokens=used, requests=used),
        reserved=reserved,
        actions=tuple(BudgetAction(at_percent=percent, action=action) for percent, action in actions),
    )


ONE = Ask(cost=10, tokens=20)
UNKNOWN = Ask(cost=None, tokens=20)
FREE = Ask(cost=0, tokens=20)
SOME = Ask(cost=0, tokens=0, estimated=False)


@pytest.mark.parametrize(
    ("standing", "ask", "reasons"),
    [
        (standing(99), ONE, []),
        (standing(100), ONE, [Reason.BUDGET]),
        (standing(98, reserved=2), ONE, [Reason.BUDGET]),
        (standing(98, reserved=None), ONE, []),
        (standing(90, unit="cost"), ONE, []),
        (standing(91, unit="cost"), ONE, [Reason.BUDGET]),
        (standing(81, unit="tokens"), ONE, [Reason.BUDGET]),
        (standing(500, enforcement=Enforcement.SOFT), ONE, []),
        (standing(500, (50, Action.BLOCK), enforcement=Enforcement.NONE), ONE, []),
        (standing(50, (50, Action.BLOCK), enforcement=Enforcement.SOFT), ONE, [Reason.BLOCKED]),
        (standing(49, (50, Action.BLOCK)), ONE, []),
        (standing(50, (50, Action.APPROVE)), ONE, [Reason.APPROVAL]),
        (standing(50, (50, Action.THROTTLE)), ONE, []),
        (standing(0, unit="cost"), UNKNOWN, []),
        (standing(0, unit="cost", unpriced=UnpricedPolicy.BLOCK), UNKNOWN, [Reason.UNPRICED]),
        (standing(100, unit="cost"), UNKNOWN, [Reason.BUDGET]),
        (standing(100, unit="cost"), FREE, []),
        (standing(99, unit="cost"), SOME, []),
        (standing(100, unit="tokens"), SOME, [Reason.BUDGET]),
        (standing(100), SOME, [Reason.BUDGET]),
        (standing(0, unit="requests", unpriced=UnpricedPolicy.BLOCK), UNKNOWN, []),
    ],
)
def test_what_stands_in_the_way(standing: Standing, ask: Ask, reasons: list[Reason]) -> None:
    verdict = judge([standing], ask)
    assert [obstacle.reason for obstacle in verdict.obstacles] == reasons
    assert verdict.allowed == (not reasons)


@pytest.mark.parametrize(
    ("fields", "binds"),
    [
        ({}, True),
        ({"shadow": True}, False),
        ({"paused_until": NOW + timedelta(seconds=1)}, False),
        ({"paused_until": NOW}, True),
    ],
)
def test_a_budget_in_shadow_or_paused_refuses_nothing(fields: dict[str, Any], binds: bool) -> None:
    verdict = judge([standing(100, **fields)], ONE)
    assert [obstacle.binds for obstacle in verdict.obstacles] == [binds]
    assert verdict.allowed is not binds


def test_every_budget_must_let_it_through_and_each_says_why() -> None:
    first, second = standing(100), standing(80, (80, Action.THROTTLE), (70, Action.DEGRADE), unit="tokens", limit=99)
    verdict = judge([first, second], ONE, model_allowed=False)
    assert [(each.reason, each.standing) for each in verdict.obstacles] == [
        (Reason.MODEL, None),
        (Reason.BUDGET, first),
        (Reason.BUDGET, second),
    ]
    assert [action.action for _, action in verdict.eased] == [Action.THROTTLE, Action.DEGRADE]
    assert [each.needed for each in verdict.obstacles] == [None, 1, 20]


@pytest.mark.parametrize(
    ("lists", "allowed"),
    [
        ([], True),
        ([None, None], True),
        ([["gpt-4o"]], True),
        ([["GPT-4*"]], True),
        ([["openai/gpt-4o"], None], True),
        ([["gpt-4"]], False),
        ([[]], False),
        ([["gpt-4o"], ["claude*"]], False),
    ],
)
def test_lists_of_models(lists: list[list[str] | None], allowed: bool) -> None:
    assert model_allowed(["gpt-4o", "openai/gpt-4o"], *lists) is allowed
