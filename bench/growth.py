"""What an authorization and the settling of its usage cost, by the budgets that apply and by those that exist."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from django.db import connections

from bench.report import cost_line
from bench.tenants import Tenant, make_tenant
from bench.workload import bodies
from budgets.models import Budget
from budgets.reservations.authorize import authorize
from budgets.reservations.call import Call
from budgets.reservations.governing import forget_governing
from common.ids import new_id
from ingest import inbox, pipeline
from ingest.schema import parse_events
from pricing.usage_buckets import Buckets
from tenants.access import organization_scope

FEW, MANY = 100, 100_000
ASKED = 1_500
SETTLED = 4_000
ROUNDS = 5
LIMIT = 10**15


def measure() -> None:
    three, ten, few, many = (_tenant(name) for name in ("three", "ten", "few", "many"))
    for tenant, others in ((ten, 0), (few, FEW - 10), (many, MANY - 10)):
        _more_budgets(tenant, 7, scope="feature", value="bench")
        _more_budgets(tenant, others)
    _calm()
    _compare(
        "authorization", _authorizing, (("10 budgets apply", ten, "3 budgets apply", three, 2.0),
        ("100,000 budgets exist", many, "100 budgets exist", few, 1.1)),
    )  # fmt: skip
    _compare("settling an event", _settling, (("100,000 budgets exist", many, "100 budgets exist", few, 1.1),))


def _compare(
    what: str, cost: Callable[[Tenant], float], pairs: tuple[tuple[str, Tenant, str, Tenant, float], ...]
) -> None:
    """In turns, so that what else the machine does meets both; the quietest round of each."""
    for name, tenant, limit_name, limit_tenant, wanted in pairs:
        rounds = [(cost(tenant), cost(limit_tenant)) for _ in range(ROUNDS)]
        own, limit = (min(costs) for costs in zip(*rounds, strict=True))
        cost_line(f"{what}, {name}", own, limit_name, limit, "µs", wanted=wanted)


def _tenant(name: str) -> Tenant:
    tenant = make_tenant(f"Reservations {name}")
    with organization_scope(tenant.id):
        Budget.objects.filter(organization_id=tenant.id).update(enforcement="hard")
    return tenant


def _more_budgets(tenant: Tenant, count: int, *, scope: str = "customer", value: str = "") -> None:
    now = datetime.now(UTC)
    with organization_scope(tenant.id):
        Budget.objects.bulk_create(
            (
                Budget(
                    organization=tenant.organization, name=f"b{number}", scope_type=scope,
                    value=value or f"customer-{new_id()}", limit=LIMIT, period="month", timezone="UTC",
                    enforcement="hard", counts_from=now, created_at=now,
                )
                for number in range(count)
            ),
            batch_size=2_000,
        )  # fmt: skip


def _calm() -> None:
    """What Postgres has to do about so many new rows it does now, not while the clock runs."""
    # The processes of earlier parts have closed the one that they were born with, which was this one.
    connections["owner"].close()
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE budgets_budget")


def _authorizing(tenant: Tenant) -> float:
    """Microseconds of one authorization in this process, all its reading of budgets included."""
    forget_governing()
    started = time.perf_counter()
    for _ in range(ASKED):
        call = Call(
            id=str(new_id()), virtual_key_id=tenant.key.id, team_id=tenant.team.id, provider="openai",
            model="gpt-4.1-nano", asked=Buckets(uncached_input=1200, output=800), feature="bench",
            customer="acme",
        )  # fmt: skip
        authorize(organization_id=tenant.id, call=call, request_id="bench", now=datetime.now(UTC))
    return (time.perf_counter() - started) / ASKED * 1e6


def _settling(tenant: Tenant) -> float:
    """Microseconds to settle one event of a backlog."""
    now = datetime.now(UTC)
    for body in bodies(events=SETTLED, batch=SETTLED, seed=new_id()):
        raw = json.loads(body)["events"]
        _, reported = parse_events(raw, pointers=[""] * len(raw), now=now)
        with organization_scope(tenant.id):
            inbox.accept(organization_id=tenant.id, events={tenant.key.id: reported}, now=now)
    started = time.perf_counter()
    settled = pipeline.settle_organization(tenant.id, now)
    return (time.perf_counter() - started) / settled * 1e6
