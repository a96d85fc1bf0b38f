"""Objects for tests, made through the product's own services."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tenants.access import organization_scope
from tenants.models import Membership, Organization, Team, User, VirtualKey
from tenants.roles import Role
from tenants.services import access_token_issue, organization_create, team_create, virtual_key_issue

PASSWORD = "correct horse battery"


@dataclass
class Tenant:
    """An organization as tests need it: `key` and `secret` are a live virtual key of `team`."""

    organization: Organization
    owner: User
    team: Team
    key: VirtualKey
    secret: str

    @property
    def id(self) -> int:
        return self.organization.id

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}


def utc_now() -> datetime:
    return datetime.now(UTC)


def make_user(email: str) -> User:
    return User.objects.create_user(email=email, password=PASSWORD)


def make_tenant(slug: str, *, timezone: str = "UTC") -> Tenant:
    owner = make_user(f"owner@{slug}.example")
    organization = organization_create(name=slug.capitalize(), owner=owner, timezone=timezone, now=utc_now(), slug=slug)
    with organization_scope(organization.id):
        team = Team.objects.get(organization=organization)
        key, secret = virtual_key_issue(team=team, name="first key", actor=owner, now=utc_now())
    return Tenant(organization, owner, team, key, secret)


def make_member(tenant: Tenant, role: Role, *, email: str | None = None, teams: list[Team] | None = None) -> User:
    user = make_user(email or f"{role}@{tenant.organization.slug}.example")
    with organization_scope(tenant.id):
        Membership.objects.create(
            organization=tenant.organization, user=user, role=role, team_ids=[team.id for team in teams or []]
        )
    return user


def make_team(tenant: Tenant, name: str, parent: Team | None = None) -> Team:
    with organization_scope(tenant.id):
        return team_create(
            organization=tenant.organization, name=name, parent=parent, actor=tenant.owner, now=utc_now()
        )


def make_key(tenant: Tenant, name: str, team: Team | None = None, **options: Any) -> tuple[VirtualKey, str]:
    with organization_scope(tenant.id):
        return virtual_key_issue(team=team or tenant.team, name=name, actor=tenant.owner, now=utc_now(), **options)


def make_token(tenant: Tenant, *scopes: str) -> dict[str, str]:
    """The Authorization header of a new access token with these scopes."""
    with organization_scope(tenant.id):
        _, text = access_token_issue(
            organization=tenant.organization,
            name="automation",
            scopes=frozenset(scopes),
            actor=tenant.owner,
            now=utc_now(),
        )
    return {"Authorization": f"Bearer {text}"}
