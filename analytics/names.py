"""What teams and keys are called on a page: every name once, so that a chart never mixes two of them up."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from analytics.palette import OTHER
from tenants.models import Organization, VirtualKey
from tenants.selectors import team_tree
from tenants.tree import Parents, ancestor_ids, in_tree_order, subtree_ids

UNKNOWN = "(unknown)"
NO_KEY = "(no key)"  # what belongs to a team alone, such as a flat fee; its key is 0


@dataclass(frozen=True, slots=True)
class Directory:
    """The teams in tree order with their depth, and the keys, by id."""

    depths: Mapping[int, int]
    parents: Parents
    team_names: Mapping[int, str]
    key_names: Mapping[int, str]
    key_teams: Mapping[int, int]

    def team(self, team_id: int) -> str:
        return self.team_names.get(team_id, UNKNOWN)

    def key(self, key_id: int) -> str:
        return self.key_names.get(key_id, UNKNOWN) if key_id else NO_KEY

    def below(self, team_id: int) -> frozenset[int]:
        """The team and every team under it."""
        return subtree_ids(self.parents, [team_id])

    def above(self, team_id: int, top: int | None) -> tuple[int, ...]:
        """The team itself and the teams above it, up to `top` (None: to the top of the tree)."""
        chain = ancestor_ids(self.parents, team_id)
        return chain[: chain.index(top) + 1] if top in chain else chain

    def branch_of(self, team_id: int, top: int | None) -> int:
        """The team right under `top` (None: at the top of the tree) that holds this team; `top` itself for its own."""
        chain = self.above(team_id, top)
        return chain[-2] if chain[-1] == top and len(chain) > 1 else chain[-1]

    def in_order(self, teams: Iterable[int], rank: Callable[[int], int]) -> list[tuple[int, int]]:
        """(team, depth), every team right under its parent, siblings by rank; teams not in the tree are left out."""
        wanted = set(teams)
        ranked = sorted(self.parents, key=lambda team_id: rank(team_id) if team_id in wanted else 0)
        return [(team_id, depth) for team_id, depth in in_tree_order(self.parents, ranked) if team_id in wanted]


def directory(organization: Organization) -> Directory:
    """Two queries."""
    nodes = team_tree(organization)
    teams = {node.team.id: node.team for node in nodes}
    keys = list(
        VirtualKey.objects.filter(organization=organization)
        .order_by("name", "id")
        .values_list("id", "name", "team_id", "hint")
    )
    team_names = unique({team.id: (team.name, team.slug) for team in teams.values()})
    key_names = unique({key_id: (name, team_names.get(team_id, UNKNOWN)) for key_id, name, team_id, _ in keys})
    return Directory(
        depths={node.team.id: node.depth for node in nodes},
        parents={team.id: team.parent_id for team in teams.values()},
        team_names=team_names,
        key_names=unique({key_id: (key_names[key_id], hint) for key_id, _, _, hint in keys}),
        key_teams={key_id: team_id for key_id, _, team_id, _ in keys},
    )


def unique(names: Mapping[int, tuple[str, str]]) -> dict[int, str]:
    """id → name, with what tells it apart in brackets where another one is called the same."""
    taken = Counter(name for name, _ in names.values()) + Counter([OTHER])
    return {each: name if taken[name] == 1 else f"{name} ({apart})" for each, (name, apart) in names.items()}
