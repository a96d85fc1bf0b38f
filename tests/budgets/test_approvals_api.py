"""Requests, decisions, policy, transfers and pauses over the API, for tokens, keys and strangers."""

from datetime import timedelta
from typing import Any

import pytest

from budgets.limits import limits_now
from budgets.models import ApprovalPolicy, Budget, BudgetLimit, IncreaseRequest
from tenants.access import organization_scope
from tests.budgets.support import USD, Answer, Caller, make_budget, use
from tests.factories import Tenant, make_key, make_team, make_token, utc_now
from tests.ingest.payloads import event


def until(days: int) -> str:
    return (utc_now() + timedelta(days=days)).isoformat()


@pytest.fixture
def automation(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "budgets:write", "budgets:read"))


@pytest.fixture
def holder(tenant: Tenant) -> Caller:
    """Of the tenant's virtual key."""
    return Caller(tenant.bearer)


def ask(caller: Caller, budget: Budget, **given: Any) -> Answer:
    body = {"amount": "20.00", "until": until(7), "reason": "The launch"} | given
    return caller("POST", f"budgets/{budget.id}/increase-requests", body)


def limit(tenant: Tenant, budget: Budget) -> int:
    with organization_scope(tenant.id):
        return limits_now([Budget.objects.get(id=budget.id)], utc_now())[budget.id]


def count(tenant: Tenant, model: type[Any]) -> int:
    with organization_scope(tenant.id):
        return int(model.objects.count())


def test_a_key_asks_and_a_token_decides(tenant: Tenant, holder: Caller, automation: Caller) -> None:
    budget = make_budget(tenant, "Search", team=tenant.team)
    asked = ask(holder, budget)
    assert asked.status == 201
    assert (asked.body["amount"], asked.body["unit"], asked.body["state"]) == ("20.000000000", "cost", "pending")
    assert asked.headers["ETag"] == '"1"'
    path = asked.headers["Location"].removeprefix("/api/v1/")
    assert holder("GET", path).body == automation("GET", path).body == asked.body
    waiting = automation("GET", "increase-requests?waiting=true").body["data"]
    assert [each["id"] for each in waiting] == [asked.body["id"]]
    decided = automation("POST", f"{path}/decision", {"decision": "approve", "note": "fine"}, If_Match='"1"')
    assert (decided.status, decided.body["state"], decided.body["note"]) == (200, "approved", "fine")
    assert limit(tenant, budget) == 120 * USD
    again = automation("POST", f"{path}/decision", {"decision": "deny"})
    assert again.problem == (409, "conflict")
    stale = automation("POST", f"{path}/decision", {"decision": "deny"}, If_Match='"1"')
    assert stale.problem == (412, "stale-write")
    assert holder("DELETE", path).problem == (409, "conflict")
    assert automation("GET", "increase-requests?waiting=true").body["data"] == []
    assert limit(tenant, budget) == 120 * USD


def test_a_key_asks_for_what_it_counts_in_and_sees_its_own(tenant: Tenant, holder: Caller, automation: Caller) -> None:
    other = make_team(tenant, "Other")
    elsewhere = make_budget(tenant, "elsewhere", team=other)
    assert ask(holder, elsewhere).problem == (404, "not-found")
    mine, everybodys = make_budget(tenant, "mine", key=tenant.key), make_budget(tenant, "all")
    assert ask(holder, mine).status == ask(holder, everybodys).status == 201
    theirs = ask(automation, everybodys)
    assert theirs.status == 201
    listed = holder("GET", f"budgets/{everybodys.id}/increase-requests").body["data"]
    assert len(listed) == 1
    assert len(automation("GET", f"budgets/{everybodys.id}/increase-requests").body["data"]) == 2
    path = f"increase-requests/{theirs.body['id']}"
    assert holder("GET", path).problem == holder("DELETE", path).problem == (404, "not-found")
    assert holder("GET", "increase-requests").problem == (403, "insufficient-scope")
    own = f"increase-requests/{listed[0]['id']}"
    assert holder("POST", f"{own}/decision", {"decision": "approve"}).problem == (403, "insufficient-scope")
    assert holder("DELETE", own).status == 204
    assert automation("POST", f"{path}/decision", {"decision": "approve"}).problem == (403, "forbidden")
    assert limit(tenant, everybodys) == 100 * USD


def test_scopes(tenant: Tenant) -> None:
    budget = make_budget(tenant)
    reader = Caller(make_token(tenant, "budgets:read"))
    for method, path, body in (
        ("POST", f"budgets/{budget.id}/increase-requests", {}),
        ("PUT", "approval-policy", {}),
        ("POST", f"budgets/{budget.id}/transfers", {}),
        ("POST", f"budgets/{budget.id}/pause", {}),
        ("DELETE", f"budgets/{budget.id}/pause", None),
    ):
        assert reader(method, path, body).problem == (403, "insufficient-scope"), path
    assert reader("GET", "approval-policy").status == reader("GET", "increase-requests").status == 200


