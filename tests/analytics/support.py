"""Usage for the tests of pages: reported, accepted and settled like real usage, at moments of one's own."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import Client

from ingest import inbox, pipeline
from ingest.schema import parse_events
from tenants.access import organization_scope
from tenants.models import User, VirtualKey
from tests.factories import Tenant
from tests.ingest.payloads import event
from usage.models import UsageEvent


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def at(moment: datetime, **fields: Any) -> dict[str, Any]:
    """An event of this moment (aware)."""
    return event(time=moment.astimezone(UTC).isoformat().replace("+00:00", "Z"), **fields)


def settle(tenant: Tenant, events: Sequence[dict[str, Any]], key: VirtualKey | None = None) -> None:
    """Reports the events in time and settles them."""
    latest = max(datetime.fromisoformat(each["time"]) for each in events) + timedelta(minutes=1)
    _, reported = parse_events(list(events), pointers=[""] * len(events), now=latest)
    with organization_scope(tenant.id):
        inbox.accept(organization_id=tenant.id, events={(key or tenant.key).id: reported}, now=latest)
    pipeline.settle_waiting(latest)


def cost_of_events(tenant: Tenant, start: datetime, end: datetime, **filters: Any) -> int:
    """The exact sum over the events themselves, in nano-USD."""
    with organization_scope(tenant.id):
        found = UsageEvent.objects.filter(organization_id=tenant.id, time__gte=start, time__lt=end, **filters)
        return sum(cost or 0 for cost in found.values_list("cost", flat=True))


def text(response: Any) -> str:
    return str(response.content.decode())
