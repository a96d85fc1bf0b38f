"""The overview for owner, member and stranger: exact figures, every filter, days of their zone, nothing that leaks."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from budgets.posting import post_entries
from budgets.services import budget_create
from budgets.terms import Measure
from common.money import to_usd
from tenants.access import organization_scope
from tenants.roles import Role
from tests.analytics.support import at, cost_of_events, settle, signed_in, text
from tests.factories import Tenant, make_key, make_member, make_team, make_tenant
from usage.adjustments import Entry, Why

pytestmark = pytest.mark.usefixtures("price_list")

NOON = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
DAY = "start=2026-11-10&end=2026-11-10"


def spend(page: str) -> str:
    """The exact spend that the page shows, in USD."""
    found = re.search(r'<data value="([^"]*)"', page)
    assert found, "the page shows no spend"
    return found[1]


def figure(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="trend-figure" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found, "the page has no chart"
    return json.loads(found[1])  # type: ignore[no-any-return]


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    return signed_in(tenant.owner)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE, Role.MANAGER])
def test_every_member_sees_the_spend(tenant: Tenant, role: Role) -> None:
    settle(tenant, [at(NOON), at(NOON, model="gpt-4.1")])
    page = text(signed_in(make_member(tenant, role)).get(f"/o/acme/?{DAY}"))
    assert spend(page) == to_usd(cost_of_events(tenant, NOON, NOON + timedelta(hours=1)))


@pytest.mark.parametrize(
    "path", ["", "live", "events", "events/one?at=2026-11-10T12:00:00Z&id=x", "ingestion", "ingestion/tile"]
)
def test_a_stranger_finds_nothing(tenant: Tenant, stranger: Tenant, path: str) -> None:
    settle(tenant, [at(NOON, model="canary-model")])
    client = signed_in(stranger.owner)
    for headers in ({}, {"HX-Request": "true"}):
        theirs = client.get(f"/o/acme/{path}", headers=headers)
        missing = client.get(f"/o/nobody/{path}", headers=headers)
        assert theirs.status_code == missing.status_code == 404
        assert re.sub(r"[0-9A-Z]{26}", "", text(theirs)) == re.sub(r"[0-9A-Z]{26}", "", text(missing))
        assert "canary" not in text(theirs)


@pytest.mark.parametrize("path", ["", "live", "events", "ingestion", "ingestion/tile"])
def test_who_is_not_signed_in_is_asked_to(tenant: Tenant, path: str) -> None:
    response = Client().get(f"/o/acme/{path}")
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("path", ["", "live", "events", "ingestion"])
def test_pages_are_only_read(tenant: Tenant, owner: Client, path: str) -> None:
    assert owner.post(f"/o/acme/{path}").status_code == 405


def test_a_foreign_team_or_key_is_as_unknown_as_any_number(tenant: Tenant, stranger: Tenant, owner: Client) -> None:
    for name, foreign in (("team", stranger.team.id), ("key", stranger.key.id)):
        known = owner.get(f"/o/acme/?{name}={foreign}")
        unknown = owner.get(f"/o/acme/?{name}=123")
        assert known.status_code == unknown.status_code == 422
        assert f"There is no such {name} in this organization." in text(known)
        assert "globex" not in text(known).lower()


def test_the_total_is_the_sum_of_the_events_to_the_nano_dollar(tenant: Tenant, owner: Client) -> None:
    events = [
        at(
            NOON + timedelta(minutes=7 * number),
            model=("gpt-4.1-nano", "gpt-4.1", "gpt-4o-mini")[number % 3],
            usage={"input_tokens": 1 + 37 * number, "cache_read_input_tokens": 1 + number // 4, "output_tokens": 3},
        )
        for number in range(60)
    ]
    settle(tenant, events)
    exact = cost_of_events(tenant, NOON - timedelta(hours=12), NOON + timedelta(hours=12))
    assert exact % 1000 != 0
    page = text(owner.get(f"/o/acme/?{DAY}"))
    assert spend(page) == to_usd(exact)
    drawn = sum(int(amount.replace(".", "")) for trace in figure(page)["data"] for amount in trace["y"])
    assert drawn == exact


@pytest.fixture
def varied(tenant: Tenant) -> dict[str, int]:
    """Usage of two providers in a tree of teams; the ids of what to filter by."""
    child = make_team(tenant, "Research", parent=tenant.team)
    sibling = make_team(tenant, "Sales")
    keys = {name: make_key(tenant, name, team)[0] for name, team in (("lab", child), ("crm", sibling))}
    settle(tenant, [at(NOON), at(NOON, provider="anthropic", model="claude-sonnet-4-5")])
    settle(tenant, [at(NOON, model="gpt-4.1")], keys["lab"])
    settle(tenant, [at(NOON, model="gpt-4o")], keys["crm"])
    return {"top": tenant.team.id, "child": child.id, "lab": keys["lab"].id, "crm": keys["crm"].id}


@pytest.mark.parametrize(
    ("query", "matching"),
    [
        ("provider=anthropic", {"provider": "anthropic"}),
        ("model=gpt-4.1", {"model": "gpt-4.1"}),
        ("key={crm}", {"virtual_key_id": "crm"}),
        ("team={child}", {"team_id": "child"}),
        ("team={top}", {"team_id__in": ("top", "child")}),
        ("team={top}&provider=openai", {"team_id__in": ("top", "child"), "provider": "openai"}),
        ("key={lab}&model=gpt-4.1", {"virtual_key_id": "lab", "model": "gpt-4.1"}),
    ],
)
@pytest.mark.parametrize("path", ["", "live", "events"])
def test_each_filter(
    tenant: Tenant, owner: Client, varied: dict[str, int], query: str, matching: dict[str, object], path: str
) -> None:
    wanted = {
        name: [varied[each] for each in value] if isinstance(value, tuple) else varied.get(str(value), value)
        for name, value in matching.items()
    }
    exact = cost_of_events(tenant, NOON, NOON + timedelta(hours=1), **wanted)
    assert exact > 0
    page = text(owner.get(f"/o/acme/{path}?{DAY}&{query.format(**varied)}"))
    shown = f"{int(exact) / 10**9:.9f}".rstrip("0")
    assert f"${shown}" in page if path == "events" else spend(page) == to_usd(exact)


@pytest.mark.parametrize("by", ["model", "provider", "team", "key"])
def test_the_chart_is_cut_by_each_dimension(owner: Client, varied: dict[str, int], by: str) -> None:
    page = text(owner.get(f"/o/acme/?{DAY}&by={by}"))
    names = {trace["name"] for trace in figure(page)["data"]}
    assert (
        names
        == {
            "model": {"gpt-4.1-nano", "claude-sonnet-4-5", "gpt-4.1", "gpt-4o"},
            "provider": {"openai", "anthropic"},
            "team": {"Default", "Sales"},
            "key": {"first key", "lab", "crm"},
        }[by]
    )


def test_below_a_team_the_chart_shows_its_children(owner: Client, varied: dict[str, int]) -> None:
    page = text(owner.get(f"/o/acme/?{DAY}&by=team&team={varied['top']}"))
    assert {trace["name"] for trace in figure(page)["data"]} == {"Default (itself)", "Research"}


def test_a_day_ends_at_local_midnight(db: None) -> None:
    tenant = make_tenant("kolkata", timezone="Asia/Kolkata")
    midnight = datetime(2026, 11, 10, tzinfo=ZoneInfo("Asia/Kolkata"))
    settle(
        tenant,
        [
            at(midnight - timedelta(seconds=1), model="gpt-4.1"),
            at(midnight),
            at(midnight + timedelta(hours=23, minutes=59)),
            at(midnight + timedelta(days=1), model="gpt-4o"),
        ],
    )
    page = text(signed_in(tenant.owner).get(f"/o/kolkata/?{DAY}"))
    exact = cost_of_events(tenant, midnight, midnight + timedelta(days=1))
    assert spend(page) == to_usd(exact)
    assert "Asia/Kolkata time" in page
    traces = figure(page)["data"]
    assert [trace["x"] for trace in traces] == [["2026-11-10T00:00:00", "2026-11-10T23:00:00"]]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2025-11-02", 25)])
def test_a_day_of_a_change_of_clocks_has_all_its_hours(db: None, day: str, hours: int) -> None:
    tenant = make_tenant("boston", timezone="America/New_York")
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
    settle(tenant, [at(midnight + timedelta(hours=hour)) for hour in range(-1, hours + 1)])
    page = text(signed_in(tenant.owner).get(f"/o/boston/?start={day}&end={day}&interval=hour"))
    exact = cost_of_events(tenant, midnight, midnight + timedelta(hours=hours))
    assert spend(page) == to_usd(exact)
    (trace,) = figure(page)["data"]
    assert len(trace["x"]) == min(hours, 24)


def test_names_stay_text_in_page_and_chart(tenant: Tenant, owner: Client) -> None:
    evil = "</script><script>alert(1)</script>{{7*7}}"
    team = make_team(tenant, evil)
    key, _ = make_key(tenant, '"><img src=x onerror=alert(1)>', team)
    settle(tenant, [at(NOON, model="</script><b>x", provider="javascript:alert(1)")], key)
    for by in ("model", "provider", "team", "key"):
        for path in ("", "live", "events", "unpriced"):
            page = text(owner.get(f"/o/acme/{path}?{DAY}&by={by}"))
            assert page.count("<script>") == page.count("alert(1)</script>") == 0
            assert "<img src=x" not in page
            assert "<b>x" not in page
            assert ">49<" not in page
            assert 'href="javascript' not in page
    assert "{{7*7}}" in text(owner.get(f"/o/acme/?{DAY}&by=team"))


NONSENSE = [
    "start=1900-01-01&end=2100-01-01",
    "start=2026-11-02&end=2026-11-01",
    "start=2026-02-30&end=2026-03-01",
    "start=2016-01-01&end=2026-01-01&interval=hour",
    "range=90d&interval=hour",
    "range=century",
    "model=%00",
    "team=none",
    "by=colour",
]


@pytest.mark.parametrize("query", NONSENSE)
@pytest.mark.parametrize("path", ["", "live", "events"])
def test_nonsense_is_answered_in_words(tenant: Tenant, owner: Client, query: str, path: str) -> None:
    page = owner.get(f"/o/acme/{path}?{query}")
    assert page.status_code == 422
    assert 'role="alert"' in text(page)
    part = owner.get(f"/o/acme/{path}?{query}", headers={"HX-Request": "true"})
    assert part.status_code == 422
    assert "<html" not in text(part)


def test_a_nonsensical_address_is_not_echoed_as_markup(owner: Client) -> None:
    page = text(owner.get("/o/acme/", {"start": "<script>alert(1)</script>", "by": "<b>"}))
    assert "<script>alert" not in page


def test_figures_refresh_only_when_they_have_changed(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON)])
    page = text(owner.get(f"/o/acme/?{DAY}"))
    live = re.search(r'hx-get="([^"]*/live[^"]*)"', page)
    assert live
    address = live[1].replace("&amp;", "&")
    assert owner.get(address).status_code == 204
    settle(tenant, [at(NOON)])
    changed = owner.get(address)
    assert changed.status_code == 200
    assert spend(text(changed)) == to_usd(cost_of_events(tenant, NOON, NOON + timedelta(hours=1)))
    assert "<html" not in text(changed)


def test_a_new_organization_is_shown_the_way(tenant: Tenant, owner: Client) -> None:
    page = text(owner.get("/o/acme/"))
    assert "/api/v1/events" in page
    assert "/o/acme/keys" in page
    waiting = owner.get("/o/acme/live?seen=first")
    assert (waiting.status_code, waiting.headers.get("HX-Refresh")) == (204, None)
    settle(tenant, [at(NOON)])
    assert owner.get("/o/acme/live?seen=first")["HX-Refresh"] == "true"
    assert "No usage here" in text(owner.get("/o/acme/?start=2026-01-01&end=2026-01-02"))


def test_what_has_no_price_is_counted_and_not_zero(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON), at(NOON, model="nobody-knows-this"), at(NOON, model="nobody-knows-this")])
    page = text(owner.get(f"/o/acme/?{DAY}"))
    assert "Without 2 requests that have no price yet" in page
    assert "no price</span>" in page
    assert 'href="/o/acme/unpriced"' in page


def test_changes_are_told_with_their_reason(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON - timedelta(days=1))] + [at(NOON) for _ in range(3)])
    page = text(owner.get(f"/o/acme/?{DAY}"))
    assert "What moved the bill" in page
    assert "More requests" in page
    assert "+200%" in page
    assert "vs 9 Nov" in page


def test_the_budget_stands_beside_the_spend(tenant: Tenant, owner: Client, now: datetime) -> None:
    with organization_scope(tenant.id):
        budget_create(
            organization=tenant.organization, name="Everything", limit=10**9, thresholds=[80], actor=None, now=now,
            measure=Measure("organization", None, None, "month", "UTC"),
        )  # fmt: skip
    settle(tenant, [at(now)])
    page = text(owner.get("/o/acme/"))
    assert "Budget: Everything" in page
    assert "of $1.00 this month" in page
    assert "No budget of its own yet" in text(owner.get(f"/o/acme/?team={tenant.team.id}"))


def test_the_number_of_queries_does_not_grow_with_what_there_is(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON)])
    owner.get(f"/o/acme/?{DAY}")
    with CaptureQueriesContext(connection) as before:
        owner.get(f"/o/acme/?{DAY}")
    for number in range(6):
        key, _ = make_key(tenant, f"key {number}", make_team(tenant, f"team {number}"))
        settle(tenant, [at(NOON, model=model) for model in ("gpt-4.1", "gpt-4o", "gpt-4o-mini")], key)
    with CaptureQueriesContext(connection) as after:
        owner.get(f"/o/acme/?{DAY}")
    assert len(after) == len(before)


def test_what_callers_add_is_broken_down_where_they_did(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON), at(NOON, model="gpt-4.1")])
    plain = text(owner.get(f"/o/acme/?{DAY}"))
    assert "By customer" not in plain
    assert "More filters" not in plain
    settle(tenant, [at(NOON, customer="initech", tags={"env": "prod"}), at(NOON, agent="coder", user="u1")])
    page = text(owner.get(f"/o/acme/?{DAY}&tag=env"))
    for shown in ("By customer", "By agent", "By user", "By tag env", "(no customer)", "More filters"):
        assert shown in page
    assert "By feature" not in page
    assert "customer=initech" in page


@pytest.mark.parametrize("name", ["customer", "feature", "agent", "user"])
def test_every_page_filters_by_what_callers_add(tenant: Tenant, owner: Client, name: str) -> None:
    key, _ = make_key(tenant, "second")
    settle(
        tenant,
        [at(NOON, **{name: "x"}), at(NOON, model="gpt-4.1", **{name: "x"}), at(NOON, **{name: "y"}), at(NOON)],
    )
    settle(tenant, [at(NOON, **{name: "x"})], key)
    column = "end_user" if name == "user" else name
    both = cost_of_events(tenant, NOON, NOON + timedelta(hours=1), **{column: "x"})
    for by in ("model", name):
        page = text(owner.get(f"/o/acme/?{DAY}&{name}=x&by={by}"))
        assert spend(page) == to_usd(both)
    only = cost_of_events(tenant, NOON, NOON + timedelta(hours=1), virtual_key_id=key.id)
    assert spend(text(owner.get(f"/o/acme/?{DAY}&{name}=x&key={key.id}"))) == to_usd(only)
    assert text(owner.get(f"/o/acme/events?{DAY}&{name}=x")).count('<th scope="row"><a') == 3


def test_hours_are_refused_where_only_days_are_kept(owner: Client, tenant: Tenant) -> None:
    settle(tenant, [at(NOON, customer="x")])
    assert owner.get(f"/o/acme/?{DAY}&customer=x&by=customer&interval=hour").status_code == 200
    assert owner.get(f"/o/acme/?{DAY}&customer=x&interval=hour").status_code == 422
    assert owner.get(f"/o/acme/?{DAY}&by=agent&team={tenant.team.id}&interval=hour").status_code == 422
    assert owner.get(f"/o/acme/?{DAY}&tag=No").status_code == 422


def test_values_beyond_the_limit_are_named_so(tenant: Tenant, owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usage.dimensions.LIMIT", 2)
    settle(tenant, [at(NOON, customer=f"c{number}") for number in range(4)])
    page = text(owner.get(f"/o/acme/?{DAY}&by=customer"))
    assert "Other values (beyond the first 2 of the month)" in page
    assert "\x1f" not in page
    assert "%1F" not in page


def test_adjustments_are_in_the_spend_and_said_to_be(tenant: Tenant, owner: Client) -> None:
    settle(tenant, [at(NOON)])
    assert "adjustment" not in text(owner.get(f"/o/acme/live?{DAY}"))
    with organization_scope(tenant.id):
        fee = Entry(NOON, {"cost": 3_000_000_000}, tenant.team.id, "openai", "gpt-4.1-nano")
        post_entries(organization=tenant.organization, entries=[fee], why=Why("fee", "a seat", "dana"), now=NOON)
    page = text(owner.get(f"/o/acme/live?{DAY}"))
    assert "+$3.00 of it in 1 adjustment" in page
    assert spend(page) == to_usd(3_000_000_000 + 227_500)
