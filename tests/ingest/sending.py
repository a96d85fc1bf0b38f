"""Sending to the endpoints of other tools' formats, and what then waits in the inbox."""

import json
from typing import Any

import msgspec
from django.test import Client

from ingest.models import Claim, InboxBatch
from tenants.access import organization_scope
from tests.factories import Tenant
from usage.records import Reported

JSON = "application/json"
_events = msgspec.msgpack.Decoder(list[Reported])


def post(client: Client, tenant: Tenant, path: str, body: Any, content_type: str = JSON, **headers: str) -> Any:
    """Posts with the tenant's key, or with the Authorization given."""
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    # CONTENT_TYPE once more, because Django's client leaves it out when the body is empty.
    return client.generic(
        "POST", path, data, content_type, headers={**tenant.bearer, **headers}, CONTENT_TYPE=content_type
    )


def waiting(tenant: Tenant) -> list[Reported]:
    """The events in the inbox, by id."""
    with organization_scope(tenant.id):
        batches = [bytes(payload) for payload in InboxBatch.objects.values_list("payload", flat=True)]
    return sorted((event for batch in batches for event in _events.decode(batch)), key=lambda event: event.id)


def sources(tenant: Tenant) -> set[str]:
    with organization_scope(tenant.id):
        return set(InboxBatch.objects.values_list("source", flat=True))


def assert_refused(response: Any, status: int, slug: str, tenant: Tenant) -> list[tuple[str, str]]:
    """A problem and nothing stored; its (pointer, code) pairs."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == f"https://costhub.dev/problems/{slug}"
    with organization_scope(tenant.id):
        assert (Claim.objects.count(), InboxBatch.objects.count()) == (0, 0)
    return [(fault["pointer"], fault["code"]) for fault in problem.get("errors", ())]
