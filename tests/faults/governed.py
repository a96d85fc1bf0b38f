"""`python -m tests.faults.governed`: an organization whose budgets are hard, and keys below them, as JSON.

Two budgets are so tight that calls are refused from the beginning: the first key's and the lower team's.
"""

import json
import os
from dataclasses import replace

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

from budgets.models import Budget  # noqa: E402
from budgets.services import budget_create  # noqa: E402
from budgets.terms import Measure, Terms  # noqa: E402
from tenants.access import organization_scope  # noqa: E402
from tenants.models import Team, VirtualKey  # noqa: E402
from tests.factories import Tenant, make_key, make_team, make_tenant, make_token, utc_now  # noqa: E402
from tests.faults.caller import HELD  # noqa: E402

HARD = Terms(enforcement="hard", when_unavailable="closed")
# What was not reported in time counts in full, so that nothing but a Redis that forgets lets calls pass the limit.
TO_THE_LAST = replace(HARD, abandoned="full")
# Nano-USD. A call that uses up the wide ones is still one that may be asked for.
ORGANIZATION, UPPER_TEAM, TIGHT = 5 * 10**9, 4 * 10**9, 3 * HELD


def main() -> None:
    tenant = make_tenant("governed", timezone="Europe/Berlin")
    lower, beside = make_team(tenant, "Lower", tenant.team), make_team(tenant, "Beside")
    _, upper_secret = make_key(tenant, "upper")
    _, lower_secret = make_key(tenant, "lower", lower)
    _, beside_secret = make_key(tenant, "beside", beside)
    limited = [
        _budget(tenant, ORGANIZATION, "month"),
        _budget(tenant, UPPER_TEAM, "week", team=tenant.team),
        _budget(tenant, TIGHT, "month", team=lower),
        _budget(tenant, TIGHT, "day", key=tenant.key),
    ]
    wide, upper, tight_team, tight_key = (str(budget.id) for budget in limited)
    keys = {
        tenant.secret: [wide, upper, tight_key],
        upper_secret: [wide, upper],
        lower_secret: [wide, upper, tight_team],
        beside_secret: [wide],
    }
    print(
        json.dumps(
            {
                "organization": str(tenant.id), "keys": keys, "tight": [tight_team, tight_key],
                "token": make_token(tenant, "budgets:read", "budgets:write")["Authorization"],
            }
        )
    )  # fmt: skip


def _budget(
    tenant: Tenant, limit: int, period: str, *, team: Team | None = None, key: VirtualKey | None = None
) -> Budget:
    scope = "virtual_key" if key else "team" if team else "organization"
    with organization_scope(tenant.id):
        return budget_create(
            organization=tenant.organization, name=f"{scope} by {period}", limit=limit, thresholds=[],
            terms=TO_THE_LAST if limit == TIGHT else HARD,
            measure=Measure(scope, team, key, period, "UTC"), actor=tenant.owner, now=utc_now(),
        )  # fmt: skip


if __name__ == "__main__":
    main()
