"""Reads of tenants."""

from dataclasses import dataclass

from django.db import connection

from tenants.models import Organization, Team
from tenants.tree import in_tree_order


def organization_ids() -> list[int]:
    """Every organization, for maintenance; names and everything else stay behind their scopes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM tenants_organization_ids()")
        return [organization_id for (organization_id,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class TeamNode:
    """A team and how deep in the tree it hangs (0: top)."""

    team: Team
    depth: int


def team_tree(organization: Organization) -> list[TeamNode]:
    """All teams, each right under its parent, siblings by name."""
    teams = {team.id: team for team in Team.objects.filter(organization=organization).order_by("name", "id")}
    parents = {team.id: team.parent_id for team in teams.values()}
    return [TeamNode(teams[team_id], depth) for team_id, depth in in_tree_order(parents, teams)]


def team_parents(organization_id: int) -> dict[int, int | None]:
    return dict(Team.objects.filter(organization_id=organization_id).values_list("id", "parent_id"))
