"""Agents, traces and adjustments as pages: exact figures, links that lead on, nothing of anybody else's."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from analytics import trace_views
from budgets.posting import post_corrections, post_entries
from tenants.access import organization_scope
from tests.analytics.support import at, settle, signed_in, text
from tests.factories import Tenant
from usage.adjustments import Correction, Entry, Why

pytestmark = pytest.mark.usefixtures("price_list")

NOON = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
DAY = "start=2026-11-10&end=2026-11-10"
PATHS = ["agents", "traces", "traces/one?id=t1", "adjustments"]


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    return signed_in(tenant.owner)


def span(number: int, parent: int | None = None, **fields: Any) -> dict[str, Any]:
    given = {"trace_id": "t1", "span_id": f"s{number}", "agent": "coder", "session": "c9", "customer": "acme"} | fields
    above = {} if parent is None else {"parent_span_id": f"s{parent}"}
    return at(NOON + timedelta(seconds=number), id=f"e{number}", **above, **given)


def adjust(
    tenant: Tenant, event: dict[str, Any], cost: int, kind: str = "reprice", reason: str = "a new price"
) -> None:
    correction = Correction(datetime.fromisoformat(event["time"]), event["id"], {"cost": cost})
    with organization_scope(tenant.id):
        post_corrections(
            organization=tenant.organization, corrections=[correction], why=Why(kind, reason, "dana@acme.example"),
            now=NOON,
        )  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_strangers_find_nothing_and_members_only_read(tenant: Tenant, stranger: Tenant, path: str) -> None:
    settle(tenant, [span(0)])
    theirs, missing = (signed_in(stranger.owner).get(f"/o/{org}/{path}") for org in ("acme", "nobody"))
    assert theirs.status_code == missing.status_code == 404
    assert signed_in(stranger.owner).get("/o/globex/traces/one?id=t1").status_code == 404
    assert Client().get(f"/o/acme/{path}").status_code == 302
    assert signed_in(tenant.owner).post(f"/o/acme/{path}").status_code == 405
    assert signed_in(tenant.owner).get(f"/o/acme/{path}").status_code == 200


def test_a_trace_is_a_tree_of_costs(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [span(0), span(1, 0, status="error"), span(2, 0), span(3, 2, agent="tester"), span(4, 9)])
    adjust(tenant, span(3, 2), 1_000_000)
    page = text(owner.get("/o/acme/traces/one?id=t1"))
    # Five calls of $0.0002275 and a millionth of a dollar thousand.
    assert "$0.0021375" in page
    assert page.count('class="cost-line"') == 6, "the missing parent has a line of its own"
    assert page.count("<details") - page.count("</details>") == 0
    assert "made again" in page
    assert "Span s9" in page
    assert re.search(r"Retry waste</p>\s*<p class=\"stat__value\">\$0.00022", page)
    assert "tester" in page
    assert "/o/acme/traces?session=c9" in page


@pytest.mark.parametrize("trace_id", ["", "other", "t1%00", "%ED%A0%80"])
def test_no_such_trace(tenant: Tenant, owner: Client, trace_id: str) -> None:
    settle(tenant, [span(0)])
    assert owner.get(f"/o/acme/traces/one?id={trace_id}").status_code == 404


def test_traces_by_time_and_by_cost_page_by_page(
    tenant: Tenant, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_views, "PAGE_SIZE", 2)
    for number in range(5):
        settle(tenant, [span(number, trace_id=f"t{number}", usage={"input_tokens": 1000 * ((number * 3) % 5)})])

    def walk(query: str) -> list[str]:
        found: list[str] = []
        address: str | None = f"/o/acme/traces?{DAY}{query}"
        while address:
            page = text(owner.get(address))
            found += re.findall(r'<span class="truncate mono">(t\d)<', page)
            older = re.search(r'href="([^"]*)" rel="next"', page)
            address = older[1].replace("&amp;", "&") if older else None
        return found

    assert walk("") == ["t4", "t3", "t2", "t1", "t0"]
    assert walk("&order=dearest") == ["t3", "t1", "t4", "t2", "t0"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("session=c2", ["t2"]),
        ("customer=initech", ["t2"]),
        ("agent=judge", ["t2"]),
        ("agent=nobody", []),
        ("user=u1", ["t1"]),
    ],
)
def test_traces_filtered(tenant: Tenant, owner: Client, query: str, expected: list[str]) -> None:
    settle(tenant, [span(1, trace_id="t1", user="u1"), span(2, trace_id="t2", session="c2", customer="initech"),
                    span(3, trace_id="t2", session="c2", customer="initech", agent="judge")])  # fmt: skip
    page = text(owner.get(f"/o/acme/traces?{DAY}&{query}"))
    assert re.findall(r'<span class="truncate mono">(t\d)<', page) == expected


@pytest.mark.parametrize("query", ["order=best", "cursor=x", "cursor=WyJuZXdlc3QiLCAieCIsICJ0Il0", "session=%00"])
def test_traces_that_make_no_sense(owner: Client, query: str) -> None:
    assert owner.get(f"/o/acme/traces?{query}").status_code == 422


def test_agents_with_what_their_failures_cost(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [span(0), span(1, status="error"), span(2, status="cancelled"), span(3, agent="judge"), at(NOON)])
    page = text(owner.get(f"/o/acme/agents?{DAY}"))
    coder, judge, none = (re.search(rf"<tr>(?:(?!</tr>).)*>{name}<.*?</tr>", page, re.DOTALL) for name in
                          ("coder", "judge", r"\(no agent\)"))  # fmt: skip
    assert coder
    assert judge
    assert none
    assert "$0.000455" in coder[0], "two of three calls failed or were cancelled"
    assert f"/o/acme/traces?{DAY}&amp;agent=coder".replace("&amp;", "&") in coder[0].replace("&amp;", "&")
    assert "60%" in coder[0]
    assert "20%" in judge[0]


def test_adjustments_are_listed_by_kind_with_their_sum(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [span(0), span(1)])
    adjust(tenant, span(0), 2_000_000_000, reason="the price was corrected")
    adjust(tenant, span(1), -500_000_000, kind="refund", reason="refunded by the provider")
    with organization_scope(tenant.id):
        fee = Entry(NOON, {"cost": 3_000_000_000}, tenant.team.id, "openai", "")
        post_entries(organization=tenant.organization, entries=[fee], why=Why("fee", "a seat", "dana"), now=NOON)
    page = text(owner.get(f"/o/acme/adjustments?{DAY}"))
    for shown in (
        "+$4.50",
        "the price was corrected",
        "refunded by the provider",
        "a seat",
        "dana@acme.example",
        "id=e0",
    ):
        assert shown in page
    only = text(owner.get(f"/o/acme/adjustments?{DAY}&kind=refund"))
    assert "refunded by the provider" in only
    assert "a seat" not in only
    assert owner.get("/o/acme/adjustments?kind=gift").status_code == 422
    assert owner.get("/o/acme/adjustments?cursor=x").status_code == 422


def test_an_event_shows_what_was_booked_since(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [span(0), span(1, model="nobody-knows-this")])
    adjust(tenant, span(0), 2_000_000_000, reason="the price was corrected")
    page = text(owner.get("/o/acme/events/one", {"at": span(0)["time"], "id": "e0"}))
    assert "the price was corrected" in page
    assert re.search(r"<h1[^>]*>\$2.0002275</h1>", page)
    listed = text(owner.get(f"/o/acme/events?{DAY}"))
    assert "$2.0002275" in listed
    assert "+$2.00 since" in listed
    assert "no price" in listed


@pytest.mark.parametrize("path", ["traces?{}", "events?{}", "agents?{}", "traces/one?id=t1", "adjustments?{}"])
def test_the_number_of_queries_does_not_grow(tenant: Tenant, owner: Client, path: str) -> None:
    address = f"/o/acme/{path.format(DAY)}"
    settle(tenant, [span(0)])
    adjust(tenant, span(0), 1)
    owner.get(address)
    with CaptureQueriesContext(connection) as before:
        owner.get(address)
    settle(tenant, [span(number, number // 2, agent=f"a{number}") for number in range(1, 20)])
    settle(tenant, [span(number, trace_id=f"t{number}") for number in range(20, 30)])
    for number in range(1, 9):
        adjust(tenant, span(number), 1)
    with CaptureQueriesContext(connection) as after:
        owner.get(address)
    assert len(after) == len(before)
