"""Which budget includes which, and whether the parts fit in the whole. Pure, over budgets loaded with their scope."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping

from budgets.models import VALUE_SCOPES, Budget, Scope
from tenants.tree import Parents, ancestor_ids

Kind = tuple[str, str, int | None]
# Scope type, team, key, name of the tag, value.
Place = tuple[str, int | None, int | None, str, str]
_EVERYTHING: Place = (Scope.ORGANIZATION.value, None, None, "", "")


def comparable(one: Budget, other: Budget) -> bool:
    """Do both count the same unit in the same kind of window? Zones are not looked at."""
    return _kind(one) == _kind(other)


def contains(outer: Budget, inner: Budget, parents: Parents) -> bool:
    """Does everything that counts in the inner budget count in the outer one, and more? Windows are not looked at."""
    if outer.scope_type in VALUE_SCOPES:
        return _value(outer) == _value(inner) and _place(outer) != _place(inner) and _covers(outer, inner, parents)
    if outer.scope_type == Scope.TEAM:
        return _place(outer) != _place(inner) and _covers(outer, inner, parents)
    return outer.scope_type == Scope.ORGANIZATION != inner.scope_type


def _covers(outer: Budget, inner: Budget, parents: Parents) -> bool:
    """Is the inner budget inside the team of the outer one, or anywhere where that has none?"""
    return outer.team_id is None or outer.team_id in _teams_above(inner, parents)


def _teams_above(budget: Budget, parents: Parents) -> tuple[int, ...]:
    team_id = budget.virtual_key.team_id if budget.virtual_key is not None else budget.team_id
    return () if team_id is None else ancestor_ids(parents, team_id)


def _value(budget: Budget) -> tuple[str, str, str]:
    return budget.scope_type, budget.tag_name, budget.value


def _place(budget: Budget) -> Place:
    return budget.scope_type, budget.team_id, budget.virtual_key_id, budget.tag_name, budget.value


def _kind(budget: Budget) -> Kind:
    return budget.unit, budget.period, budget.rolling_days


def parts_of(budgets: Iterable[Budget], parents: Parents) -> dict[int, list[list[Budget]]]:
    """Budget id → the comparable budgets right below it, by what they cut it by: teams and keys are one way, each
    dimension that callers name another. What different ways cut is the same usage, so they are never added up."""
    kinds: dict[Kind, dict[Place, list[Budget]]] = defaultdict(lambda: defaultdict(list))
    for budget in budgets:
        kinds[_kind(budget)][_place(budget)].append(budget)
    found: dict[int, dict[tuple[str, str], list[Budget]]] = defaultdict(lambda: defaultdict(list))
    for at in kinds.values():
        for parts in list(at.values()):
            for above in _right_above(parts[0], parents, at):
                for whole in at[above]:
                    found[whole.id][_way(parts[0])] += parts
    return {budget_id: list(ways.values()) for budget_id, ways in found.items()}


def _way(budget: Budget) -> tuple[str, str]:
    return (budget.scope_type, budget.tag_name) if budget.scope_type in VALUE_SCOPES else ("", "")


def _right_above(budget: Budget, parents: Parents, at: Container[Place]) -> Iterator[Place]:
    """The places with budgets that include this one, with none of its own way in between."""
    if budget.scope_type == Scope.ORGANIZATION:
        return
    own = budget.team_id
    by_value = budget.scope_type in VALUE_SCOPES
    for team_id in _teams_above(budget, parents):
        if by_value and team_id != own and (same := _same_in(budget, team_id)) in at:
            yield same
            return
        team = (Scope.TEAM.value, team_id, None, "", "")
        if team in at and team != _place(budget):
            yield team
            if not by_value:
                return
    if by_value and own is not None and (same := _same_in(budget, None)) in at:
        yield same
        return
    if _EVERYTHING in at:
        yield _EVERYTHING


def _same_in(budget: Budget, team_id: int | None) -> Place:
    return budget.scope_type, team_id, None, budget.tag_name, budget.value


def promised(ways: Iterable[Iterable[Budget]], limits: Mapping[int, int]) -> int:
    """What the parts of a whole may use together: of each scope its lowest limit, of the ways to cut it the most."""
    return max((_sum(way, limits) for way in ways), default=0)


def _sum(way: Iterable[Budget], limits: Mapping[int, int]) -> int:
    lowest: dict[Place, int] = {}
    for budget in way:
        place, limit = _place(budget), limits[budget.id]
        lowest[place] = min(lowest.get(place, limit), limit)
    return sum(lowest.values())
