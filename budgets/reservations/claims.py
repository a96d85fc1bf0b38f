"""What a call needs of the budgets and rates that govern it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from budgets.models import AbandonedPolicy, Action, Unit, UnpricedPolicy
from budgets.reservations.call import Applied
from budgets.reservations.engine import Claim, Rate
from budgets.reservations.estimate import Worth
from budgets.reservations.governing import Governed
from budgets.reservations.models import RateLimit

MINUTE_NS = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Demand:
    """A budget that governs a call, what is claimed of it, and what the answer says of it."""

    governed: Governed
    claim: Claim
    applied: Applied


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate that a call must keep, and whose it is: a team, a key or a budget (by id), so many units per minute."""

    rate: Rate
    scope: str
    id: int
    unit: str
    per_minute: int


def refuses_unpriced(governed: Governed, own: Worth, dearest: Worth | None) -> bool:
    """Whether the budget has no place for a model without a price: it says so, or nothing can be estimated."""
    budget = governed.budget
    if budget.unit != Unit.COST or own.full.cost is not None:
        return False
    return budget.unpriced == UnpricedPolicy.BLOCK or (
        budget.unpriced == UnpricedPolicy.ESTIMATE and (dearest is None or dearest.full.cost is None)
    )


def demand(governed: Governed, own: Worth, dearest: Worth | None, now: datetime) -> Demand:
    """What the call claims of the budget in the window that counts now. In order of `demands`, the index is the
    counter's in the script."""
    budget = governed.budget
    worth = own
    if own.full.cost is None and budget.unpriced == UnpricedPolicy.ESTIMATE and dearest is not None:
        worth = dearest
    amount = worth.full.of(budget.unit)
    limit, refuses = governed.limit(now), governed.may_refuse(now)
    # A call of unknown cost holds nothing, but a budget that is used up has no place for it.
    held, least = (0, 1) if amount is None else (amount, amount)
    stop = _from(governed, limit, Action.BLOCK, Action.APPROVE)
    claim = Claim(
        counter=governed.counter(now), unit=budget.unit, limit=limit, amount=held, least=least,
        after=_after(budget.abandoned, worth, budget.unit, held),
        refuses=refuses and budget.enforcement == "hard", stop=stop if refuses else None,
    )  # fmt: skip
    applied = Applied(
        budget=str(budget.id), name=budget.name, unit=budget.unit, amount=held,
        degrades=_from(governed, limit, Action.DEGRADE) if refuses else None,
        tries=(least if budget.enforcement == "hard" else -(2**62), stop) if budget.shadow else None,
    )  # fmt: skip
    return Demand(governed, claim, applied)


def _after(policy: str, worth: Worth, unit: str, held: int) -> int:
    if policy == AbandonedPolicy.NOTHING:
        return 0
    if policy == AbandonedPolicy.FULL:
        return held
    return min(held, worth.input.of(unit) or 0)


def _from(governed: Governed, limit: int, *kinds: Action) -> int | None:
    """What is left of the limit where the first of these actions begins; None without one."""
    parts = [action.at_percent for action in governed.actions if action.action in kinds]
    return left_at(limit, min(parts)) if parts else None


def left_at(limit: int, percent: int) -> int:
    """What is left of a limit of which a part is used; a part of a unit counts as a whole one used."""
    return limit - -(-limit * percent // 100)


def limits(
    demands: Sequence[Demand],
    grantees: Sequence[tuple[str, int]],
    rates: Mapping[tuple[str, int], RateLimit],
    worth: Worth,
    now: datetime,
) -> list[Limit]:
    """Every rate that the call must keep: those of its key and teams, and those of budgets that throttle."""
    found: list[Limit] = []
    for scope, number in grantees:
        row = rates.get((scope, number))
        if row is not None:
            found += _limits(scope, number, f"{scope}.{number}", row.requests_per_minute, row.tokens_per_minute, worth)
    for index, each in enumerate(demands):
        if not each.governed.may_refuse(now):
            continue
        for action in each.governed.actions:
            if action.action == Action.THROTTLE:
                gate = (index, left_at(each.claim.limit, action.at_percent))
                number = each.governed.budget.id
                found += _limits(
                    "budget", number, f"budget.{number}.{action.at_percent}", action.requests_per_minute,
                    action.tokens_per_minute, worth, gate,
                )  # fmt: skip
    return found


def _limits(
    scope: str, number: int, name: str, requests: int | None, tokens: int | None, worth: Worth,
    gate: tuple[int, int] | None = None,
) -> Iterator[Limit]:  # fmt: skip
    for unit, per_minute, units in (
        (Unit.REQUESTS, requests, worth.full.requests),
        (Unit.TOKENS, tokens, worth.full.tokens),
    ):
        if per_minute:
            # More than a minute's worth costs a whole minute, or nobody could ever make such a call.
            price = min(units, per_minute) * MINUTE_NS // per_minute
            yield Limit(Rate(f"{name}.{unit}", price, gate), scope, number, unit.value, per_minute)
