"""What is held under budgets for calls in flight, for those who show where a budget stands."""

import logging
from collections.abc import Mapping, Sequence

import redis

from budgets.models import Budget
from budgets.reservations.governing import counter_name
from budgets.reservations.outage import Outage
from budgets.reservations.settled import engine
from common.periods import Period

log = logging.getLogger(__name__)

_outage = Outage()


def reserved_in(budgets: Sequence[Budget], windows: Mapping[int, Period]) -> dict[int, int | None]:
    """Budget id → what is held of it in the window given for it, in its unit; None while Redis does not answer."""
    unknown: dict[int, int | None] = dict.fromkeys(windows)
    if not budgets or _outage.rests:
        return unknown
    names = [counter_name(budget.id, windows[budget.id].start) for budget in budgets]
    try:
        standings = engine().standing(budgets[0].organization_id, names)
    except redis.RedisError as error:
        log.warning("Redis does not answer, so nobody knows what is reserved: %s", error)
        _outage.failed()
        return unknown
    _outage.over()
    return {
        budget.id: 0 if standing is None else standing.held for budget, standing in zip(budgets, standings, strict=True)
    }
