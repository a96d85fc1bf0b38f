"""Whether budgets would let a call through, and if not exactly why. Pure.

The same rules as those of reservations (docs/budgets.md), told of one moment instead of enforced in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from budgets.models import Action, Budget, BudgetAction, BudgetLimit, Enforcement, Unit, UnpricedPolicy
from budgets.reservations.models import Reason
from budgets.standing import Used
from common.periods import Period


@dataclass(frozen=True, slots=True)
class Ask:
    """What a call would hold. `cost` in nano-USD; None: there is no price for it. Not `estimated`: some call or other,
    of which only its model is known."""

    cost: int | None
    tokens: int
    requests: int = 1
    estimated: bool = True

    def amount(self, unit: str) -> int | None:
        """None: nobody knows."""
        if unit == Unit.REQUESTS:
            return self.requests
        if not self.estimated:
            return None
        return self.cost if unit == Unit.COST else self.tokens


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget at a moment. Amounts in its unit. `reserved`: held by calls in flight; None: not known."""

    budget: Budget
    at: datetime
    window: Period
    limit: int
    # What is added to the base limit or taken away from it at that moment.
    extras: tuple[BudgetLimit, ...]
    used: Used
    reserved: int | None
    # Everything that happens at a part of the limit, from the lowest part up.
    actions: tuple[BudgetAction, ...] = ()

    @property
    def amount(self) -> int:
        """What was used."""
        return self.used.of(self.budget.unit)

    @property
    def taken(self) -> int:
        """Used or held."""
        return self.amount + (self.reserved or 0)

    @property
    def left(self) -> int:
        """Below zero once the limit was passed."""
        return self.limit - self.taken

    @property
    def reached(self) -> tuple[BudgetAction, ...]:
        return tuple(action for action in self.actions if self.taken * 100 >= self.limit * action.at_percent)

    @property
    def paused(self) -> bool:
        return self.budget.paused_until is not None and self.at < self.budget.paused_until

    @property
    def binds(self) -> bool:
        """Whether what it refuses is refused: it is neither in shadow nor paused."""
        return not self.budget.shadow and not self.paused


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A reason to refuse the call. `binds`: it is refused; else a budget in shadow or paused would refuse it.

    `needed`: what the call would take; None where that does not matter, or is not known.
    """

    reason: Reason
    standing: Standing | None
    binds: bool = True
    needed: int | None = None
    at_percent: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`allowed`: nothing that binds is in the way. `eased`: what is asked of a call that is allowed: to be
    slower, or of a cheaper model."""

    obstacles: tuple[Obstacle, ...]
    eased: tuple[tuple[Standing, BudgetAction], ...]

    @property
    def allowed(self) -> bool:
        return not any(obstacle.binds for obstacle in self.obstacles)


def judge(standings: Sequence[Standing], ask: Ask, *, model_allowed: bool = True) -> Verdict:
    """What stands in the way of a call that counts in all of these budgets, in their order."""
    obstacles = [] if model_allowed else [Obstacle(Reason.MODEL, None)]
    for standing in standings:
        obstacles += _obstacles(standing, ask)
    eased = [
        (standing, action)
        for standing in standings
        for action in standing.reached
        if standing.binds and action.action in {Action.THROTTLE, Action.DEGRADE}
    ]
    return Verdict(tuple(obstacles), tuple(eased))


def _obstacles(standing: Standing, ask: Ask) -> Iterator[Obstacle]:
    budget = standing.budget
    if budget.enforcement == Enforcement.NONE:
        return
    for action in standing.reached:
        reason = _REFUSING.get(Action(action.action))
        if reason is not None:
            yield Obstacle(reason, standing, standing.binds, at_percent=action.at_percent)
    if budget.enforcement == Enforcement.HARD:
        yield from _hard(standing, ask)


_REFUSING = {Action.BLOCK: Reason.BLOCKED, Action.APPROVE: Reason.APPROVAL}


def _hard(standing: Standing, ask: Ask) -> Iterator[Obstacle]:
    budget = standing.budget
    if ask.cost is None and budget.unit == Unit.COST and budget.unpriced == UnpricedPolicy.BLOCK:
        yield Obstacle(Reason.UNPRICED, standing, standing.binds)
    needed = ask.amount(budget.unit)
    # What a call takes that nobody can estimate fits as long as anything is left; what takes nothing always does.
    if standing.left < (1 if needed is None else needed) and needed != 0:
        yield Obstacle(Reason.BUDGET, standing, standing.binds, needed=needed)


def model_allowed(names: Sequence[str], *lists: Sequence[str] | None) -> bool:
    """Whether a model, by any of its names, is on each list that is set; an asterisk at the end of an entry stands for
    any ending."""
    return all(any(_fits(name, entry) for name in names for entry in each) for each in lists if each is not None)


def _fits(name: str, entry: str) -> bool:
    if entry.endswith("*"):
        return name.lower().startswith(entry[:-1].lower())
    return name.lower() == entry.lower()