def test_a_stranger_finds_nothing(tenant: Tenant, stranger: Tenant, automation: Caller) -> None:
    budget = make_budget(tenant)
    asked = ask(automation, budget).body["id"]
    other = Caller(make_token(stranger, "budgets:write", "budgets:read"))
    for method, path, body in (
        ("POST", f"budgets/{budget.id}/increase-requests", {"amount": "1", "reason": "x"}),
        ("GET", f"budgets/{budget.id}/increase-requests", None),
        ("GET", f"increase-requests/{asked}", None),
        ("DELETE", f"increase-requests/{asked}", None),
        ("POST", f"increase-requests/{asked}/decision", {"decision": "approve"}),
        ("POST", f"budgets/{budget.id}/transfers", {"to": str(budget.id), "amount": "1", "reason": "x"}),
        ("POST", f"budgets/{budget.id}/pause", {"until": until(1)}),
        ("DELETE", f"budgets/{budget.id}/pause", None),
    ):
        foreign, missing = other(method, path, body), other(method, path.replace(str(budget.id), "7"), body)
        assert foreign.problem == missing.problem == (404, "not-found"), path
    assert other("GET", "increase-requests").body["data"] == []
    assert limit(tenant, budget) == 100 * USD


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"amount": 20}, "/amount"),
        ({"amount": "0"}, "/amount"),
        ({"amount": "-1"}, "/amount"),
        ({"amount": "NaN"}, "/amount"),
        ({"amount": "1" + "0" * 30}, "/amount"),
        ({"amount": "0.0000000001"}, "/amount"),
        ({"amount": "1000000000"}, "/amount"),
        ({"until": "2026-01-01"}, "/until"),
        ({"until": "2020-01-01T00:00:00Z"}, "/until"),
        ({"until": until(400)}, "/until"),
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"state": "approved"}, "/state"),
    ],
)
def test_what_makes_no_sense_is_not_asked(
    tenant: Tenant, automation: Caller, wrong: dict[str, Any], pointer: str
) -> None:
    refused = ask(automation, make_budget(tenant), **wrong)
    assert refused.problem == (422, "validation-error")
    assert refused.pointers == [pointer]
    assert count(tenant, IncreaseRequest) == 0


def test_once_per_budget(tenant: Tenant, automation: Caller) -> None:
    budget = make_budget(tenant)
    assert ask(automation, budget).status == 201
    assert ask(automation, budget).problem == (409, "conflict")
    assert count(tenant, IncreaseRequest) == 1


@pytest.mark.parametrize("wrong", [{}, {"decision": "maybe"}, {"decision": "approve", "note": "x" * 501}, []])
def test_a_wrong_decision_decides_nothing(tenant: Tenant, holder: Caller, automation: Caller, wrong: Any) -> None:
    asked = ask(holder, make_budget(tenant)).body["id"]
    assert automation("POST", f"increase-requests/{asked}/decision", wrong).problem == (422, "validation-error")
    assert automation("GET", f"increase-requests/{asked}").body["state"] == "pending"


def test_pages_of_a_list(tenant: Tenant, automation: Caller) -> None:
    for name in ("a", "b", "c"):
        ask(automation, make_budget(tenant, name))
    first = automation("GET", "increase-requests?limit=2").body
    rest = automation("GET", f"increase-requests?limit=2&cursor={first['next']}").body
    assert [each["budget"]["name"] for each in first["data"] + rest["data"]] == ["c", "b", "a"]
    assert rest["next"] is None
    assert automation("GET", "increase-requests?waiting=perhaps").problem == (422, "validation-error")
    assert automation("GET", "increase-requests?order=amount").problem == (422, "validation-error")


def test_the_policy(tenant: Tenant, automation: Caller) -> None:
    assert automation("GET", "approval-policy").body == {"manager_amount": None, "manager_percent": None}
    set_ = automation("PUT", "approval-policy", {"manager_amount": "250.00"}).body
    assert set_ == {"manager_amount": "250.000000000", "manager_percent": None}
    assert automation("PUT", "approval-policy", {"manager_percent": 20}).status == 200
    for wrong in (
        {"manager_percent": 0},
        {"manager_percent": 101},
        {"manager_percent": "20"},
        {"manager_percent": True},
        {"manager_percent": 20, "manager_amount": "1.00"},
        {"manager_amount": "0"},
    ):
        assert automation("PUT", "approval-policy", wrong).problem == (422, "validation-error"), wrong
    with organization_scope(tenant.id):
        policy = ApprovalPolicy.objects.get()
    assert (policy.manager_amount, policy.manager_percent) == (None, 20)


def test_a_transfer(tenant: Tenant, automation: Caller, prices: None) -> None:
    key, _ = make_key(tenant, "second")
    source, target = make_budget(tenant, "source", key=tenant.key), make_budget(tenant, "target", key=key)
    use(tenant, event())
    body = {"to": str(target.id), "amount": "30.00", "reason": "They launch"}
    moved = automation("POST", f"budgets/{source.id}/transfers", body)
    assert moved.status == 201
    assert (moved.body["from"]["limit"], moved.body["to"]["limit"]) == ("70.000000000", "130.000000000")
    assert (limit(tenant, source), limit(tenant, target)) == (70 * USD, 130 * USD)
    for wrong in ({"amount": "70.00"}, {"to": "7"}, {"to": str(source.id)}, {"to": "x"}, {"reason": " "}):
        refused = automation("POST", f"budgets/{source.id}/transfers", body | wrong)
        assert refused.problem == (422, "validation-error"), wrong
    with organization_scope(tenant.id):
        assert BudgetLimit.objects.filter(kind="transfer").count() == 2


def test_a_pause(tenant: Tenant, automation: Caller) -> None:
    budget = make_budget(tenant)
    paused = automation("POST", f"budgets/{budget.id}/pause", {"until": until(90)})
    assert (paused.status, paused.headers["ETag"]) == (200, '"2"')
    for wrong in ({"until": until(91)}, {"until": until(-1)}, {"until": "soon"}, {}, {"until": None}):
        refused = automation("POST", f"budgets/{budget.id}/pause", wrong)
        assert refused.problem == (422, "validation-error"), wrong
    with organization_scope(tenant.id):
        assert Budget.objects.get().paused_until is not None
    assert automation("DELETE", f"budgets/{budget.id}/pause").body["paused_until"] is None
    assert automation("DELETE", f"budgets/{budget.id}/pause").headers["ETag"] == '"3"'
    with organization_scope(tenant.id):
        assert Budget.objects.get().paused_until is None
