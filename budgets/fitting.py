"""Whether limits fit into each other: a part is never allowed more than the whole it belongs to, and where over-commit
is ruled out not all parts together either. Looked at from an instant on, at every later change that is planned."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.core.exceptions import ValidationError

from budgets.amounts import spoken_exact
from budgets.limits import base_at, limits_of
from budgets.models import Budget, BudgetLimit, LimitKind
from budgets.nesting import comparable, contains, parts_of, promised
from tenants.selectors import team_parents
from tenants.tree import Parents

History = Mapping[int, Sequence[BudgetLimit]]


def check_fits(budget: Budget, limits: Sequence[BudgetLimit], since: datetime) -> None:
    """ValidationError when the budget, with these limits, does not fit with the others in force from `since` on."""
    others = Budget.objects.in_force().with_scope().filter(organization_id=budget.organization_id, unit=budget.unit)
    near = [each for each in others.exclude(id=budget.id) if comparable(budget, each)]
    parents = team_parents(budget.organization_id)
    history = limits_of(near) | {budget.id: limits}
    wholes = [each for each in near if contains(each, budget, parents)]
    inside = [each for each in near if contains(budget, each, parents)]
    below = parts_of([budget, *near], parents)
    for instant in _changes([budget, *near], history, since):
        bases = {each.id: base_at(each, history[each.id], instant) for each in (budget, *near)}
        _check_one_by_one(budget, wholes, inside, bases)
        for whole in (budget, *wholes):
            if not whole.overcommit:
                _check_together(whole, budget, promised(below.get(whole.id, ()), bases), bases[whole.id])


def _changes(budgets: Iterable[Budget], history: History, since: datetime) -> list[datetime]:
    planned = {
        limit.starts_at
        for budget in budgets
        for limit in history[budget.id]
        if limit.kind == LimitKind.BASE and limit.starts_at > since
    }
    return sorted({since, *planned})


def _check_one_by_one(
    budget: Budget, wholes: Sequence[Budget], inside: Sequence[Budget], bases: Mapping[int, int]
) -> None:
    mine = bases[budget.id]
    for other in wholes:
        if bases[other.id] < mine:
            most = spoken_exact(budget.unit, bases[other.id])
            raise ValidationError({"limit": f"At most {most}: that is the limit of {other.name}, which includes this."})
    for other in inside:
        if bases[other.id] > mine:
            least = spoken_exact(budget.unit, bases[other.id])
            raise ValidationError(
                {"limit": f"At least {least}: that is the limit of {other.name}, which is part of it."}
            )


def _check_together(whole: Budget, budget: Budget, together: int, limit: int) -> None:
    if together <= limit:
        return
    allowed, most = spoken_exact(whole.unit, together), spoken_exact(whole.unit, limit)
    if whole.id == budget.id:
        refused = f"Its parts are allowed {allowed} together, and over-commit is ruled out."
    else:
        refused = f"The parts of {whole.name} would be allowed {allowed} together; it rules out more than {most}."
    raise ValidationError({"limit": refused})


def overcommitted(budgets: Sequence[Budget], limits: Mapping[int, int], parents: Parents) -> dict[int, int]:
    """Budget id → by how much its parts are allowed more together than it is, where they are. Takes all budgets of an
    organization in force, with the limits in force."""
    over = {
        budget_id: promised(ways, limits) - limits[budget_id] for budget_id, ways in parts_of(budgets, parents).items()
    }
    return {budget_id: amount for budget_id, amount in over.items() if amount > 0}
