"""`python -m tests.faults.bound ORGANIZATION`: whether the application's role is held to its tenant, as JSON."""

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

from django.db import connection  # noqa: E402

from costhub.preflight import check_database  # noqa: E402
from tenants.access import organization_scope  # noqa: E402
from usage.models import UsageEvent  # noqa: E402


def main() -> None:
    check_database()
    organization_id = int(sys.argv[1])
    with organization_scope(organization_id):
        own = UsageEvent.objects.count()
    with organization_scope(organization_id + 1):
        foreign = UsageEvent.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, (SELECT count(*) FROM pg_policies), (SELECT count(*) FROM pg_class"
            " WHERE relforcerowsecurity), (SELECT count(*) FROM tenants_organization_ids())"
        )
        role, policies, forced, organizations = cursor.fetchone()
    unscoped = UsageEvent.objects.count()
    report = {
        "role": role, "own": own, "foreign": foreign, "unscoped": unscoped, "policies": policies, "forced": forced,
        "organizations": organizations,
    }  # fmt: skip
    print(json.dumps(report))


if __name__ == "__main__":
    main()
