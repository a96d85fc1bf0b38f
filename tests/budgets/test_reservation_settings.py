"""Rate limits, lists of models and the ladder over the API; what is reserved and /metrics."""

from typing import Any

import pytest
from django.test import Client

from budgets.reservations.counts import counts
from budgets.reservations.models import LadderStep, ModelAllowance, RateLimit
from budgets.reservations.tasks import forget_old_reservations
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.budgets.support import Caller
from tests.budgets.test_authorizations import ask, hard, nothing_believed, refusals
from tests.factories import Tenant, make_token

__all__ = ["ask", "nothing_believed"]

KINDS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "rate-limits": (RateLimit, {"requests_per_minute": 5}, {"requests_per_minute": 7, "tokens_per_minute": 9}),
    "model-allowances": (ModelAllowance, {"models": ["gpt-4o"]}, {"models": ["gpt-4o", "o3*"]}),
    "model-ladder": (LadderStep, {"from": "gpt-4o", "to": "gpt-4o-mini"}, {"from": "gpt-4o", "to": "gpt-4.1-nano"}),
}


def on(tenant: Tenant, kind: str) -> dict[str, Any]:
    return {} if kind == "model-ladder" else {"scope": {"type": "team", "id": str(tenant.team.id)}}


@pytest.mark.parametrize("kind", KINDS)
def test_set_replaced_and_removed(tenant: Tenant, stranger: Tenant, kind: str) -> None:
    model, first, second = KINDS[kind]
    api = Caller(make_token(tenant, "budgets:read", "budgets:write"))
    made = api("POST", kind, on(tenant, kind) | first)
    assert made.status == 201
    assert made.body.items() >= (on(tenant, kind) | first).items()
    again = api("POST", kind, on(tenant, kind) | second)
    assert (again.status, again.body["id"]) == (200, made.body["id"])
    assert api("GET", kind).body == {"data": [again.body], "next": None}
    other = Caller(make_token(stranger, "budgets:read", "budgets:write"))
    assert other("GET", kind).body["data"] == []
    assert other("DELETE", f"{kind}/{made.body['id']}").problem == (404, "not-found")
    reader = Caller(make_token(tenant, "budgets:read"))
    assert reader("DELETE", f"{kind}/{made.body['id']}").problem == (403, "insufficient-scope")
    assert reader("POST", kind, on(tenant, kind) | first).problem == (403, "insufficient-scope")
    assert Caller(tenant.bearer)("GET", kind).problem == (403, "insufficient-scope")
    assert api("GET", kind).body["data"] == [again.body]
    assert api("DELETE", f"{kind}/{made.body['id']}").status == 204
    assert api("DELETE", f"{kind}/{made.body['id']}").problem == (404, "not-found")
    with organization_scope(tenant.id):
        assert model.objects.count() == 0
        actions = AuditEntry.objects.filter(target__endswith=made.body["id"]).order_by("at", "id")
        assert [entry.action.rpartition(".")[2] for entry in actions] == ["set", "set", "removed"]


@pytest.mark.parametrize(
    ("kind", "body", "pointer"),
    [
        ("rate-limits", {}, ""),
        ("rate-limits", {"requests_per_minute": 0}, "/requests_per_minute"),
        ("rate-limits", {"requests_per_minute": "5"}, "/requests_per_minute"),
        ("rate-limits", {"requests_per_minute": True}, "/requests_per_minute"),
        ("rate-limits", {"tokens_per_minute": 2**31}, "/tokens_per_minute"),
        ("model-allowances", {}, "/models"),
        ("model-allowances", {"models": [""]}, "/models/0"),
        ("model-ladder", {"from": "a", "to": "a"}, "/to"),
        ("model-ladder", {"from": "a"}, "/to"),
    ],
)
def test_bad_settings_change_nothing(tenant: Tenant, kind: str, body: dict[str, Any], pointer: str) -> None:
    answer = Caller(make_token(tenant, "budgets:write"))("POST", kind, on(tenant, kind) | body)
    assert (answer.problem, answer.pointers) == ((422, "validation-error"), [pointer])
    with organization_scope(tenant.id):
        assert KINDS[kind][0].objects.count() == 0


def test_a_ladder_that_leads_back_is_refused(tenant: Tenant) -> None:
    api = Caller(make_token(tenant, "budgets:read", "budgets:write"))
    for step in ({"from": "a", "to": "b"}, {"from": "b", "to": "c"}):
        assert api("POST", "model-ladder", step).status == 201
    before = api("GET", "model-ladder").body
    refused = api("POST", "model-ladder", {"from": "c", "to": "a"})
    assert (refused.problem, refused.pointers) == ((422, "validation-error"), ["/to"])
    assert refused.body["errors"][0]["code"] == "loop"
    assert api("GET", "model-ladder").body == before


def test_a_foreign_team_is_unknown(tenant: Tenant, stranger: Tenant) -> None:
    api = Caller(make_token(tenant, "budgets:write"))
    for scope in (on(stranger, "rate-limits")["scope"], {"type": "virtual_key", "id": "1"}):
        assert api("POST", "rate-limits", {"scope": scope, "requests_per_minute": 1}).pointers == ["/scope/id"]


def test_a_budget_says_what_is_reserved(tenant: Tenant, ask: Any) -> None:
    budget = hard(tenant)
    ask()
    current = Caller(make_token(tenant, "budgets:read"))("GET", f"budgets/{budget.id}").body["current"]
    assert (current["spent"], current["reserved"]) == ("0.000000000", "0.000440000")


def test_metrics_count_what_became_of_authorizations(tenant: Tenant, ask: Any) -> None:
    hard(tenant, limit=440_000)
    ask()
    ask()
    counts.write()
    lines = Client().get("/metrics").content.decode().splitlines()
    for outcome in ("allowed", "refused"):
        assert f'costhub_authorizations_total{{outcome="{outcome}"}} 1.0' in lines
    assert "costhub_budget_counters_drifted 0.0" in lines


def test_refusals_are_kept_for_90_days(tenant: Tenant, ask: Any) -> None:
    hard(tenant, limit=1)
    ask()
    forget_old_reservations()
    (kept,) = refusals(tenant)
    with organization_scope(tenant.id):
        type(kept).objects.update(at="2026-01-01T00:00:00Z")
    forget_old_reservations()
    assert refusals(tenant) == []
