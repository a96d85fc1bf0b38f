"""What tests of budgets share."""

from datetime import datetime
from typing import Any

from budgets.models import Budget
from budgets.services import Measure, budget_create
from tenants.access import organization_scope
from tenants.models import Team, VirtualKey
from tests.factories import Tenant, utc_now

USD = 10**9


def make_budget(
    tenant: Tenant,
    name: str = "budget",
    *,
    limit: int = 100 * USD,
    team: Team | None = None,
    key: VirtualKey | None = None,
    period: str = "month",
    timezone: str = "UTC",
    thresholds: tuple[int, ...] = (50, 80, 100),
    now: datetime | None = None,
    **measure: Any,
) -> Budget:
    """A budget on the key, the team or else the organization."""
    scope = "virtual_key" if key else "team" if team else "organization"
    with organization_scope(tenant.id):
        return budget_create(
            organization=tenant.organization,
            name=name,
            measure=Measure(scope, team, key, period, timezone, **measure),
            limit=limit,
            thresholds=list(thresholds),
            actor=tenant.owner,
            now=now or utc_now(),
        )
