"""/api/v1/authorizations: what is allowed, what is refused and what the answer says of it."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from budgets.applying import Subject
from budgets.models import Action, Budget, BudgetAction, BudgetLimit
from budgets.reservations import authorize as authorizing
from budgets.reservations.governing import common_of, forget_governing
from budgets.reservations.models import LadderStep, ModelAllowance, RateLimit, Refusal
from budgets.reservations.outage import Outage
from budgets.reservations.settled import engine
from tenants.access import organization_scope
from tests.budgets.support import USD, Answer, Caller, make_budget
from tests.factories import Tenant, make_key, make_team, make_token, utc_now

# 1,200 tokens of input at 0.10 and 800 of output at 0.40 USD per million.
HELD = 440_000


@pytest.fixture(autouse=True)
def nothing_believed() -> Iterator[None]:
    forget_governing()
    yield
    forget_governing()


@pytest.fixture
def ask(tenant: Tenant, prices: None) -> Callable[..., Answer]:
    caller, ids = Caller(tenant.bearer), iter(range(1_000))

    def authorization(**fields: Any) -> Answer:
        forget_governing()
        return caller("POST", "authorizations", request(next(ids), **fields))

    return authorization


def request(number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"attempt-{number}",
        "provider": "openai",
        "model": "gpt-4.1-nano",
        "estimate": {"input_tokens": 1200, "max_output_tokens": 800},
    } | fields


def hard(tenant: Tenant, name: str = "budget", *, limit: int = USD, **fields: Any) -> Budget:
    """A budget that blocks; the rest as it is written down."""
    measure = {key: fields.pop(key) for key in ("team", "key", "period", "timezone") if key in fields}
    budget = make_budget(tenant, name, limit=limit, **measure)
    with organization_scope(tenant.id):
        values = {"enforcement": "hard", "when_unavailable": "closed", **fields}
        Budget.objects.filter(id=budget.id).update(**values)
        BudgetLimit.objects.filter(budget=budget).delete()
        budget.refresh_from_db()
    return budget


def act(tenant: Tenant, budget: Budget, percent: int, action: Action, **rates: int) -> None:
    with organization_scope(tenant.id):
        BudgetAction.objects.create(
            organization=tenant.organization, budget=budget, at_percent=percent, action=action, **rates
        )


def refusals(tenant: Tenant) -> list[Refusal]:
    with organization_scope(tenant.id):
        return list(Refusal.objects.order_by("id"))


def test_allowed_with_what_it_holds(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    budget = hard(tenant)
    before = utc_now()
    answer = ask()
    assert answer.status == 201
    body = answer.body
    assert body["authorization"].startswith("res_")
    assert answer.headers["Location"] == f"/api/v1/authorizations/{body['authorization']}"
    expires = datetime.fromisoformat(body.pop("expires_at"))
    assert timedelta(seconds=110) < expires - before < timedelta(seconds=130)
    del body["authorization"]
    assert body == {
        "state": "held", "decision": "allow", "held": "0.000440000", "max_output_tokens": 800, "counted": True,
        "applies": [
            {
                "budget": str(budget.id), "name": "budget", "unit": "cost", "remaining": "0.999560000",
                "would_have_refused": False,
            }
        ],
        "suggest": None,
    }  # fmt: skip


def test_without_budgets_everything_is_allowed(ask: Callable[..., Answer]) -> None:
    assert ask().body["applies"] == []


def test_refused_by_the_budget_that_has_no_room(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    hard(tenant, "wide")
    tight = hard(tenant, "tight", team=tenant.team, limit=2 * HELD - 1)
    assert ask().status == 201
    refused = ask(customer="acme")
    assert refused.problem == (402, "budget-exceeded")
    body = refused.body
    assert body["budget"] == {"id": str(tight.id), "name": "tight", "scope": "team", "unit": "cost"}
    assert {name: body[name] for name in ("limit", "spent", "reserved", "requested")} == {
        "limit": "0.000879999", "spent": "0.000000000", "reserved": "0.000440000", "requested": "0.000440000",
    }  # fmt: skip
    assert body["may_raise"] == {"roles": ["owner", "admin", "finance"], "members": ["owner@acme.example"]}
    assert datetime.fromisoformat(body["resets_at"]) > utc_now()
    (kept,) = refusals(tenant)
    assert (kept.request_id, kept.budget_id, kept.reason, kept.shadow) == (
        body["request_id"], tight.id, "budget-exceeded", False,
    )  # fmt: skip
    assert kept.details["limit"] == str(2 * HELD - 1)
    assert (kept.subject["customer"], kept.virtual_key_id) == ("acme", tenant.key.id)
    # The wide one holds nothing for what the tight one refused.
    standing = engine().standing(tenant.id, engine().counters(tenant.id))
    assert [each and each.held for each in standing] == [HELD, HELD]


def test_exactly_full_is_full(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    hard(tenant, limit=2 * HELD)
    assert [ask().status for _ in range(3)] == [201, 201, 402]
    assert ask(estimate={"input_tokens": 1, "max_output_tokens": 0}).status == 402


def test_by_tokens_and_requests(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    hard(tenant, "tokens", unit="tokens", limit=4_000)
    requests = hard(tenant, "requests", unit="requests", limit=1)
    first = ask().body
    assert {each["unit"]: each["remaining"] for each in first["applies"]} == {"tokens": "2000", "requests": "0"}
    refused = ask()
    assert (refused.body["budget"]["id"], refused.body["requested"]) == (str(requests.id), "1")


def test_a_soft_budget_refuses_nothing(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    make_budget(tenant, limit=1)
    assert ask().body["applies"][0]["remaining"] == "-0.000439999"


def test_shadow_says_what_it_would_have_done(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    budget = hard(tenant, limit=HELD, shadow=True)
    assert ask().body["applies"][0]["would_have_refused"] is False
    assert refusals(tenant) == []
    answer = ask()
    assert (answer.status, answer.body["applies"][0]["would_have_refused"]) == (201, True)
    (kept,) = refusals(tenant)
    assert (kept.budget_id, kept.shadow, kept.details["reserved"]) == (budget.id, True, str(HELD))


def test_paused_it_counts_and_refuses_nothing(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    hard(tenant, limit=1, paused_until=utc_now() + timedelta(hours=1))
    assert ask().body["applies"][0]["remaining"] == "-0.000439999"


def test_the_limit_in_force_counts(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    budget = hard(tenant, limit=1)
    assert ask().status == 402
    with organization_scope(tenant.id):
        BudgetLimit.objects.create(
            organization=tenant.organization, budget=budget, amount=USD, kind="increase", starts_at=utc_now(),
            ends_at=utc_now() + timedelta(hours=1), created_at=utc_now(),
        )  # fmt: skip
    assert ask().status == 201


@pytest.mark.parametrize(
    ("action", "problem", "reason"),
    [
        (Action.BLOCK, "budget-exceeded", "blocked-at-percent"),
        (Action.APPROVE, "approval-required", "approval-required"),
    ],
)
def test_from_a_part_of_the_limit_on(
    tenant: Tenant, ask: Callable[..., Answer], action: Action, problem: str, reason: str
) -> None:
    budget = make_budget(tenant, limit=4 * HELD)
    act(tenant, budget, 50, action)
    assert [ask().status for _ in range(2)] == [201, 201]
    refused = ask()
    assert refused.problem == (402, problem)
    assert (refused.body["reason"], refused.body["percent"]) == (reason, 50)
    assert [kept.reason for kept in refusals(tenant)] == [reason]


def test_a_cheaper_model_is_suggested(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    budget = make_budget(tenant, limit=4 * HELD)
    act(tenant, budget, 25, Action.DEGRADE)
    assert ask().body["decision"] == "allow"
    assert ask().body["decision"] == "allow"
    with organization_scope(tenant.id):
        LadderStep.objects.create(
            organization=tenant.organization, from_model="gpt-4.1-nano", to_model="gpt-4o-mini", changed_at=utc_now()
        )
    body = ask().body
    assert (body["decision"], body["suggest"]) == ("allow_degraded", {"model": "gpt-4o-mini"})


def test_throttled_from_a_part_on(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    budget = make_budget(tenant, limit=4 * HELD)
    act(tenant, budget, 25, Action.THROTTLE, requests_per_minute=1)
    assert [ask().status for _ in range(2)] == [201, 201]
    refused = ask()
    assert refused.problem == (429, "rate-limited")
    assert 50 < int(refused.headers["Retry-After"]) <= 60
    assert [(kept.reason, kept.budget_id) for kept in refusals(tenant)] == [("rate-limited", budget.id)]


def test_rates_of_keys_and_of_teams_above(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    child = make_team(tenant, "Child", tenant.team)
    _, secret = make_key(tenant, "below", child)
    with organization_scope(tenant.id):
        RateLimit.objects.create(
            organization=tenant.organization, team=tenant.team, tokens_per_minute=4_000, changed_at=utc_now()
        )
    assert [ask().status for _ in range(2)] == [201, 201]
    below = Caller({"Authorization": f"Bearer {secret}"})("POST", "authorizations", request())
    assert below.problem == (429, "rate-limited")
    assert (below.body["scope"], below.body["id"], below.body["unit"]) == ("team", str(tenant.team.id), "tokens")


def test_only_models_on_every_list(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    def allow(names: list[str], **grantee: Any) -> None:
        with organization_scope(tenant.id):
            ModelAllowance.objects.create(
                organization=tenant.organization, names=names, changed_at=utc_now(), **grantee
            )

    allow(["gpt-4.1*", "gpt-4o"], team=tenant.team)
    assert ask().status == 201
    assert ask(model="gpt-4o-mini").problem == (403, "model-not-allowed")
    allow(["gpt-4o"], virtual_key=tenant.key)
    assert ask().problem == (403, "model-not-allowed")
    assert ask(model="gpt-4o").status == 201
    assert [kept.reason for kept in refusals(tenant)] == ["model-not-allowed"] * 2


@pytest.mark.parametrize(
    ("policy", "status", "held"), [("allow", 201, None), ("estimate", 201, "more"), ("block", 402, None)]
)
def test_models_without_a_price(
    tenant: Tenant, ask: Callable[..., Answer], policy: str, status: int, held: str | None
) -> None:
    hard(tenant, limit=100 * USD, unpriced=policy)
    answer = ask(model="nobody-knows-this")
    assert answer.status == status
    if policy == "block":
        assert answer.problem[1] == "unpriced-model"
        assert [kept.reason for kept in refusals(tenant)] == ["unpriced-model"]
    elif held:
        assert float(answer.body["held"]) > 0.1
    else:
        assert answer.body["held"] == "0.000000000"


def test_what_is_used_up_has_no_place_for_unknown_costs(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    hard(tenant, limit=HELD, unpriced="allow")
    assert ask(model="nobody-knows-this").status == 201
    assert ask().status == 201
    assert ask(model="nobody-knows-this").problem == (402, "budget-exceeded")


def test_the_same_id_again(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    budget = hard(tenant, limit=HELD)
    act(tenant, budget, 1, Action.DEGRADE)
    first = ask(id="x")
    again = ask(id="x")
    assert (again.status, again.body) == (201, first.body)
    assert ask(id="x", model="gpt-4o").problem == (409, "authorization-conflict")
    _, secret = make_key(tenant, "other")
    assert Caller({"Authorization": f"Bearer {secret}"})("POST", "authorizations", request(id="x")).status == 402


def test_a_budget_made_meanwhile_governs_no_call_that_it_is_not_on(tenant: Tenant) -> None:
    """Nobody watched customers when this process looked: until it looks again it tells none apart."""
    common = common_of(tenant.id)
    make_budget(tenant, "acme", on="customer", value="acme")
    for customer in ("acme", "other", ""):
        subject = Subject(tenant.team.id, tenant.key.id, customer=customer)
        assert common.governing(subject) == []
    forget_governing()
    for customer, names in (("acme", ["acme"]), ("other", [])):
        subject = Subject(tenant.team.id, tenant.key.id, customer=customer)
        assert [each.budget.name for each in common_of(tenant.id).governing(subject)] == names


def test_released_renewed_and_shown(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    hard(tenant, limit=HELD)
    first = ask(id="x").body
    caller, path = Caller(tenant.bearer), f"authorizations/{first['authorization']}"
    assert caller("GET", path).body == first
    time.sleep(0.01)
    renewed = caller("POST", f"{path}/renew")
    assert renewed.status == 200
    assert renewed.body["expires_at"] > first["expires_at"]
    assert caller("DELETE", path).status == 204
    assert caller("DELETE", path).status == 204
    assert caller("GET", path).body["state"] == "released"
    assert caller("POST", f"{path}/renew").problem == (409, "authorization-ended")
    assert ask(id="x").problem == (409, "authorization-ended")
    assert ask().status == 201


def test_nobody_elses(tenant: Tenant, stranger: Tenant, ask: Callable[..., Answer]) -> None:
    hard(tenant, limit=HELD)
    path = f"authorizations/{ask().body['authorization']}"
    _, secret = make_key(tenant, "sibling")
    for other in (stranger.bearer, {"Authorization": f"Bearer {secret}"}):
        for method, place in (("GET", path), ("DELETE", path), ("POST", f"{path}/renew")):
            assert Caller(other)(method, place).problem == (404, "not-found")
    assert Caller(stranger.bearer)("POST", "authorizations", request()).status == 201
    assert ask().status == 402
    assert Caller({})("GET", path).problem == (401, "unauthenticated")
    assert Caller(make_token(tenant, "usage:read"))("GET", path).problem == (403, "insufficient-scope")
    for nonsense in ("res_", "1", "x" * 300, path.rpartition("/")[2].upper()):
        assert Caller(tenant.bearer)("GET", f"authorizations/{nonsense}").problem == (404, "not-found")


def test_an_access_token_names_the_key(tenant: Tenant, stranger: Tenant, ask: Callable[..., Answer]) -> None:
    hard(tenant, key=tenant.key)
    token = Caller(make_token(tenant, "usage:write"))
    body = token("POST", "authorizations", request(virtual_key=str(tenant.key.id))).body
    assert len(body["applies"]) == 1
    path = f"authorizations/{body['authorization']}?virtual_key={tenant.key.id}"
    assert token("GET", path).body == body
    assert token("POST", "authorizations", request()).pointers == ["/virtual_key"]
    for foreign in (str(stranger.key.id), "1", "x"):
        assert token("POST", "authorizations", request(virtual_key=foreign)).pointers == ["/virtual_key"]
    assert ask(virtual_key=str(tenant.key.id)).pointers == ["/virtual_key"]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"id": ""}, "/id"),
        ({"id": "a b"}, "/id"),
        ({"id": "x" * 201}, "/id"),
        ({"id": 7}, "/id"),
        ({"model": "a\u0001"}, "/model"),
        ({"estimate": {}}, "/estimate/input_tokens"),
        ({"estimate": {"input_tokens": -1}}, "/estimate/input_tokens"),
        ({"estimate": {"input_tokens": "1"}}, "/estimate/input_tokens"),
        ({"estimate": {"input_tokens": True}}, "/estimate/input_tokens"),
        ({"estimate": {"input_tokens": 10**9}}, "/estimate/input_tokens"),
        ({"estimate": {"input_tokens": 1, "max_output_tokens": 10**9}}, "/estimate/max_output_tokens"),
        ({"estimate": {"input_tokens": 1, "cache_read_input_tokens": 2}}, "/estimate/input_tokens"),
        ({"estimate": {"input_tokens": 1, "n": 2}}, "/estimate/n"),
        ({"tags": {"UPPER": "x"}}, "/tags"),
        ({"tags": {str(n): "x" for n in range(21)}}, "/tags"),
        ({"service_tier": "gold"}, "/service_tier"),
        ({"held": "1"}, "/held"),
    ],
)
def test_bad_input_holds_nothing(
    tenant: Tenant, ask: Callable[..., Answer], fields: dict[str, Any], pointer: str
) -> None:
    hard(tenant)
    answer = ask(**fields)
    assert answer.problem == (422, "validation-error")
    assert answer.pointers == [pointer]
    assert engine().counters(tenant.id) == []


def test_a_call_without_a_cap_gets_one(tenant: Tenant, ask: Callable[..., Answer]) -> None:
    body = ask(estimate={"input_tokens": 0}).body
    assert (body["max_output_tokens"], body["held"]) == (4096, "0.001638400")


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outage]:
    """Counters on a port that nobody listens on."""
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(authorizing, "outage", Outage())
    engine.cache_clear()
    yield authorizing.outage
    engine.cache_clear()


def test_without_redis_closed_budgets_refuse(tenant: Tenant, ask: Callable[..., Answer], no_redis: Outage) -> None:
    make_budget(tenant, "open")
    budget = hard(tenant)
    refused = ask()
    assert refused.problem == (503, "budget-unavailable")
    assert (refused.headers["Retry-After"], refused.body["budget"]["id"]) == ("2", str(budget.id))
    assert [(kept.reason, kept.budget_id) for kept in refusals(tenant)] == [("budget-unavailable", budget.id)]
    path = f"authorizations/res_{'0' * 40}"
    assert Caller(tenant.bearer)("GET", path).problem == (503, "budget-unavailable")


def test_without_redis_open_budgets_go_on_for_a_while(
    tenant: Tenant, ask: Callable[..., Answer], no_redis: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_budget(tenant)
    body = ask().body
    assert (body["counted"], body["held"], body["expires_at"], body["state"]) == (
        False, "0.000000000", None, "uncounted",
    )  # fmt: skip
    monkeypatch.setattr(Outage, "seconds", 301.0)
    assert ask().problem == (503, "budget-unavailable")
