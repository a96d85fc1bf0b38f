"""Bills and usage for tests of reconciliation."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.test import Client

from ingest import inbox, pipeline
from ingest.schema import parse_events
from reconciliation.exports.reading import items_of
from reconciliation.services import Uploaded, billed_usage_store
from tenants.access import organization_scope
from tenants.models import User
from tests.factories import Tenant
from tests.ingest.payloads import event
from tests.reconciliation.exports import bucket, cost, page

MODEL = "gpt-4.1-nano"
# Of one `event()`: 1,200 uncached, 300 cached and 250 output tokens of gpt-4.1-nano.
COST = 227_500
COST_USD = "0.0002275"


def yesterday(now: datetime) -> date:
    return now.date() - timedelta(days=1)


def use(tenant: Tenant, day: date, events: int, now: datetime, *, hour: int = 10, **fields: Any) -> None:
    at = datetime.combine(day, time(hour), UTC).isoformat()
    _, reported = parse_events([event(time=at, **fields) for _ in range(events)], pointers=[""] * events, now=now)
    with organization_scope(tenant.id):
        inbox.accept(organization_id=tenant.id, events={tenant.key.id: reported}, now=now)
    pipeline.settle_waiting(now)


def bill(tenant: Tenant, day: date, usd: str, now: datetime, line_item: str | None = f"{MODEL}, input") -> Uploaded:
    with organization_scope(tenant.id):
        return billed_usage_store(
            organization=tenant.organization, items=items_of(page(bucket(day, cost(usd, line_item)))),
            actor=tenant.owner, now=now,
        )  # fmt: skip


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client
