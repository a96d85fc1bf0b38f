"""The tree of teams as plain mappings of id → parent id. Pure."""

from collections.abc import Iterable, Mapping

Parents = Mapping[int, int | None]


def ancestor_ids(parents: Parents, team_id: int) -> tuple[int, ...]:
    """The team itself and every team above it, from the bottom up: the teams whose budgets its spend counts in."""
    chain: list[int] = []
    current: int | None = team_id
    while current is not None:
        chain.append(current)
        current = parents.get(current)
    return tuple(chain)


def subtree_ids(parents: Parents, roots: Iterable[int]) -> frozenset[int]:
    """The roots and everything below them; roots that are not teams are left out."""
    wanted = {root for root in roots if root in parents}
    return frozenset(team_id for team_id in parents if wanted & set(ancestor_ids(parents, team_id)))


def in_tree_order(parents: Parents, order: Iterable[int]) -> list[tuple[int, int]]:
    """(team id, depth) with every team right under its parent, siblings in the given order."""
    children: dict[int | None, list[int]] = {}
    for team_id in order:
        children.setdefault(parents[team_id], []).append(team_id)
    result: list[tuple[int, int]] = []
    pending = [(team_id, 0) for team_id in reversed(children.get(None, []))]
    while pending:
        team_id, depth = pending.pop()
        result.append((team_id, depth))
        pending += [(child, depth + 1) for child in reversed(children.get(team_id, []))]
    return result
