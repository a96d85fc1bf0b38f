"""Events, newest first, page by page; each with its cost line by line; and what has no price."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from analytics.events import PAGE_SIZE
from tests.analytics.support import at, settle, signed_in, text
from tests.factories import Tenant, make_key

pytestmark = pytest.mark.usefixtures("price_list")

NOON = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
DAY = "start=2026-11-10&end=2026-11-10"


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    return signed_in(tenant.owner)


def ids(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="[^"]*&amp;id=([^"]*)">', page)


def older(page: str) -> str | None:
    found = re.search(r'href="([^"]*)" rel="next"', page)
    return found[1].replace("&amp;", "&") if found else None


def walk(client: Client, address: str) -> list[str]:
    """The ids of every page from here on."""
    found: list[str] = []
    following: str | None = address
    while following:
        page = text(client.get(following))
        found += ids(page)
        following = older(page)
    return found


def test_all_pages_together_hold_every_event_once_newest_first(tenant: Tenant, owner: Client) -> None:
    # Many share a moment: the id decides between them.
    events = [at(NOON + timedelta(minutes=number // 7), id=f"e{number:03}") for number in range(2 * PAGE_SIZE + 3)]
    settle(tenant, events)
    expected = [each["id"] for each in sorted(events, key=lambda each: (each["time"], each["id"]), reverse=True)]
    assert walk(owner, f"/o/acme/events?{DAY}") == expected


def test_rare_matches_far_apart_are_found(tenant: Tenant, owner: Client) -> None:
    key, _ = make_key(tenant, "rare")
    settle(tenant, [at(NOON + timedelta(minutes=number)) for number in range(60)])
    rare = [at(NOON - timedelta(days=3 * number), id=f"rare{number}") for number in range(5)]
    settle(tenant, rare, key)
    assert walk(owner, f"/o/acme/events?start=2026-10-20&end=2026-11-10&key={key.id}") == [each["id"] for each in rare]


def test_pages_of_a_filter_go_on_with_it(tenant: Tenant, owner: Client) -> None:
    settle(
        tenant,
        [
            at(NOON + timedelta(minutes=number), id=f"e{number}", status="error" if number % 2 else "ok")
            for number in range(2 * PAGE_SIZE + 4)
        ],
    )
    found = walk(owner, f"/o/acme/events?{DAY}&status=error")
    assert found == [f"e{number}" for number in range(2 * PAGE_SIZE + 3, 0, -2)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=error", ["bad"]),
        ("status=cancelled", ["stopped"]),
        ("unpriced=1", ["strange"]),
        ("model=gpt-4.1", ["bad"]),
    ],
)
def test_filters_of_single_events(tenant: Tenant, owner: Client, query: str, expected: list[str]) -> None:
    settle(
        tenant,
        [
            at(NOON, id="fine"),
            at(NOON, id="bad", status="error", model="gpt-4.1"),
            at(NOON, id="stopped", status="cancelled"),
            at(NOON, id="strange", model="nobody-knows-this"),
        ],
    )
    assert ids(text(owner.get(f"/o/acme/events?{DAY}&{query}"))) == expected


def test_an_errored_event_without_requests_is_listed(tenant: Tenant, owner: Client) -> None:
    usage = {"input_tokens": 5, "output_tokens": 1, "requests": 0}
    settle(tenant, [at(NOON, id="none", status="error", usage=usage)])
    assert ids(text(owner.get(f"/o/acme/events?{DAY}&status=error"))) == ["none"]


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "W10",
        "WzEsMl0",
        "WyJhIiwiYiJd",
        "%00",
        "W" * 5000,
        "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMCwiYSJd",
        "WzEsIlx1MDAwMCJd",
    ],
)
def test_a_made_up_cursor_is_refused(owner: Client, cursor: str) -> None:
    assert owner.get(f"/o/acme/events?cursor={cursor}").status_code == 422


def test_an_event_explains_its_cost(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON, id="a/b?c", customer="initech", tags={"env": "prod"}, cost="0.0003")])
    page = text(owner.get("/o/acme/events/one", {"at": NOON.isoformat(), "id": "a/b?c"}))
    # 1,200 × $0.10 + 300 × $0.025 + 250 × $0.40 per million.
    for shown in ("1,200", "$0.00012", "$0.0000075", "$0.0001", "$0.0002275", "$0.10", "$0.025", "$0.40"):
        assert shown in page
    assert "genai-prices" in page
    assert "initech" in page
    assert "$0.0003" in page
    assert "$0.0000725: reported more" in page


def test_the_list_leads_to_the_event(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON + timedelta(microseconds=123456), id="a+b&c=d/e?f#g")])
    link = re.search(r'<th scope="row"><a href="([^"]*)">', text(owner.get(f"/o/acme/events?{DAY}")))
    assert link
    response = owner.get(link[1].replace("&amp;", "&"))
    assert response.status_code == 200
    assert "a+b&amp;c=d/e?f#g" in text(response)


def test_an_event_without_a_price_says_why(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON, id="odd", model="nobody-knows-this")])
    page = text(owner.get("/o/acme/events/one", {"at": NOON.isoformat(), "id": "odd"}))
    assert "No price yet" in page
    assert "this model of it is not" in page


def test_an_answer_from_the_own_cache_is_explained(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON, id="cached", cache="semantic")])
    page = text(owner.get("/o/acme/events/one", {"at": NOON.isoformat(), "id": "cached"}))
    assert "A cache of your own answered this call" in page
    assert "$0.00" in page


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"at": "2026-11-10T12:00:00Z"},
        {"at": "2026-11-10T12:00:00Z", "id": "other"},
        {"at": "2026-11-10T12:00:00", "id": "mine"},
        {"at": "2026-13-45T99:00:00Z", "id": "mine"},
        {"at": "0001-01-01T00:00:00+14:00", "id": "mine"},
        {"at": "9999-12-31T23:59:59-14:00", "id": "mine"},
        {"at": "2026-11-10T12:00:00Z", "id": "mi\x00ne"},
        {"at": "yesterday", "id": "mine"},
    ],
)
def test_no_such_event(tenant: Tenant, owner: Client, query: dict[str, str]) -> None:
    settle(tenant, [at(NOON, id="mine")])
    assert owner.get("/o/acme/events/one", query).status_code == 404


def test_an_event_of_another_organization_is_not_found(tenant: Tenant, stranger: Tenant, owner: Client) -> None:
    settle(stranger, [at(NOON, id="theirs", customer="canary")])
    response = owner.get("/o/acme/events/one", {"at": NOON.isoformat(), "id": "theirs"})
    assert response.status_code == 404
    assert "canary" not in text(response)


def test_empty_lists_teach_the_next_step(tenant: Tenant, owner: Client) -> None:
    assert "No events yet" in text(owner.get("/o/acme/events"))
    settle(tenant, [at(NOON)])
    assert "No event matches" in text(owner.get(f"/o/acme/events?{DAY}&model=gpt-4.1"))
