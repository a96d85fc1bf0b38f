"""The page that says whether figures are up to date."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client

from ingest import inbox, pipeline
from ingest.schema import parse_events
from ingest.selectors import IngestStatus, ingest_status, key_health, refusals, source_health
from ingest.turned_away import turned_away
from ingest.views import health, silence
from tenants.access import organization_scope
from tenants.models import User
from tenants.roles import Role
from tests.factories import Tenant, make_member
from tests.ingest.payloads import event
from usage.tasks import make_partitions_ahead


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


def take(tenant: Tenant, source: str, received_at: datetime, count: int = 1) -> None:
    """Accepted by this source at that time, and settled."""
    _, reported = parse_events([event() for _ in range(count)], pointers=[""] * count, now=datetime.now(UTC))
    with organization_scope(tenant.id):
        events = {tenant.key.id: reported}
        inbox.accept(organization_id=tenant.id, events=events, source=source, now=received_at)
    pipeline.settle_waiting(datetime.now(UTC))


def test_each_source_says_how_it_is(tenant: Tenant, stranger: Tenant, prices: None, now: datetime) -> None:
    take(tenant, "otlp", now, 3)
    take(tenant, "otlp", now - timedelta(hours=5), 4)
    take(tenant, "litellm", now - timedelta(days=3), 2)
    take(stranger, "import", now)
    accept(tenant, 6, now)
    with organization_scope(tenant.id):
        sources = {each.source: each for each in source_health(organization_id=tenant.id, now=now)}
        keys = [(each.source, each.events_day) for each in key_health(organization_id=tenant.id, now=now)]
    assert set(sources) == {"otlp", "litellm", "native"}
    assert (sources["otlp"].events_hour, sources["otlp"].events_day, sources["otlp"].last_received_at) == (3, 7, now)
    assert (sources["litellm"].events_day, sources["native"].events_day) == (0, 6)  # what waits came in as well
    assert keys[0] == ("litellm", 0)
    assert sorted(keys[1:]) == [("native", 6), ("otlp", 7)]
    page = signed_in(tenant.owner).get("/o/acme/ingestion").content.decode()
    assert "Silent" in page
    assert "Sending" in page
    assert "import" not in page


def test_refusals_and_duplicates_by_reason(committed_tenant: Tenant, committed_prices: None, now: datetime) -> None:
    tenant = committed_tenant
    turned_away.flush()
    for reason, events in (("validation-error", 0), ("validation-error", 0), ("rate-limited", 0), ("duplicate", 5)):
        turned_away.note(
            organization_id=tenant.id, source="otlp", credential_id=tenant.key.id, reason=reason, now=now, events=events
        )
    turned_away.flush()
    with organization_scope(tenant.id):
        (source,) = source_health(organization_id=tenant.id, now=now)
        found = refusals(organization_id=tenant.id, now=now)
    assert (source.duplicates_day, source.refused_day) == (5, {"validation-error": 2, "rate-limited": 1})
    assert [(each.credential, each.reason, each.requests) for each in found] == [
        ("first key", "validation-error", 2),
        ("first key", "rate-limited", 1),
    ]
    page = signed_in(tenant.owner).get("/o/acme/ingestion").content.decode()
    assert "All refused" in page
    assert "rate-limited" in page
    metrics = Client().get("/metrics").content.decode()
    assert 'costhub_refused_requests_total{reason="validation-error",source="otlp"} 2.0' in metrics
    assert 'costhub_duplicate_events_total{source="otlp"} 5.0' in metrics
    assert "acme" not in metrics


def test_a_failing_batch_is_listed_with_its_next_attempt(tenant: Tenant, now: datetime) -> None:
    accept(tenant, 2, now)
    fail(tenant, "DataError: numeric")
    page = signed_in(tenant.owner).get("/o/acme/ingestion").content.decode()
    assert "Next attempt" in page
    assert "first key" in page


@pytest.mark.parametrize(
    ("age", "text"),
    [(timedelta(0), "Sending"), (timedelta(minutes=61), "Quiet"), (timedelta(hours=25), "Silent")],
)
def test_silence(now: datetime, age: timedelta, text: str) -> None:
    assert silence(now - age, now)[0] == text


def test_the_rate_of_the_last_minute(tenant: Tenant, prices: None, now: datetime) -> None:
    take(tenant, "native", now, 7)
    with organization_scope(tenant.id):
        assert ingest_status(organization_id=tenant.id, now=datetime.now(UTC)).settled_last_minute == 7
        later = datetime.now(UTC) + timedelta(minutes=2)
        assert ingest_status(organization_id=tenant.id, now=later).settled_last_minute == 0


def ready(client: Client) -> tuple[int, dict[str, object]]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


def test_ready_while_settling_keeps_up(tenant: Tenant, prices: None, client: Client, now: datetime) -> None:
    take(tenant, "native", now, 7)
    make_partitions_ahead()
    status, body = ready(client)
    assert (status, body["status"], body["settled_last_minute"]) == (200, "ready", 7)
    assert body["partitions_ahead"] == 2


def test_not_ready_when_usage_waits(tenant: Tenant, client: Client, now: datetime) -> None:
    accept(tenant, 3, now - timedelta(seconds=90))
    status, body = ready(client)
    assert (status, body["status"], body["waiting_events"]) == (503, "settling is behind", 3)
    assert "costhub_lag_seconds 9" in client.get("/metrics").content.decode()


def test_a_bad_batch_takes_the_product_from_nobody(tenant: Tenant, client: Client, now: datetime) -> None:
    accept(tenant, 3, now - timedelta(minutes=4))
    fail(tenant, "DataError")
    status, body = ready(client)
    assert (status, body["failing_batches"]) == (200, 1)
    assert 'costhub_inbox_batches{state="failing"} 1.0' in client.get("/metrics").content.decode()


def test_what_has_no_price_is_in_the_metrics(tenant: Tenant, prices: None, client: Client, now: datetime) -> None:
    _, reported = parse_events([event(model="nobody-knows-it")], pointers=[""], now=now)
    with organization_scope(tenant.id):
        inbox.accept(organization_id=tenant.id, events={tenant.key.id: reported}, now=now)
    pipeline.settle_waiting(now)
    assert "costhub_unpriced_requests 1.0" in client.get("/metrics").content.decode()
