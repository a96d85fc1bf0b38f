"""Which budget includes which. Pure, over budgets loaded with their scope."""

from budgets.models import Budget, Scope
from tenants.tree import Parents, ancestor_ids


def contains(outer: Budget, inner: Budget, parents: Parents) -> bool:
    """Does everything that counts in the inner budget count in the outer one, and more? Periods are not looked at."""
    if outer.scope_type == inner.scope_type == Scope.TEAM:
        return outer.team_id != inner.team_id and outer.team_id in _teams_above(inner, parents)
    if outer.scope_type == Scope.TEAM:
        return inner.scope_type == Scope.VIRTUAL_KEY and outer.team_id in _teams_above(inner, parents)
    return outer.scope_type == Scope.ORGANIZATION != inner.scope_type


def _teams_above(budget: Budget, parents: Parents) -> tuple[int, ...]:
    team_id = budget.virtual_key.team_id if budget.virtual_key is not None else budget.team_id
    return () if team_id is None else ancestor_ids(parents, team_id)
