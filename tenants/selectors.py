"""Reads of tenants."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max

from tenants import tokens
from tenants.access import organization_scope
from tenants.models import (
    AccessToken,
    AuditEntry,
    CredentialState,
    Invitation,
    Membership,
    Organization,
    RetiredSecret,
    Team,
    VirtualKey,
)
from tenants.tree import in_tree_order


def organization_ids() -> list[int]:
    """Every organization, for maintenance; names and everything else stay behind their scopes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM tenants_organization_ids()")
        return [organization_id for (organization_id,) in cursor.fetchall()]


def organization_of_slug(slug: str) -> Organization | None:
    """For the operator's commands, which have no member to come in as."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenants_organization_id(%s)", [slug])
        (organization_id,) = cursor.fetchone()
    if organization_id is None:
        return None
    with organization_scope(organization_id):
        return Organization.objects.get(id=organization_id)


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


def team_list(*, organization_id: int, after_id: int, limit: int) -> list[Team]:
    """Teams in the order they were made, so that a parent comes before its children."""
    return list(Team.objects.filter(organization_id=organization_id, id__gt=after_id).order_by("id")[:limit])


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """What to show of the keys; None shows all."""

    team_ids: Collection[int] | None = None
    state: str | None = None


def key_list(
    *, organization_id: int, narrowed: KeyFilter, now: datetime, limit: int, before_id: int | None = None
) -> list[VirtualKey]:
    """Virtual keys, newest first, with their teams and makers."""
    found = VirtualKey.objects.filter(organization_id=organization_id)
    if narrowed.state is not None:
        found = found.in_state(narrowed.state, now)
    if narrowed.team_ids is not None:
        found = found.filter(team_id__in=narrowed.team_ids)
    if before_id is not None:
        found = found.filter(id__lt=before_id)
    return list(found.select_related("team", "created_by").order_by("-id")[:limit])


def active_keys_by_team(*, organization_id: int, now: datetime) -> dict[int, int]:
    """Team id → how many working keys it has of its own."""
    active = VirtualKey.objects.filter(organization_id=organization_id).in_state(CredentialState.ACTIVE, now)
    return dict(active.values("team_id").annotate(keys=Count("id")).values_list("team_id", "keys"))


def grace_ends(*, organization_id: int, keys: Collection[VirtualKey], now: datetime) -> dict[int, datetime]:
    """Key id → when the last of its retired secrets stops working, for keys in the middle of a rotation."""
    retired = RetiredSecret.objects.filter(organization_id=organization_id, virtual_key__in=keys, ends_at__gt=now)
    return dict(retired.values("virtual_key_id").annotate(last=Max("ends_at")).values_list("virtual_key_id", "last"))


def token_list(*, organization_id: int) -> list[AccessToken]:
    found = AccessToken.objects.filter(organization_id=organization_id)
    return list(found.select_related("created_by").order_by("-id"))


def member_list(*, organization_id: int, after_id: int = 0, limit: int | None = None) -> list[Membership]:
    """Members with their users, in the order they joined."""
    found = Membership.objects.filter(organization_id=organization_id, id__gt=after_id)
    return list(found.select_related("user").order_by("id")[:limit])


def audit_list(*, organization_id: int, limit: int, before_id: int | None = None) -> list[AuditEntry]:
    """The audit trail, newest first."""
    found = AuditEntry.objects.filter(organization_id=organization_id)
    if before_id is not None:
        found = found.filter(id__lt=before_id)
    return list(found.order_by("-id")[:limit])


def invitation_of(text: str) -> Invitation | None:
    """The invitation this token was made for, whatever its state, with organization and inviter; None for no token."""
    token = tokens.parse_token(text)
    if token is None or token.prefix != tokens.INVITATION_PREFIX:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT organization_id, id, digest FROM tenants_open_invitation(%s)", [token.public_id])
        rows = cursor.fetchall()
    for organization_id, invitation_id, digest in rows:
        if token.matches(bytes(digest), settings.KEY_PEPPER):
            with organization_scope(organization_id):
                return Invitation.objects.select_related("organization", "invited_by").get(
                    organization_id=organization_id, id=invitation_id
                )
    return None
