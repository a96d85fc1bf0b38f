"""`python -m tests.faults.tenant [SLUG]`: an organization with budgets and a key, as JSON of what a client needs."""

import json
import os
import sys
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

from budgets.services import budget_create  # noqa: E402
from budgets.terms import Measure  # noqa: E402
from tenants.access import organization_scope  # noqa: E402
from tests.factories import make_tenant, make_token, utc_now  # noqa: E402


def main() -> None:
    slug = sys.argv[1] if len(sys.argv) > 1 else "faults"
    tenant = make_tenant(slug, timezone="Europe/Berlin")
    # Usage is reported an hour after it was: its day may be yesterday.
    made_at = utc_now() - timedelta(days=2)
    with organization_scope(tenant.id):
        for measure in (
            Measure("organization", None, None, "month", "Europe/Berlin"),
            Measure("team", tenant.team, None, "week", "Asia/Kolkata"),
            Measure("virtual_key", None, tenant.key, "day", "UTC"),
        ):
            budget_create(
                organization=tenant.organization, name=measure.scope_type, measure=measure, limit=10**6,
                thresholds=[50, 100], actor=tenant.owner, now=made_at,
            )  # fmt: skip
    token = make_token(tenant, "keys:read")["Authorization"].removeprefix("Bearer ")
    made = {"organization": str(tenant.id), "slug": slug, "secret": tenant.secret, "key": str(tenant.key.id)}
    print(json.dumps(made | {"token": token}))


if __name__ == "__main__":
    main()
