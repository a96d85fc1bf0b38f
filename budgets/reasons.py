"""Why a call is or was refused, in sentences. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from budgets.amounts import spoken_exact
from budgets.models import Action, Budget, BudgetAction, Unit
from budgets.reservations.models import Reason
from budgets.verdict import Obstacle, Standing
from budgets.windows import ROLLING, TOTAL
from common.display import moment

WITHOUT_BUDGET = {
    Reason.MODEL: "The model is not on the list of those that this key, or a team it belongs to, may call.",
    Reason.RATE: "This minute had no room for it: the key, a team it belongs to or a budget was limited per minute.",
    Reason.UNAVAILABLE: "What is left could not be asked for at that moment, and a budget that applies refuses then.",
    Reason.UNPRICED: "There is no known price for the model, and a budget that applies refuses what has none.",
    Reason.BUDGET: "A budget had no room for it.",
    Reason.BLOCKED: "A budget blocks calls from a part of its limit on.",
    Reason.APPROVAL: "A budget asks for approval from a part of its limit on.",
}


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a budget was measured by, in its unit; None where it was not written down."""

    limit: int | None = None
    spent: int | None = None
    reserved: int | None = None
    requested: int | None = None
    percent: int | None = None

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> "Numbers":
        """Of a refusal's details, whose whole numbers are text."""
        return cls(*(_whole(details.get(name)) for name in cls.__slots__))


def _whole(value: object) -> int | None:
    text = str(value)
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() else None


def why(reason: Reason, budget: Budget | None, numbers: Numbers) -> str:
    """The reason with its numbers, as far as there are any."""
    if budget is None:
        return WITHOUT_BUDGET[reason]
    match reason:
        case Reason.BUDGET:
            return _no_room(budget, numbers)
        case Reason.BLOCKED | Reason.APPROVAL:
            does = "blocks calls" if reason is Reason.BLOCKED else "asks for approval"
            from_part = f"{numbers.percent}% of its limit" if numbers.percent else "a part of its limit"
            return f"{budget.name} {does} from {from_part} on{_standing_at(budget, numbers)}."
        case Reason.UNPRICED:
            return f"There is no known price for the model, and {budget.name} refuses what has none."
        case Reason.UNAVAILABLE:
            return f"What is left of {budget.name} could not be asked for, and it refuses then."
        case Reason.RATE:
            return f"{budget.name} was limited per minute from a part of its limit on, and the minute was full."
        case _:
            return WITHOUT_BUDGET[reason]


def _no_room(budget: Budget, numbers: Numbers) -> str:
    if numbers.limit is None or numbers.spent is None:
        return f"{budget.name} had no room for it."
    unit = budget.unit
    left = numbers.limit - numbers.spent - (numbers.reserved or 0)
    parts = [f"{spoken_exact(unit, numbers.spent)} used"]
    if numbers.reserved:
        parts.append(f"{spoken_exact(unit, numbers.reserved)} held by calls in flight")
    has = f"{spoken_exact(unit, left)} left" if left > 0 else "nothing left"
    asked = f", and the call needs {spoken_exact(unit, numbers.requested)}" if numbers.requested else ""
    return f"{budget.name} has {has} of {spoken_exact(unit, numbers.limit)} ({', '.join(parts)}){asked}."


def _standing_at(budget: Budget, numbers: Numbers) -> str:
    if numbers.limit is None or numbers.spent is None:
        return ""
    taken = numbers.spent + (numbers.reserved or 0)
    return f"; {spoken_exact(budget.unit, taken)} of {spoken_exact(budget.unit, numbers.limit)} is taken"


def why_not(obstacle: Obstacle) -> str:
    """The sentence of an obstacle."""
    standing = obstacle.standing
    if standing is None:
        return WITHOUT_BUDGET[obstacle.reason]
    numbers = Numbers(standing.limit, standing.amount, standing.reserved, obstacle.needed, obstacle.at_percent)
    return why(obstacle.reason, standing.budget, numbers)


def easing(standing: Standing, action: BudgetAction) -> str:
    """What a budget asks of calls that it lets through."""
    name = standing.budget.name
    if action.action == Action.DEGRADE:
        return f"From {action.at_percent}% on {name} suggests the cheaper model of the ladder, where there is one."
    rates = [
        f"{rate:,} {unit}"
        for rate, unit in ((action.requests_per_minute, Unit.REQUESTS), (action.tokens_per_minute, Unit.TOKENS))
        if rate is not None
    ]
    return f"From {action.at_percent}% on {name} lets {' and '.join(rates)} through per minute."


def resets(budget: Budget, end: datetime) -> str:
    """When there is room again, in words and in the budget's zone."""
    if budget.period == TOTAL:
        return "never: it is one total"
    at = moment(end.astimezone(ZoneInfo(budget.timezone)))
    return f"{at}, when the oldest day leaves" if budget.period == ROLLING else at
