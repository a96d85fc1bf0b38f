"""Organizations for the benchmarks, and what is asked of the database beside the product."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection

from budgets.services import budget_create
from budgets.terms import Measure
from tenants.access import organization_scope
from tenants.models import Organization, Team, User, VirtualKey
from tenants.services import access_token_issue, organization_create, virtual_key_issue

ZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A fresh organization with a budget on everything, so that settling has all its steps to do."""

    organization: Organization
    team: Team
    key: VirtualKey
    secret: str
    token: str

    @property
    def id(self) -> int:
        return self.organization.id


def make_tenant(name: str) -> Tenant:
    now = datetime.now(UTC)
    owner = User.objects.create_user(email=f"{name}-{now.timestamp()}@example.com")
    organization = organization_create(name=name, owner=owner, timezone=ZONE, now=now)
    with organization_scope(organization.id):
        team = Team.objects.get(organization=organization)
        key, secret = virtual_key_issue(team=team, name="bench", actor=owner, now=now)
        _, token = access_token_issue(
            organization=organization, name="bench", scopes=frozenset({"usage:read"}), actor=owner, now=now
        )
        for measure in _measures(team, key):
            budget_create(
                organization=organization, name=f"{measure.scope_type} {measure.period}", measure=measure,
                limit=10**15, thresholds=[50, 80, 100], actor=owner, now=now,
            )  # fmt: skip
    return Tenant(organization, team, key, secret, token)


def _measures(team: Team, key: VirtualKey) -> list[Measure]:
    return [
        Measure("organization", None, None, "month", ZONE),
        Measure("team", team, None, "week", ZONE),
        Measure("virtual_key", None, key, "day", ZONE),
    ]


def is_waiting(organization_id: int) -> bool:
    """Whether something of the organization is accepted and not settled."""
    with organization_scope(organization_id), connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM ingest_inbox WHERE organization_id = %s)", [organization_id])
        return bool(cursor.fetchone()[0])
