"""Back-tests over the API and from the form: nothing is ever written."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from budgets.models import Budget, BudgetAction, Enforcement
from tenants.access import organization_scope
from tenants.roles import Role
from tests.budgets.support import Caller, make_budget, use
from tests.budgets.test_explain import change
from tests.budgets.test_pages import as_role, signed_in, text
from tests.factories import Tenant, make_token, utc_now
from tests.ingest.payloads import event

COST = 227_500
BODY = {
    "scope": {"type": "organization"}, "limit": "0.000500", "period": {"type": "month"}, "enforcement": "hard",
    "thresholds": [50, {"amount": "0.0004"}], "actions": [{"at_percent": 95, "action": "block"}],
}  # fmt: skip
FORM = {"scope": "organization", "limit": "0.0005", "period": "month", "week_start": "monday", "timezone": "UTC",
        "thresholds": "50, 80", "enforcement": "hard", "try": "1"}  # fmt: skip


@pytest.fixture
def reader(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "budgets:read"))


@pytest.fixture
def used(tenant: Tenant, stranger: Tenant, prices: None) -> None:
    use(tenant, *(event(customer="acme") for _ in range(4)))
    use(stranger, event())


def everything(tenant: Tenant) -> Any:
    with organization_scope(tenant.id):
        return list(Budget.objects.values()), list(BudgetAction.objects.values())


@pytest.mark.usefixtures("used")
def test_a_budget_before_it_is_set(tenant: Tenant, reader: Caller) -> None:
    answer = reader("POST", "budgets/backtest", BODY | {"days": 7})
    assert answer.status == 200
    body = answer.body
    assert (body["exact_to"], body["unit"], body["limit"]) == ("event", "cost", "0.000500000")
    assert body["total"] == {"requests": 4, "amount": "0.000910000", "cost": "0.000910000"}
    assert body["stopped"]["requests"] == body["refused"]["requests"] == 2
    assert body["allowed"]["cost"] == "0.000455000"
    (window,) = body["windows"]
    crossed = [(each["percent"], each["amount"]) for each in window["thresholds"]]
    assert crossed == [(50, "0.000250000"), (None, "0.000400000")]
    assert window["stopped_from"] is not None
    assert body["affected"]["customer"] == [{"value": "acme", "name": "acme", "requests": 2, "cost": "0.000455000"}]
    assert "would have stopped 2 of 4 calls" in body["summary"]
    assert everything(tenant) == ([], [])


@pytest.mark.usefixtures("used")
def test_a_saved_one_as_it_stands_and_with_changes(tenant: Tenant, reader: Caller) -> None:
    budget = make_budget(tenant, "Tokens", limit=5000)
    change(tenant, budget, unit="tokens")
    before = everything(tenant)

    def stopped(**changes: Any) -> int:
        answer = reader("POST", f"budgets/{budget.id}/backtest", changes)
        assert answer.status == 200, answer.body
        return int(answer.body["stopped"]["requests"])

    assert stopped() == 0
    assert stopped(enforcement="hard") == 2
    assert stopped(enforcement="hard", limit="7000", days=90) == 0
    assert stopped(actions=[{"at_percent": 30, "action": "approve"}]) == 3
    assert everything(tenant) == before


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"days": 0}, "/days"),
        ({"days": 91}, "/days"),
        ({"days": "30"}, "/days"),
        ({"limit": "0"}, "/limit"),
        ({"limit": "-1"}, "/limit"),
        ({"period": {"type": "month", "timezone": "Mars/Base"}}, "/timezone"),
        ({"period": {"type": "rolling"}}, "/period/days"),
        ({"thresholds": [101]}, "/thresholds/0"),
        ({"scope": {"type": "team", "id": "{stranger}"}}, "/scope/id"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_what_cannot_be_tried(
    tenant: Tenant, stranger: Tenant, reader: Caller, changes: dict[str, Any], pointer: str
) -> None:  # fmt: skip
    if "scope" in changes:
        changes = {"scope": {"type": "team", "id": str(stranger.team.id)}}
    answer = reader("POST", "budgets/backtest", BODY | changes)
    assert answer.problem == (422, "validation-error")
    assert any(found.startswith(pointer) for found in answer.pointers), answer.pointers


def test_who_may(tenant: Tenant, stranger: Tenant, reader: Caller) -> None:
    budget = make_budget(tenant)
    theirs = Caller(make_token(stranger, "budgets:read"))
    assert theirs("POST", f"budgets/{budget.id}/backtest", {}).problem == (404, "not-found")
    assert reader("POST", "budgets/nonsense/backtest", {}).problem == (404, "not-found")
    for caller in (Caller(make_token(tenant, "usage:read")), Caller(tenant.bearer)):
        assert caller("POST", "budgets/backtest", BODY).problem == (403, "insufficient-scope")
    assert reader("GET", "budgets/backtest").problem == (405, "method-not-allowed")


# From the form


@pytest.mark.usefixtures("used")
def test_on_the_form_of_a_new_budget(tenant: Tenant) -> None:
    finance = as_role(tenant, Role.FINANCE)
    page = finance.post("/o/acme/budgets/new", FORM | {"name": "kept"})
    assert page.status_code == 200
    for words in ("It would have stopped 2 of 4 calls", "Nothing is saved", 'value="kept"', "first key", "acme"):
        assert words in text(page)
    part = finance.post("/o/acme/budgets/new", FORM, headers={"HX-Request": "true"})
    assert text(part).lstrip().startswith('<section class="card" id="trial"')
    assert everything(tenant) == ([], [])


@pytest.mark.usefixtures("used")
def test_on_the_form_of_one_that_is_there(tenant: Tenant) -> None:
    budget = make_budget(tenant, "Old", limit=10**12)
    change(tenant, budget, enforcement=Enforcement.HARD)
    before = everything(tenant)
    form = {"name": "New", "limit": "0.0003", "thresholds": "50", "version": "1", "try": "1"}
    page = signed_in(tenant.owner).post(f"/o/acme/budgets/{budget.id}/edit", form)
    assert "It would have stopped 3 of 4 calls" in text(page)
    assert everything(tenant) == before


def test_what_is_wrong_stands_in_its_place(tenant: Tenant) -> None:
    owner = signed_in(tenant.owner)
    wrong = FORM | {"limit": "plenty", "scope": "customer", "timezone": "Mars/Base"}
    assert owner.post("/o/acme/budgets/new", wrong).status_code == 422
    part = owner.post("/o/acme/budgets/new", wrong, headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "Limit: Write an amount in US dollars" in text(part)
    assert "Time zone: " in text(part)
    unnamed = owner.post("/o/acme/budgets/new", FORM | {"scope": "customer"}, headers={"HX-Request": "true"})
    assert "Value: Name what it limits" in text(unnamed)
    assert everything(tenant) == ([], [])


@pytest.mark.usefixtures("used")
def test_past_windows_below_the_limit(tenant: Tenant, stranger: Tenant) -> None:
    owner = signed_in(tenant.owner)

    def said(**given: str) -> str:
        response = owner.get("/o/acme/budgets/past-use", given)
        assert response.status_code == 200
        return text(response).strip()

    assert said() == said(period="hour", limit="1") == ""  # nothing has ended yet
    assert said(scope="customer") == said(scope="nonsense") == said(timezone="Mars/Base") == ""
    budget = make_budget(stranger)
    assert owner.get("/o/acme/budgets/past-use", {"budget": str(budget.id)}).status_code == 404
    assert owner.get("/o/acme/budgets/past-use", {"budget": "x"}).status_code == 404


def test_past_windows_of_a_name_that_sums_do_not_keep_apart(
    tenant: Tenant, prices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usage.dimensions.LIMIT", 1)
    yesterday = utc_now() - timedelta(days=1)
    for customer in ("acme", "zeta"):
        use(tenant, event(time=yesterday.isoformat(), customer=customer))
    owner, asked = signed_in(tenant.owner), {"scope": "customer", "period": "day", "timezone": "UTC"}
    assert "The last day came to" in text(owner.get("/o/acme/budgets/past-use", asked | {"value": "acme"}))
    said = text(owner.get("/o/acme/budgets/past-use", asked | {"value": "zeta"}))
    assert f"in {yesterday:%B %Y} than sums keep apart, and customer zeta is not" in said


@pytest.mark.usefixtures("used")
def test_only_who_may_set_budgets_tries_them(tenant: Tenant, stranger: Tenant) -> None:
    clients: dict[Client, int] = {as_role(tenant, Role.VIEWER): 403, signed_in(stranger.owner): 404}
    for client, status in clients.items():
        assert client.post("/o/acme/budgets/new", FORM).status_code == status
        assert client.get("/o/acme/budgets/past-use").status_code == status
