"""Networks of keys as they are written: once an hour, by two processes at once, bounded, and never an address."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from random import Random

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries, Settings

from tenants.access import organization_scope
from tenants.authentication import Caller
from tests.factories import Tenant, make_key, make_token
from tests.ingest.payloads import event
from usage import key_networks as module
from usage.key_networks import KeyNetworks, forget_networks, key_networks
from usage.models import KeyNetwork

NOW = datetime(2026, 11, 24, 18, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def nothing_noted() -> Iterator[None]:
    key_networks.forget()
    yield
    key_networks.forget()


def note(tenant: Tenant, address: str, now: datetime = NOW, *, process: KeyNetworks = key_networks) -> None:
    caller = Caller(tenant.id, tenant.key.id, frozenset(), tenant.team.id)
    process.note(RequestFactory().get("/", REMOTE_ADDR=address), caller, now)


def rows(tenant: Tenant) -> dict[str, tuple[datetime, datetime, datetime, int]]:
    with organization_scope(tenant.id):
        found = KeyNetwork.objects.filter(virtual_key_id=tenant.key.id)
        return {
            row.network: (row.first_seen_at, row.last_seen_at, row.appeared_at, row.days)
            for row in found.order_by("pk")
        }


def test_moments_may_come_in_any_order(tenant: Tenant) -> None:
    """Threads read the clock before they come to note, over the turn of an hour too."""
    after = NOW.replace(minute=0, second=0, microsecond=0)
    before = after - timedelta(microseconds=1)
    for moment in (after, before):
        note(tenant, "203.0.113.7", moment)
    key_networks.flush()
    assert rows(tenant)["203.0.113.0/24"][:2] == (before, after)


def test_a_network_is_written_once_an_hour_and_its_days_are_counted(
    tenant: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for minutes in (0, 5, 40, 60):
        note(tenant, "203.0.113.7", NOW + minutes * timedelta(minutes=1))
    key_networks.flush()
    assert rows(tenant) == {"203.0.113.0/24": (NOW, NOW + HOUR, NOW, 1)}
    with django_assert_num_queries(0):
        note(tenant, "203.0.113.99", NOW + HOUR)
        key_networks.flush()
    note(tenant, "203.0.113.7", NOW + DAY)
    key_networks.flush()
    assert rows(tenant) == {"203.0.113.0/24": (NOW, NOW + DAY, NOW, 2)}


def test_what_comes_back_after_a_long_absence_appears_anew(tenant: Tenant) -> None:
    back = NOW + 92 * DAY
    for moment in (NOW, NOW + DAY, back, back + 89 * DAY):
        note(tenant, "2001:db8:1:2::7", moment)
        key_networks.flush()
    assert rows(tenant) == {"2001:db8:1::/48": (NOW, back + 89 * DAY, back, 4)}


def test_two_processes_at_once_write_one_row(committed_tenant: Tenant) -> None:
    """Each with a connection of its own, and with the same networks in another order."""
    addresses = [f"203.0.{number}.7" for number in range(40)]

    def write(number: int) -> None:
        process, random = KeyNetworks(), Random(number)
        for address in random.sample(addresses, len(addresses)):
            note(committed_tenant, address, NOW + number * HOUR, process=process)
        process.flush()
        assert not process._waiting
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    assert set(rows(committed_tenant).values()) == {(NOW, NOW + 7 * HOUR, NOW, 2)}
    assert len(rows(committed_tenant)) == 40


def test_of_a_key_the_networks_used_last_are_kept(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_A_KEY", 3)
    for number in range(5):
        note(tenant, f"203.0.{number}.7", NOW + number * HOUR)
        key_networks.flush()
    note(tenant, "203.0.2.7", NOW + 5 * HOUR)
    note(tenant, "203.0.9.7", NOW + 6 * HOUR)
    key_networks.flush()
    assert set(rows(tenant)) == {"203.0.2.0/24", "203.0.4.0/24", "203.0.9.0/24"}


def test_what_cannot_be_written_is_written_later(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    note(tenant, "203.0.113.7")
    with monkeypatch.context() as away:
        away.setattr(module, "_UPSERT", "SELECT 1 / 0 WHERE %(organization)s > 0")
        key_networks.flush()
    assert rows(tenant) == {}
    note(tenant, "203.0.113.7", NOW + HOUR)
    key_networks.flush()
    assert rows(tenant) == {"203.0.113.0/24": (NOW, NOW + HOUR, NOW, 1)}


def test_memory_is_bounded(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_NOTED", 2)
    for number in range(5):
        note(tenant, f"203.0.{number}.7")
    key_networks.flush()
    assert len(rows(tenant)) == 2
    note(tenant, "203.0.4.7")
    key_networks.flush()
    assert len(rows(tenant)) == 3


def test_a_key_that_is_gone_holds_nobody_up(tenant: Tenant) -> None:
    key_networks.note(
        RequestFactory().get("/", REMOTE_ADDR="203.0.113.7"), Caller(tenant.id, 1, frozenset(), tenant.team.id), NOW
    )
    note(tenant, "198.51.100.7")
    key_networks.flush()
    assert set(rows(tenant)) == {"198.51.100.0/24"}
    with organization_scope(tenant.id):
        assert KeyNetwork.objects.count() == 1


def test_postgres_spells_networks_as_we_do(tenant: Tenant) -> None:
    random = Random(24)
    words = [random.choice((0, 0, 1, 0xDB8, 0x2001, 0xFFFF)) for _ in range(8 * 200)]
    for start in range(0, len(words), 8):
        note(tenant, str(IPv6Address(b"".join(word.to_bytes(2) for word in words[start : start + 8]))))
    key_networks.flush()
    assert len(rows(tenant)) > 50


@pytest.mark.parametrize(
    "network", ["203.0.113.7/32", "203.0.113.7", "203.0.113.0/25", "2001:db8::/64", "2001:DB8::/48"]
)
def test_no_address_can_be_stored(tenant: Tenant, network: str) -> None:
    with organization_scope(tenant.id), pytest.raises(IntegrityError, match="is_no_address"), transaction.atomic():
        KeyNetwork.objects.create(
            organization_id=tenant.id, virtual_key_id=tenant.key.id, network=network, first_seen_at=NOW,
            last_seen_at=NOW, appeared_at=NOW, days=1,
        )  # fmt: skip


def test_what_was_not_used_for_a_year_is_forgotten(tenant: Tenant) -> None:
    note(tenant, "203.0.113.7")
    note(tenant, "198.51.100.7", NOW + HOUR)
    key_networks.flush()
    assert forget_networks(NOW + 365 * DAY + HOUR) == 1
    assert set(rows(tenant)) == {"198.51.100.0/24"}


def test_another_organization_sees_nothing(tenant: Tenant, stranger: Tenant) -> None:
    note(tenant, "203.0.113.7")
    key_networks.flush()
    with organization_scope(stranger.id):
        assert not KeyNetwork.objects.exists()


ENDPOINTS = {
    "/api/v1/events": "application/json",
    "/api/v1/events?x=1": "application/cloudevents+json",
    "/api/v1/litellm": "application/json",
    "/v1/traces": "application/json",
    "/v1/logs": "application/x-protobuf",
    "/v1/metrics": "application/json",
    "/api/v1/authorizations": "application/json",
}


def test_every_way_in_notes_where_the_key_was_used(tenant: Tenant) -> None:
    """Also for what is refused: whoever asks has the key."""
    for number, (path, media_type) in enumerate(ENDPOINTS.items()):
        client = Client(REMOTE_ADDR=f"203.0.{number}.7")
        answer = client.post(path, b"[[", content_type=media_type, headers=tenant.bearer)
        assert answer.status_code in {400, 422}, path
    key_networks.flush()
    assert set(rows(tenant)) == {f"203.0.{number}.0/24" for number in range(len(ENDPOINTS))}


def test_who_does_not_have_the_key_is_not_noted(tenant: Tenant) -> None:
    key, _ = make_key(tenant, "another")
    token = make_token(tenant, "usage:write", "keys:read")
    body = {"events": [event(virtual_key=str(key.id))]}
    assert Client().post("/api/v1/events", body, content_type="application/json", headers=token).status_code == 202
    wrong = {"Authorization": tenant.bearer["Authorization"][:-1] + "x"}
    assert Client().post("/api/v1/events", body, content_type="application/json", headers=wrong).status_code == 401
    key_networks.flush()
    with organization_scope(tenant.id):
        assert not KeyNetwork.objects.exists()


@pytest.mark.parametrize("forwarded", ["", "unknown", "\x00", ",,,", "203.0.113.7" * 500, "[::1", "nōne"])
def test_nonsense_about_the_caller_breaks_nothing(tenant: Tenant, settings: Settings, forwarded: str) -> None:
    settings.TRUSTED_PROXY_COUNT = 2
    client = Client(REMOTE_ADDR="")
    answer = client.post(
        "/api/v1/events", event(), content_type="application/json",
        headers=tenant.bearer | {"X-Forwarded-For": forwarded},
    )  # fmt: skip
    assert answer.status_code == 202
    key_networks.flush()
    assert rows(tenant) == {}
