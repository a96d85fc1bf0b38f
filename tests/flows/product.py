"""Makes what a replay needs in a running product's database; prints it as JSON. Run by tests as a process of its own,
because only there do the settings speak of that database."""

import argparse
import json
import sys

import django


def main(arguments: list[str]) -> None:
    django.setup()
    # Only after `setup` can models be imported.
    from alerts.services import channel_create
    from budgets.services import Measure, budget_create
    from tenants.access import organization_scope
    from tests.factories import PASSWORD, make_tenant, make_token, utc_now

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
            now=now,
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
