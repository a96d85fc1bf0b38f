"""Pages of budgets for owner, finance, viewer and stranger. On a refusal nothing has changed."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from time_machine import travel

from alerts.models import Alert
from budgets.models import Budget
from budgets.services import budget_archive
from tenants.access import organization_scope
from tenants.models import Organization, User
from tenants.roles import Role
from tests.budgets.support import USD, make_budget, use
from tests.factories import Tenant, make_key, make_member, make_team, utc_now
from tests.ingest.payloads import event

COST = 227_500
EDITORS = (Role.OWNER, Role.ADMIN, Role.FINANCE)
READERS = (Role.MANAGER, Role.VIEWER)
FORM = {
    "name": "All of it",
    "scope": "organization",
    "limit": "1,250.50",
    "period": "month",
    "week_start": "monday",
    "timezone": "Europe/Berlin",
    "thresholds": "50, 80 100%",
}


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def as_role(tenant: Tenant, role: Role) -> Client:
    return signed_in(tenant.owner if role is Role.OWNER else make_member(tenant, role))


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    return signed_in(tenant.owner)


def text(response: Any) -> str:
    return str(response.content.decode())


def budgets(tenant: Tenant) -> list[Budget]:
    with organization_scope(tenant.id):
        return list(Budget.objects.in_force().order_by("id"))


def edit(budget: Budget, **fields: Any) -> dict[str, Any]:
    return {"name": budget.name, "limit": "100", "thresholds": "50, 80, 100", "version": budget.version} | fields


# The tree


def test_an_empty_list_teaches_the_next_step(tenant: Tenant, owner: Client) -> None:
    assert "/o/acme/budgets/new" in text(owner.get("/o/acme/budgets"))
    page = text(as_role(tenant, Role.VIEWER).get("/o/acme/budgets"))
    assert "No budget yet" in page
    assert "/o/acme/budgets/new" not in page


def test_the_tree_in_order_with_keys_below_their_team(tenant: Tenant, owner: Client) -> None:
    parent = make_team(tenant, "Parent")
    child = make_team(tenant, "Child", parent)
    key, _ = make_key(tenant, "a key", parent)
    make_budget(tenant, "K", key=key)
    make_budget(tenant, "C", team=child)
    make_budget(tenant, "P", team=parent)
    make_budget(tenant, "O")
    page = text(owner.get("/o/acme/budgets"))
    rows = re.findall(r'data-depth="(\d)".*?budgets/\d+">(\w)</a>', page, re.DOTALL)
    assert rows == [("0", "O"), ("1", "P"), ("2", "K"), ("2", "C")]


def test_figures_of_the_list(tenant: Tenant, owner: Client, prices: None) -> None:
    make_budget(tenant, "tight", limit=COST // 2)
    use(tenant, event(), event(model="nobody-knows-this"))
    page = text(owner.get("/o/acme/budgets"))
    assert "Over limit" in page
    assert "200%" in page
    assert "1 unpriced" in page
    assert "100% of the limit spent" not in page


def test_filters(tenant: Tenant, owner: Client) -> None:
    make_budget(tenant, "Monthly")
    make_budget(tenant, "Daily", period="day", team=tenant.team)

    def shown(query: str) -> list[str]:
        return re.findall(r'budgets/\d+">(Monthly|Daily)</a>', text(owner.get(f"/o/acme/budgets?{query}")))

    assert shown("") == shown("period=fortnight&status=x&scope=") == ["Monthly", "Daily"]
    assert shown("period=day") == shown("scope=team") == ["Daily"]
    assert shown("status=ok&period=month") == ["Monthly"]
    assert "No budget matches" in text(owner.get("/o/acme/budgets?status=over"))


def test_more_budgets_ask_no_more_queries(tenant: Tenant, owner: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert owner.get("/o/acme/budgets").status_code == 200
        return len(captured)

    make_budget(tenant, "first", team=tenant.team)
    queries()  # the first request of a session asks a little more
    few = queries()
    for number in range(10):
        make_budget(tenant, f"more {number}", key=tenant.key if number % 2 else None)
    assert queries() == few


# One budget


def test_a_budget_in_full(tenant: Tenant, owner: Client, prices: None) -> None:
    finance = make_member(tenant, Role.FINANCE)
    make_member(tenant, Role.VIEWER)
    budget = make_budget(tenant, "Search money", team=tenant.team, limit=2 * COST, timezone="Europe/Berlin")
    use(tenant, event(), event(model="nobody-knows-this"))
    page = text(owner.get(f"/o/acme/budgets/{budget.id}"))
    with organization_scope(tenant.id):
        alert = Alert.objects.get(facts__budget="Search money")
    assert f"/o/acme/alerts/{alert.id}" in page
    assert "Not reached" in page
    assert "1 request of this period had no known price" in page
    assert f"team={tenant.team.id}" in page
    assert str(finance) in page
    assert "viewer@acme.example" not in page
    assert "Europe/Berlin" in page
    assert "The first period has not ended yet." in page


def test_history_and_course(tenant: Tenant, owner: Client, prices: None) -> None:
    start = datetime(2026, 10, 30, 12, tzinfo=UTC)
    with travel(start, tick=False):
        budget = make_budget(tenant, limit=10 * COST)
        use(tenant, *(event(time=start.isoformat()) for _ in range(6)), now=start)
    now = datetime(2026, 11, 10, 12, tzinfo=UTC)
    with travel(now, tick=False):
        use(tenant, event(time="2026-11-03T10:00:00Z"), event(time="2026-11-09T10:00:00Z"), now=now)
        page = text(signed_in(tenant.owner).get(f"/o/acme/budgets/{budget.id}"))
    past = page[page.index('id="past-heading"') :]
    assert "October 2026" in past
    assert "60%" in past
    assert "50%" in past
    course = re.findall(r'<th scope="row">(\w+ \d+ Nov)</th>', page)
    assert course == ["Mon 9 Nov", "Tue 3 Nov"]


@pytest.mark.parametrize("period", ["day", "week", "month"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/Santiago"])
def test_every_kind_of_budget_has_a_page(tenant: Tenant, owner: Client, prices: None, period: str, zone: str) -> None:
    budget = make_budget(tenant, key=tenant.key, period=period, timezone=zone, thresholds=())
    use(tenant, event())
    response = owner.get(f"/o/acme/budgets/{budget.id}")
    assert response.status_code == 200
    assert "this budget fires no alerts" in text(response)


def test_an_archived_budget_keeps_its_page(tenant: Tenant, owner: Client) -> None:
    budget = make_budget(tenant)
    with organization_scope(tenant.id):
        budget_archive(organization=tenant.organization, budget=budget, actor=None, now=utc_now())
    page = text(owner.get(f"/o/acme/budgets/{budget.id}"))
    assert "out of force" in page
    assert f"/o/acme/budgets/{budget.id}/edit" not in page
    assert owner.get(f"/o/acme/budgets/{budget.id}/edit").status_code == 404
    assert owner.post(f"/o/acme/budgets/{budget.id}/archive").status_code == 404


def test_names_are_text(tenant: Tenant, owner: Client) -> None:
    budget = make_budget(tenant, "<script>alert(1)</script>")
    for path in ("", f"/{budget.id}", f"/{budget.id}/edit", f"/{budget.id}/archive"):
        assert "<script>alert" not in text(owner.get(f"/o/acme/budgets{path}"))


# Making one


def test_setting_a_budget(tenant: Tenant, owner: Client) -> None:
    page = text(owner.get("/o/acme/budgets/new"))
    assert 'value="UTC" selected' in page
    response = owner.post("/o/acme/budgets/new", FORM)
    (budget,) = budgets(tenant)
    assert response["Location"] == f"/o/acme/budgets/{budget.id}"
    assert (budget.name, budget.limit, budget.thresholds) == ("All of it", 1_250_500_000_000, [50, 80, 100])
    assert (budget.scope_type, budget.period, budget.timezone) == ("organization", "month", "Europe/Berlin")


def test_the_zone_is_the_organizations_at_first(tenant: Tenant, owner: Client) -> None:
    with organization_scope(tenant.id):
        Organization.objects.filter(id=tenant.id).update(timezone="Asia/Tokyo")
    assert 'value="Asia/Tokyo" selected' in text(owner.get("/o/acme/budgets/new"))


def test_on_a_team_and_on_a_key(tenant: Tenant, owner: Client) -> None:
    for scope in (f"team:{tenant.team.id}", f"virtual_key:{tenant.key.id}"):
        assert owner.get(f"/o/acme/budgets/new?scope={scope}").content.count(b" selected") >= 3
        assert owner.post("/o/acme/budgets/new", FORM | {"scope": scope, "thresholds": ""}).status_code == 302
    first, second = budgets(tenant)
    assert (first.team_id, first.virtual_key_id, first.thresholds) == (tenant.team.id, None, [])
    assert (second.team_id, second.virtual_key_id) == (None, tenant.key.id)


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "1" + "0" * 30},
        {"limit": "1,50"},
        {"limit": "NaN"},
        {"limit": "1e3"},
        {"limit": "٣"},
        {"limit": "0.0000000001"},
        {"limit": "1000000000.01"},
        {"limit": ""},
        {"thresholds": "0"},
        {"thresholds": "101"},
        {"thresholds": "NaN"},
        {"thresholds": "50, 50"},
        {"thresholds": "50.5"},
        {"thresholds": "-50"},
        {"thresholds": " ".join(map(str, range(1, 12)))},
        {"timezone": "Mars/Base"},
        {"timezone": ""},
        {"period": "rolling"},
        {"week_start": "someday"},
        {"scope": "team:1"},
        {"scope": "tag:env"},
        {"scope": ""},
        {"name": "   "},
        {"name": "x" * 101},
        {"name": "nul\x00"},
    ],
)
def test_a_form_that_cannot_be(tenant: Tenant, owner: Client, changes: dict[str, str]) -> None:
    response = owner.post("/o/acme/budgets/new", FORM | changes)
    assert response.status_code == 422
    assert "field__errors" in text(response)
    assert budgets(tenant) == []


def test_a_part_above_the_whole_is_told_beside_the_limit(tenant: Tenant, owner: Client) -> None:
    make_budget(tenant, "Whole", limit=100 * USD)
    response = owner.post("/o/acme/budgets/new", FORM | {"scope": f"team:{tenant.team.id}"})
    assert response.status_code == 422
    assert "At most $100.00: that is the limit of Whole" in text(response)


def test_another_organizations_team_is_no_choice(tenant: Tenant, stranger: Tenant, owner: Client) -> None:
    for scope in (f"team:{stranger.team.id}", f"virtual_key:{stranger.key.id}"):
        assert owner.post("/o/acme/budgets/new", FORM | {"scope": scope}).status_code == 422
    assert budgets(tenant) == budgets(stranger) == []


# Changing one


def test_changing_a_budget(tenant: Tenant, owner: Client) -> None:
    budget = make_budget(tenant)
    page = text(owner.get(f"/o/acme/budgets/{budget.id}/edit"))
    assert 'name="version" value="1"' in page
    assert 'value="100.00"' in page
    response = owner.post(
        f"/o/acme/budgets/{budget.id}/edit", edit(budget, name="New", limit="$2,000", thresholds="90")
    )
    assert response.status_code == 302
    (after,) = budgets(tenant)
    assert (after.name, after.limit, after.thresholds, after.version) == ("New", 2000 * USD, [90], 2)


def test_what_the_form_shows_can_be_sent_back(tenant: Tenant, owner: Client) -> None:
    for limit in (1, 10**18, 1_234_567_890_123, 999 * USD):
        budget = make_budget(tenant, period="day", limit=limit)
        found = re.search(r'name="limit" value="([^"]+)"', text(owner.get(f"/o/acme/budgets/{budget.id}/edit")))
        assert found is not None
        assert owner.post(f"/o/acme/budgets/{budget.id}/edit", edit(budget, limit=found[1])).status_code == 302
    assert [budget.limit for budget in budgets(tenant)] == [1, 10**18, 1_234_567_890_123, 999 * USD]


def test_a_stale_form_shows_what_is_there_now(tenant: Tenant, owner: Client) -> None:
    budget = make_budget(tenant)
    finance = as_role(tenant, Role.FINANCE)
    path = f"/o/acme/budgets/{budget.id}/edit"
    assert finance.post(path, edit(budget, name="Finance's name", limit="70")).status_code == 302
    response = owner.post(path, edit(budget, name="Owner's name"))
    page = text(response)
    assert response.status_code == 412
    assert "Somebody else changed this budget" in page
    assert "Owner&#x27;s name" in page
    assert 'value="Finance&#x27;s name"' in page
    assert 'name="version" value="2"' in page
    (after,) = budgets(tenant)
    assert (after.name, after.limit, after.version) == ("Finance's name", 70 * USD, 2)
    assert owner.post(path, edit(after, name="Owner's name", limit="70")).status_code == 302


@pytest.mark.parametrize(
    "changes",
    [{"limit": "0"}, {"thresholds": "101"}, {"name": ""}, {"version": ""}, {"version": "x"}, {"version": "0"}],
)
def test_a_change_that_cannot_be(tenant: Tenant, owner: Client, changes: dict[str, str]) -> None:
    budget = make_budget(tenant)
    response = owner.post(f"/o/acme/budgets/{budget.id}/edit", edit(budget, **changes))
    assert response.status_code == 422
    (after,) = budgets(tenant)
    assert (after.name, after.limit, after.thresholds, after.version) == ("budget", 100 * USD, [50, 80, 100], 1)


def test_what_it_measures_cannot_be_changed(tenant: Tenant, owner: Client) -> None:
    budget = make_budget(tenant)
    owner.post(f"/o/acme/budgets/{budget.id}/edit", edit(budget, period="day", timezone="Asia/Tokyo", scope="team:1"))
    (after,) = budgets(tenant)
    assert (after.period, after.timezone, after.scope_type) == ("month", "UTC", "organization")


def test_archiving(tenant: Tenant, owner: Client) -> None:
    budget = make_budget(tenant)
    path = f"/o/acme/budgets/{budget.id}/archive"
    assert "Archive budget?" in text(owner.get(path))
    assert len(budgets(tenant)) == 1
    assert owner.post(path)["Location"] == "/o/acme/budgets"
    assert budgets(tenant) == []


# Who may


@pytest.mark.parametrize("role", EDITORS)
def test_editors(tenant: Tenant, role: Role) -> None:
    client = as_role(tenant, role)
    assert client.post("/o/acme/budgets/new", FORM).status_code == 302
    (budget,) = budgets(tenant)
    page = text(client.get(f"/o/acme/budgets/{budget.id}"))
    assert f"/o/acme/budgets/{budget.id}/edit" in page
    assert client.post(f"/o/acme/budgets/{budget.id}/edit", edit(budget)).status_code == 302
    assert client.post(f"/o/acme/budgets/{budget.id}/archive").status_code == 302


@pytest.mark.parametrize("role", READERS)
def test_readers(tenant: Tenant, role: Role) -> None:
    budget = make_budget(tenant)
    client = as_role(tenant, role)
    for path in ("/o/acme/budgets", f"/o/acme/budgets/{budget.id}"):
        page = text(client.get(path))
        assert "budget" in page
        for action in ("budgets/new", "/edit", "/archive"):
            assert f'{action}"' not in page
    for path, form in (("new", FORM), (f"{budget.id}/edit", edit(budget, name="mine")), (f"{budget.id}/archive", {})):
        assert client.get(f"/o/acme/budgets/{path}").status_code == 403
        assert client.post(f"/o/acme/budgets/{path}", form).status_code == 403
    assert [each.name for each in budgets(tenant)] == ["budget"]


def test_strangers_get_what_a_missing_page_gets(tenant: Tenant, stranger: Tenant) -> None:
    budget = make_budget(tenant)
    outside = signed_in(stranger.owner)
    for path in ("", "/new", f"/{budget.id}", f"/{budget.id}/edit", f"/{budget.id}/archive"):
        missing = outside.get(f"/o/nobody/budgets{path}")
        for organization in ("acme", "nobody"):
            assert outside.get(f"/o/{organization}/budgets{path}").status_code == 404
            assert outside.post(f"/o/{organization}/budgets{path}", FORM | edit(budget)).status_code in {404, 405}
        assert _without_id(outside.get(f"/o/acme/budgets{path}")) == _without_id(missing)
    # Through the own organization, too, a foreign budget is as missing as any.
    for number in (budget.id, 17, 10**30):
        for path in ("", "/edit", "/archive"):
            assert outside.get(f"/o/globex/budgets/{number}{path}").status_code == 404
        assert outside.post(f"/o/globex/budgets/{number}/archive").status_code == 404
    assert len(budgets(tenant)) == 1


def _without_id(response: Any) -> str:
    return re.sub(r"[0-9A-Z]{26}", "", text(response))


def test_without_signing_in_the_login_comes_first(tenant: Tenant) -> None:
    budget = make_budget(tenant)
    for path in ("", "/new", f"/{budget.id}", f"/{budget.id}/edit", f"/{budget.id}/archive"):
        response = Client().get(f"/o/acme/budgets{path}")
        assert response.status_code == 302
        assert response["Location"].startswith("/accounts/login/")
    assert Client().post(f"/o/acme/budgets/{budget.id}/archive").status_code == 302
    assert len(budgets(tenant)) == 1


def test_a_form_of_another_site_does_nothing(tenant: Tenant) -> None:
    budget = make_budget(tenant)
    client = signed_in(tenant.owner, enforce_csrf_checks=True)
    for path, form in (("new", FORM), (f"{budget.id}/edit", edit(budget)), (f"{budget.id}/archive", {})):
        assert client.post(f"/o/acme/budgets/{path}", form).status_code == 403
    assert len(budgets(tenant)) == 1


def test_only_the_methods_that_mean_something(tenant: Tenant, owner: Client) -> None:
    budget = make_budget(tenant)
    assert owner.post("/o/acme/budgets").status_code == 405
    assert owner.delete(f"/o/acme/budgets/{budget.id}").status_code == 405
    assert owner.put(f"/o/acme/budgets/{budget.id}/edit").status_code == 405


# Everything a budget may have


def test_a_budget_on_a_value_with_all_its_terms(tenant: Tenant, owner: Client) -> None:
    given = FORM | {
        "scope": "customer", "value": "acme", "within": str(tenant.team.id), "unit": "tokens", "limit": "2,000,000",
        "period": "rolling", "rolling_days": "30", "enforcement": "hard", "shadow": "yes", "overcommit": "no",
        "threshold_amounts": "500,000 1,000,000", "forecast_thresholds": "", "rollover": "", "action0_at": "80",
        "action0_do": "throttle", "action0_requests": "60", "action0_tokens": "",
    }  # fmt: skip
    assert owner.post("/o/acme/budgets/new", given).status_code == 302
    (budget,) = budgets(tenant)
    assert (budget.scope_type, budget.value, budget.team_id, budget.unit) == (
        "customer", "acme", tenant.team.id, "tokens",
    )  # fmt: skip
    assert (budget.limit, budget.rolling_days, budget.threshold_amounts) == (2_000_000, 30, [500_000, 1_000_000])
    assert (budget.enforcement, budget.shadow, budget.overcommit, budget.when_unavailable) == (
        "hard", True, False, "closed",
    )  # fmt: skip
    page = text(owner.get(f"/o/acme/budgets/{budget.id}"))
    for said in ("customer acme in Default", "shadow: would block at the limit", "Throttle to 60 requests per minute"):
        assert said in page
    assert "last 30 days" in text(owner.get("/o/acme/budgets"))
    # What the form shows can be sent back, and what is not sent stays.
    shown = text(owner.get(f"/o/acme/budgets/{budget.id}/edit"))
    assert 'value="500,000 1,000,000"' in shown
    changed = {"name": "b", "limit": "3,000,000", "thresholds": "", "version": "1", "limit_from": "2099-01-01"}
    assert owner.post(f"/o/acme/budgets/{budget.id}/edit", changed).status_code == 302
    (after,) = budgets(tenant)
    assert (after.limit, after.threshold_amounts, after.shadow, after.overcommit) == (
        2_000_000, [500_000, 1_000_000], True, False,
    )  # fmt: skip
    page = text(owner.get(f"/o/acme/budgets/{budget.id}"))
    assert "3,000,000 tokens" in page
    assert "planned" in page


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "customer"},
        {"scope": "tag", "value": "prod"},
        {"scope": "customer", "value": "acme", "within": "17"},
        {"unit": "tokens", "limit": "1.5"},
        {"unit": "euros"},
        {"period": "rolling", "rolling_days": "1"},
        {"period": "total", "forecast_thresholds": "100"},
        {"threshold_amounts": "0"},
        {"forecast_thresholds": "1001"},
        {"rollover": "-1"},
        {"grace_seconds": "86401"},
        {"action0_at": "80", "action0_do": "throttle"},
        {"action0_at": "101", "action0_do": "block"},
        {"enforcement": "firm"},
    ],
)
def test_terms_that_cannot_be(tenant: Tenant, owner: Client, changes: dict[str, str]) -> None:
    response = owner.post("/o/acme/budgets/new", FORM | changes)
    assert response.status_code == 422
    assert budgets(tenant) == []


@pytest.mark.parametrize("period", ["hour", "quarter", "year", "rolling", "total"])
def test_longer_and_endless_windows_have_a_page(tenant: Tenant, owner: Client, prices: None, period: str) -> None:
    days = 30 if period == "rolling" else None
    budget = make_budget(tenant, on="tag", tag_name="env", value="prod", period=period, rolling_days=days)
    use(tenant, event(tags={"env": "prod"}))
    assert "$0.00023" in text(owner.get(f"/o/acme/budgets/{budget.id}"))
    assert "tag env = prod" in text(owner.get("/o/acme/budgets"))


def test_names_that_callers_used_are_offered(tenant: Tenant, owner: Client, prices: None) -> None:
    use(tenant, event(customer="acme", tags={"env": "prod"}))
    page = text(owner.get("/o/acme/budgets/new?scope=customer&value=acme"))
    assert '<option value="acme" label="customer">' in page
    assert '<option value="prod" label="tag env">' in page
    assert 'value="customer" selected' in page


def test_a_whole_that_is_over_committed_says_so(tenant: Tenant, owner: Client) -> None:
    whole = make_budget(tenant, "Whole", limit=100 * USD)
    for name in ("A", "B"):
        make_budget(tenant, name, team=make_team(tenant, name), limit=60 * USD)
    assert "over-committed by $20.00" in text(owner.get("/o/acme/budgets"))
    assert "$20.00 more than this" in text(owner.get(f"/o/acme/budgets/{whole.id}"))
