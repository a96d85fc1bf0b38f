"""What the limit of a budget was, is and will be. `BudgetLimit` is the truth; a change takes effect by the clock."""

from collections.abc import Sequence
from datetime import datetime

from budgets.models import Budget, BudgetLimit, LimitKind

# What is left when more was taken away than there is: nothing divides by zero, and nothing fits.
LEAST = 1


def limits_of(budgets: Sequence[Budget]) -> dict[int, list[BudgetLimit]]:
    """The whole history of each budget's limit, by its id, in the order of `limit_at`. One query."""
    found: dict[int, list[BudgetLimit]] = {budget.id: [] for budget in budgets}
    for limit in BudgetLimit.objects.filter(
        organization_id__in={budget.organization_id for budget in budgets}, budget_id__in=found
    ).order_by("starts_at", "created_at", "id"):
        found[limit.budget_id].append(limit)
    return found


def base_at(budget: Budget, limits: Sequence[BudgetLimit], now: datetime) -> int:
    """The limit itself, without what was added for a while: the latest that had begun by then, else the first there
    was; `Budget.limit` where nothing is written down. Pure."""
    bases = [limit for limit in limits if limit.kind == LimitKind.BASE]
    begun = [limit for limit in bases if limit.starts_at <= now]
    if begun:
        return max(begun, key=lambda limit: (limit.starts_at, limit.created_at, limit.id)).amount
    return min(bases, key=lambda limit: limit.starts_at).amount if bases else budget.limit


def limit_at(budget: Budget, limits: Sequence[BudgetLimit], now: datetime) -> int:
    """What may be used in the window that holds `now`, in the budget's unit: the limit and all that is added to it or
    taken away at that instant. Pure."""
    extra = sum(
        limit.amount
        for limit in limits
        if limit.kind != LimitKind.BASE and limit.starts_at <= now and (limit.ends_at is None or now < limit.ends_at)
    )
    return max(LEAST, base_at(budget, limits, now) + extra)


def limits_now(budgets: Sequence[Budget], now: datetime) -> dict[int, int]:
    """Budget id → the limit in force. One query."""
    history = limits_of(budgets)
    return {budget.id: limit_at(budget, history[budget.id], now) for budget in budgets}
