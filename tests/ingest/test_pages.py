"""The page that says whether figures are up to date."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client

from ingest import inbox, pipeline
from ingest.schema import parse_events
from ingest.selectors import IngestStatus
from ingest.views import health
from tenants.access import organization_scope
from tenants.models import User
from tenants.roles import Role
from tests.factories import Tenant, make_member
from tests.ingest.payloads import event


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def accept(tenant: Tenant, count: int, now: datetime) -> None:
    _, reported = parse_events([event() for _ in range(count)], pointers=[""] * count, now=now)
    with organization_scope(tenant.id):
        inbox.accept(organization_id=tenant.id, events={tenant.key.id: reported}, now=now)


def fail(tenant: Tenant, error: str) -> None:
    with organization_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("UPDATE ingest_inbox SET attempts = 1, error = %s", [error])


def test_nothing_waits(tenant: Tenant, prices: None, now: datetime) -> None:
    accept(tenant, 3, now)
    pipeline.settle_waiting(now)
    client = signed_in(tenant.owner)
    assert "Up to date" in client.get("/o/acme/ingestion/tile").content.decode()
    page = client.get("/o/acme/ingestion").content.decode()
    assert "Nothing waits" in page
    assert "just now" in page


def test_what_waits_is_counted_with_its_age(tenant: Tenant, now: datetime) -> None:
    accept(tenant, 3, now - timedelta(minutes=3))
    tile = signed_in(tenant.owner).get("/o/acme/ingestion/tile").content.decode()
    assert "3 min" in tile
    assert "3 waiting" in tile
    assert "Behind" in tile


def test_another_organization_does_not_count(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    accept(stranger, 3, now)
    assert "waiting" not in signed_in(tenant.owner).get("/o/acme/ingestion/tile").content.decode()


def test_an_error_is_for_those_who_can_act_on_it(tenant: Tenant, now: datetime) -> None:
    accept(tenant, 1, now)
    fail(tenant, "DataError: <b>numeric</b>")
    owner = signed_in(tenant.owner).get("/o/acme/ingestion").content.decode()
    viewer = signed_in(make_member(tenant, Role.VIEWER)).get("/o/acme/ingestion").content.decode()
    assert "Needs attention" in owner
    assert "Needs attention" in viewer
    assert "DataError: &lt;b&gt;" in owner
    assert "DataError" not in viewer


def test_asked_for_by_htmx_it_is_a_part(tenant: Tenant) -> None:
    part = signed_in(tenant.owner).get("/o/acme/ingestion", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "Last settled" in part


@pytest.mark.parametrize(
    ("waiting", "failing", "age", "text"),
    [(0, 0, 0, "Up to date"), (1, 0, 3, "Settling"), (1, 0, 61, "Behind"), (2, 1, 61, "Needs attention")],
)
def test_health(waiting: int, failing: int, age: int, text: str) -> None:
    assert health(IngestStatus(waiting, waiting, failing, age, None, ""))[0] == text
