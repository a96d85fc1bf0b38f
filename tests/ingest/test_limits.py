"""Limits per credential and organization, and the bound of the inbox: what is refused, what it hears, what stays."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from common.rate_counters import counters
from ingest import limits, pressure
from ingest.models import Claim, InboxBatch
from ingest.turned_away import turned_away
from tenants.access import organization_scope
from tests.factories import Tenant, make_key, make_token
from tests.ingest.payloads import event


@pytest.fixture(autouse=True)
def afresh(settings: Any) -> Iterator[None]:
    """Quotas are read once per process, and what waits is looked at once a second."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    limits._quotas.cache_clear()
    limits._policy.cache_clear()
    pressure.inbox.look_again()


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets quotas, e.g. `key_requests=3`, of buckets that refill so slowly that a test sees no unit come back."""

    def given(**amounts: int) -> None:
        quotas = tuple(
            replace(quota, amount=amounts.get(quota.name.replace("-", "_"), quota.amount), seconds=3600)
            for quota in limits._quotas()
        )
        monkeypatch.setattr(limits, "_quotas", cache(lambda: quotas))

    return given


def send(client: Client, bearer: dict[str, str], *events: Any, body: str | None = None) -> Any:
    text = body if body is not None else json.dumps({"events": list(events)})
    return client.post("/api/v1/events", text, content_type="application/json", headers=bearer)


def stored(tenant: Tenant) -> tuple[int, int]:
    with organization_scope(tenant.id):
        return Claim.objects.count(), InboxBatch.objects.count()


def slug(response: Any) -> str:
    return str(response.json()["type"]).rsplit("/", 1)[-1]


def test_every_answer_says_where_the_caller_stands(tenant: Tenant, client: Client) -> None:
    known = event()
    for response, status in (
        (send(client, tenant.bearer, known), 202),
        (send(client, tenant.bearer, known), 202),
        (send(client, tenant.bearer, known | {"model": "other"}), 409),
        (send(client, tenant.bearer, event(id="")), 422),
        (send(client, tenant.bearer, body="{"), 400),
    ):
        assert response.status_code == status
        assert response["RateLimit-Policy"] == (
            '"key-requests";q=2000;w=1, "key-events";q=200000;w=1;qu="events",'
            ' "organization-requests";q=5000;w=1, "organization-events";q=500000;w=1;qu="events"'
        )
        assert response["RateLimit"].startswith('"key-requests";r=19')
        assert response["RateLimit"].count(";t=") == 4


def test_a_stranger_learns_no_limits(client: Client, db: None) -> None:
    response = send(client, {"Authorization": "Bearer nonsense"}, event())
    assert response.status_code == 401
    assert "RateLimit" not in response


def test_a_key_past_its_limit_is_refused_and_another_goes_on(
    tenant: Tenant, client: Client, limit: Callable[..., None]
) -> None:
    limit(key_requests=3)
    _, other = make_key(tenant, "another")
    answers = [send(client, tenant.bearer, event()) for _ in range(10)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 7
    assert slug(refused[0]) == "rate-limited"
    assert refused[0].json()["limit"] == "key-requests"
    assert 1100 < int(refused[0]["Retry-After"]) <= 1200
    assert '"key-requests";r=0;t=3600' in refused[0]["RateLimit"]
    assert stored(tenant) == (3, 3)
    assert send(client, {"Authorization": f"Bearer {other}"}, event()).status_code == 202


def test_bodies_nobody_can_read_count_too(tenant: Tenant, client: Client, limit: Callable[..., None]) -> None:
    limit(key_requests=2)
    assert [send(client, tenant.bearer, body="{").status_code for _ in range(3)] == [400, 400, 429]


def test_a_key_is_limited_by_its_events_too(tenant: Tenant, client: Client, limit: Callable[..., None]) -> None:
    limit(key_events=1000)
    assert send(client, tenant.bearer, *(event() for _ in range(900))).status_code == 202
    refused = send(client, tenant.bearer, *(event() for _ in range(900)))
    assert (refused.status_code, refused.json()["limit"]) == (429, "key-events")
    assert stored(tenant)[0] == 900


def test_an_organization_is_limited_over_all_its_credentials(
    tenant: Tenant, stranger: Tenant, client: Client, limit: Callable[..., None]
) -> None:
    limit(organization_requests=2)
    token = make_token(tenant, "usage:write")
    named = {"virtual_key": str(tenant.key.id)}
    statuses = [
        send(client, tenant.bearer, event()).status_code,
        send(client, token, event(**named)).status_code,
        send(client, tenant.bearer, event()).status_code,
        send(client, token, event(**named)).status_code,
    ]
    assert statuses == [202, 202, 429, 429]
    assert send(client, stranger.bearer, event()).status_code == 202


def test_without_redis_limits_still_hold(
    tenant: Tenant, client: Client, settings: Any, limit: Callable[..., None]
) -> None:
    limit(key_requests=2)
    settings.REDIS_URL = "unix:///tmp/there-is-no-redis.sock"
    counters.cache_clear()
    try:
        statuses = [send(client, tenant.bearer, event()).status_code for _ in range(4)]
    finally:
        counters.cache_clear()
    assert statuses == [202, 202, 429, 429]


def waiting(tenant: Tenant, *, events: int = 1, received_at: datetime, attempts: int = 0) -> None:
    with organization_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_inbox (organization_id, id, received_at, not_before, virtual_key_id, events, payload,"
            " attempts) VALUES (%s, (random() * 1e15)::bigint, %s, %s, %s, %s, '\\x90', %s)",
            [tenant.id, received_at, received_at, tenant.key.id, events, attempts],
        )


def test_a_full_inbox_puts_everybody_off(
    tenant: Tenant, stranger: Tenant, client: Client, settings: Any, now: datetime
) -> None:
    settings.INBOX_MAX_EVENTS = 100
    waiting(stranger, events=100, received_at=now)
    response = send(client, tenant.bearer, event())
    assert (response.status_code, slug(response)) == (503, "ingestion-overloaded")
    assert response["Retry-After"] == "10"
    assert response["RateLimit"]
    assert stored(tenant) == (0, 0)


def test_an_organization_that_floods_the_inbox_puts_only_itself_off(
    tenant: Tenant, stranger: Tenant, client: Client, settings: Any, now: datetime
) -> None:
    settings.INBOX_ORGANIZATION_MAX_EVENTS = 100
    waiting(stranger, events=100, received_at=now)
    assert send(client, stranger.bearer, event()).status_code == 503
    assert send(client, tenant.bearer, event()).status_code == 202


@pytest.mark.parametrize(
    ("minutes", "attempts", "status"),
    [(14, 0, 202), (16, 0, 503), (16, 1, 202)],  # one that was set aside holds nobody up
)
def test_usage_that_waits_too_long_puts_its_organization_off(
    tenant: Tenant, client: Client, now: datetime, minutes: int, attempts: int, status: int
) -> None:
    waiting(tenant, received_at=now - timedelta(minutes=minutes), attempts=attempts)
    assert send(client, tenant.bearer, event()).status_code == status


def test_reads_go_on_while_the_inbox_is_full(tenant: Tenant, client: Client, settings: Any, now: datetime) -> None:
    settings.INBOX_MAX_EVENTS = 1
    waiting(tenant, received_at=now)
    assert client.get("/api/v1/me", headers=tenant.bearer).status_code == 200


def test_the_backlog_is_asked_for_once_a_second(tenant: Tenant, client: Client, django_assert_num_queries: Any) -> None:
    pressure.inbox.backlog()
    with django_assert_num_queries(0):
        for _ in range(100):
            pressure.inbox.backlog()


def turned_away_rows(tenant: Tenant) -> set[tuple[str, str, int, int]]:
    turned_away.flush()
    with organization_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SELECT source, reason, requests, events FROM ingest_turned_away")
        return set(cursor.fetchall())


def test_what_is_turned_away_is_counted_by_reason(
    committed_tenant: Tenant, client: Client, limit: Callable[..., None]
) -> None:
    tenant, known = committed_tenant, event()
    limit(key_requests=5)
    turned_away.flush()
    send(client, tenant.bearer, known)
    send(client, tenant.bearer, known, known)
    send(client, tenant.bearer, known | {"model": "other"})
    send(client, tenant.bearer, event(id=""))
    send(client, tenant.bearer, body="{")
    assert send(client, tenant.bearer, event()).status_code == 429
    expected = {
        ("native", "duplicate", 1, 2), ("native", "event-conflict", 1, 0), ("native", "validation-error", 1, 0),
        ("native", "malformed-json", 1, 0), ("native", "rate-limited", 1, 0),
    }  # fmt: skip
    assert turned_away_rows(tenant) == expected
    send(client, tenant.bearer, body="{")
    assert ("native", "rate-limited", 2, 0) in turned_away_rows(tenant)


@pytest.fixture
def full_disk(committed_tenant: Tenant) -> Iterator[None]:
    """Postgres answers as it does when it cannot extend the inbox: SQLSTATE 53100."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        cursor.execute("CREATE TRIGGER no_room BEFORE INSERT ON ingest_inbox FOR EACH ROW EXECUTE FUNCTION no_room()")
    yield
    with connections["owner"].cursor() as cursor:
        cursor.execute("DROP TRIGGER no_room ON ingest_inbox")
        cursor.execute("DROP FUNCTION no_room()")


def test_a_full_disk_is_a_state_and_stores_no_half(committed_tenant: Tenant, full_disk: None, client: Client) -> None:
    response = send(client, committed_tenant.bearer, event(), event())
    assert (response.status_code, slug(response)) == (503, "unavailable")
    assert "no room" in response.json()["detail"]
    assert response["Retry-After"] == "30"
    assert response["RateLimit"]
    assert stored(committed_tenant) == (0, 0)
