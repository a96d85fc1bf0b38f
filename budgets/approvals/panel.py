"""What the page of a budget says of more and less: what is added to its limit, who asks, whether it is paused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from budgets.amounts import spoken_exact
from budgets.approvals.selectors import open_requests
from budgets.limits import base_at, limit_at, limits_of
from budgets.models import Budget, BudgetLimit, LimitKind


@dataclass(frozen=True, slots=True)
class Extra:
    """An amount beside the limit itself, with its sign, and why."""

    kind: str
    amount: str
    limit: BudgetLimit


def panel(budget: Budget, now: datetime) -> dict[str, Any]:
    """The context of `budgets/_more.html`. Two queries."""
    limits = limits_of([budget])[budget.id]
    paused = budget.paused_until if budget.paused_until is not None and budget.paused_until > now else None
    return {
        "extras": extras(budget, limits, now),
        "base": spoken_exact(budget.unit, base_at(budget, limits, now)),
        "in_force": spoken_exact(budget.unit, limit_at(budget, limits, now)),
        "asked": [
            (each, spoken_exact(budget.unit, each.amount))
            for each in open_requests(budget.organization_id, now).filter(budget_id=budget.id)
        ],
        "paused_until": paused,
    }


def extras(budget: Budget, limits: Sequence[BudgetLimit], now: datetime) -> list[Extra]:
    """What is in force beside the limit itself. Pure."""
    return [
        Extra(
            LimitKind(limit.kind).label,
            f"{'+' if limit.amount > 0 else '−'}{spoken_exact(budget.unit, abs(limit.amount))}",
            limit,
        )
        for limit in limits
        if limit.kind != LimitKind.BASE and limit.starts_at <= now and (limit.ends_at is None or now < limit.ends_at)
    ]
