"""`python -m tests.flows.tenant --slug S …`: an organization with a month's budget and both channels, as JSON."""

import argparse
import json
import os
import sys
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

from alerts.services import channel_create  # noqa: E402
from budgets.services import budget_create  # noqa: E402
from budgets.terms import Measure  # noqa: E402
from tenants.access import organization_scope  # noqa: E402
from tests.factories import PASSWORD, make_tenant, make_token, utc_now  # noqa: E402


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    now = utc_now()
    tenant = make_tenant(options.slug)
    organization, owner = tenant.organization, tenant.owner
    with organization_scope(tenant.id):
        budget_create(
            organization=organization,
            name="The whole month",
            measure=Measure("organization", None, None, "month", "UTC"),
            limit=options.limit_nano,
            thresholds=[50, 80, 100],
            actor=owner,
            # So that yesterday's usage counts on the first of a month as well.
            now=now - timedelta(days=2),
        )
        channel_create(
            organization=organization, kind="email", name="Mail", recipients=[owner.email], actor=owner, now=now
        )
        channel_create(organization=organization, kind="slack", name="Slack", url=options.slack, actor=owner, now=now)
    token = make_token(tenant, "usage:read", "alerts:read", "budgets:read")
    made = {
        "key": tenant.secret,
        "email": owner.email,
        "password": PASSWORD,
        "token": token["Authorization"].removeprefix("Bearer "),
    }
    json.dump(made, sys.stdout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slug", required=True)
    parser.add_argument("--slack", required=True)
    parser.add_argument("--limit-nano", type=int, required=True)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
