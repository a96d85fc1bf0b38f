"""What calls in flight hold of budgets right now, as the counters say."""

from collections.abc import Sequence
from datetime import datetime

from redis.exceptions import RedisError

from budgets.applying import window_of
from budgets.models import Budget
from budgets.reservations.settled import Counted, engine


def held_now(organization_id: int, budgets: Sequence[Budget], now: datetime) -> dict[int, int]:
    """Budget id → what is held, in its unit. A budget without a counter holds nothing: nobody has asked for an
    authorization in its window. Empty when the counters do not answer."""
    counters = [Counted(budget, window_of(budget).at(now)).name for budget in budgets]
    try:
        found = engine().standing(organization_id, counters)
    except RedisError:
        return {}
    return {budget.id: each.held if each else 0 for budget, each in zip(budgets, found, strict=True)}
