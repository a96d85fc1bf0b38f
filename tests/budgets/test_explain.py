"""Why a call is, was or would be refused: over the API, for a reader of budgets, a key about itself, and a stranger."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from time_machine import travel

from budgets import held
from budgets.models import Budget, BudgetAction, BudgetLimit, Enforcement, LimitKind
from budgets.reservations.engine import Engine, prefix_of
from budgets.reservations.models import ModelAllowance, RateLimit, Reason, Refusal
from budgets.reservations.settled import engine
from budgets.services import budget_archive
from tenants.access import organization_scope
from tests.budgets.support import USD, Caller, make_budget, use
from tests.factories import Tenant, make_key, make_team, make_token
from tests.ingest.payloads import event

COST = 227_500
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)


@pytest.fixture
def reader(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "budgets:read"))


def change(tenant: Tenant, budget: Budget, **fields: Any) -> None:
    with organization_scope(tenant.id):
        Budget.objects.filter(id=budget.id).update(**fields)


def refuse(tenant: Tenant, request_id: str, reason: Reason = Reason.BUDGET, **fields: Any) -> Refusal:
    values = {"at": NOW, "virtual_key_id": tenant.key.id, "subject": {"model": "gpt-4o", "customer": "acme"}}
    with organization_scope(tenant.id):
        return Refusal.objects.create(
            organization=tenant.organization, request_id=request_id, reason=reason, **values | fields
        )


# Explaining


def test_everything_that_applies_to_a_key(tenant: Tenant, reader: Caller, prices: None) -> None:
    other = make_team(tenant, "Other")
    make_budget(tenant, "Other’s", team=other)
    mine = make_budget(tenant, "Mine", key=tenant.key, limit=2 * COST, timezone="Asia/Kathmandu", period="day")
    make_budget(tenant, "All", limit=100 * USD)
    change(tenant, mine, enforcement=Enforcement.HARD)
    use(tenant, event(), event(model="nobody-knows"))
    body = reader("GET", f"explain?virtual_key={tenant.key.id}").body
    assert [each["name"] for each in body["budgets"]] == ["All", "Mine"]
    found = body["budgets"][1]
    assert (found["limit"], found["used"], found["left"]) == ("0.000455000", "0.000227500", "0.000227500")
    assert (found["reserved"], found["unpriced_requests"], found["timezone"]) == ("0.000000000", 1, "Asia/Kathmandu")
    assert found["resets_at"] == found["window"]["end"]
    assert found["scope"]["id"] == str(tenant.key.id)
    assert body["may_raise"] == [{"email": "owner@acme.example", "role": "owner"}]
    assert (body["allowed"], body["reasons"], body["unknown"]) == (True, [], [])


def test_where_counters_do_not_answer_it_says_so(
    tenant: Tenant, reader: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_budget(tenant)
    nobody_there = Engine("redis://127.0.0.1:1/0")
    monkeypatch.setattr(held, "engine", lambda: nobody_there)
    body = reader("GET", f"explain?virtual_key={tenant.key.id}").body
    assert body["budgets"][0]["reserved"] is None
    assert ["could not be read" in sentence for sentence in body["unknown"]] == [True]


def test_a_call_that_would_not_fit_and_exactly_why(tenant: Tenant, reader: Caller, prices: None) -> None:
    hard = make_budget(tenant, "Hard", limit=COST)
    soft = make_budget(tenant, "Soft", limit=1)
    change(tenant, hard, enforcement=Enforcement.HARD)
    with organization_scope(tenant.id):
        BudgetAction.objects.create(
            organization=tenant.organization, budget=soft, at_percent=80, action="throttle", requests_per_minute=60
        )
    use(tenant, event())
    call = f"explain?virtual_key={tenant.key.id}&provider=openai&model=gpt-4.1-nano&input_tokens=1000"
    body = reader("GET", f"{call}&max_output_tokens=100").body
    assert body["call"]["cost"] == "0.000140000"
    assert body["allowed"] is False
    (reason,) = body["reasons"]
    assert (reason["reason"], reason["binds"], reason["needed"]) == ("budget-exceeded", True, "0.000140000")
    assert reason["budget"]["name"] == "Hard"
    assert reason["detail"] == ("Hard has nothing left of $0.0002275 ($0.0002275 used), and the call needs $0.00014.")
    assert body["eased"] == ["From 80% on Soft lets 60 requests through per minute."]
    change(tenant, hard, shadow=True)
    body = reader("GET", call).body
    assert (body["allowed"], body["reasons"][0]["binds"]) == (True, False)


def test_models_labels_and_rates(tenant: Tenant, reader: Caller, prices: None) -> None:
    budget = make_budget(tenant, "By customer")
    change(tenant, budget, scope_type="customer", value="zeta")
    with organization_scope(tenant.id):
        ModelAllowance.objects.create(
            organization=tenant.organization, team=tenant.team, names=["gpt-4o*"], changed_at=NOW
        )
        RateLimit.objects.create(
            organization=tenant.organization, virtual_key=tenant.key, requests_per_minute=5, changed_at=NOW
        )
    ask = f"explain?virtual_key={tenant.key.id}"
    body = reader("GET", f"{ask}&customer=zeta&tag.env=prod&provider=openai&model=gpt-4.1-nano").body
    assert [each["scope"] for each in body["budgets"]] == [
        {"type": "customer", "id": None, "value": "zeta", "tag": None, "within": None}
    ]
    assert [(each["reason"], each["budget"]) for each in body["reasons"]] == [("model-not-allowed", None)]
    assert body["call"]["tags"] == {"env": "prod"}
    assert [(each["on"], each["requests_per_minute"]) for each in body["rate_limits"]] == [("virtual_key", 5)]
    body = reader("GET", f"{ask}&customer=acme&provider=openai&model=gpt-4o-mini").body
    assert (body["allowed"], body["budgets"]) == (True, [])
    unknown = reader("GET", f"{ask}&model=nobody-knows").body
    assert (unknown["call"]["cost"], unknown["call"]["model"]) == (None, "nobody-knows")


def test_a_moment_of_the_past(tenant: Tenant, reader: Caller, prices: None) -> None:
    start = datetime(2026, 11, 20, 9, tzinfo=UTC)
    with travel(start, tick=False):
        gone = make_budget(tenant, "Gone", limit=5 * COST, now=start)
        make_budget(tenant, "Rolling", now=start, period="day", timezone="Europe/Berlin")
    change(tenant, gone, enforcement=Enforcement.HARD)
    with organization_scope(tenant.id):
        BudgetLimit.objects.filter(budget=gone).delete()
        for days, amount, kind in ((0, 2 * COST, LimitKind.BASE), (3, 9 * COST, LimitKind.BASE)):
            BudgetLimit.objects.create(
                organization=tenant.organization, budget=gone, kind=kind, amount=amount,
                starts_at=start + timedelta(days=days), created_at=start,
            )  # fmt: skip
        BudgetLimit.objects.create(
            organization=tenant.organization, budget=gone, kind=LimitKind.INCREASE, amount=COST, reason="launch",
            starts_at=start, ends_at=start + timedelta(days=2), created_at=start,
        )  # fmt: skip
    times = ("20T08:10", "20T12:59", "21T10:20", "21T10:40", "23T10:00")
    use(tenant, *(event(time=f"2026-11-{time}:00Z") for time in times), now=NOW)
    with travel(NOW, tick=False):
        with organization_scope(tenant.id):
            budget_archive(organization=tenant.organization, budget=gone, actor=None, now=NOW)
        ask = f"explain?virtual_key={tenant.key.id}"
        body = reader("GET", f"{ask}&at=2026-11-21T10:30:00Z").body
        assert [each["name"] for each in reader("GET", ask).body["budgets"]] == ["Rolling"]
    by_name = {each["name"]: each for each in body["budgets"]}
    found = by_name["Gone"]
    assert (found["used"], found["limit"]) == ("0.000682500", "0.000682500")  # 3 of 2 + 1
    assert [(each["kind"], each["reason"]) for each in found["added"]] == [("increase", "launch")]
    assert by_name["Rolling"]["used"] == "0.000227500"
    assert found["reserved"] is None
    assert body["allowed"] is False
    assert any("in flight" in sentence for sentence in body["unknown"])


def test_a_key_asks_about_itself_and_nobody_else(tenant: Tenant, stranger: Tenant) -> None:
    make_budget(tenant, "Mine")
    other, _ = make_key(tenant, "other")
    key = Caller(tenant.bearer)
    assert [each["name"] for each in key("GET", "explain").body["budgets"]] == ["Mine"]
    assert key("GET", f"explain?virtual_key={tenant.key.id}").status == 200
    for foreign in (other.id, stranger.key.id):
        assert key("GET", f"explain?virtual_key={foreign}").pointers == ["/virtual_key"]
    refused = Caller(make_token(tenant, "usage:read"))("GET", f"explain?virtual_key={tenant.key.id}")
    assert refused.problem == (403, "insufficient-scope")
    theirs = Caller(make_token(stranger, "budgets:read"))("GET", f"explain?virtual_key={tenant.key.id}")
    unknown = Caller(make_token(stranger, "budgets:read"))("GET", "explain?virtual_key=1")
    assert theirs.body["errors"] == unknown.body["errors"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "/virtual_key"),
        ("virtual_key=x", "/virtual_key"),
        ("virtual_key={key}&at=yesterday", "/at"),
        ("virtual_key={key}&at=2026-11-24T10:00:00", "/at"),
        ("virtual_key={key}&at=2199-01-01T00:00:00Z", "/at"),
        ("virtual_key={key}&at=1999-01-01T00:00:00Z", "/at"),
        ("virtual_key={key}&input_tokens=-1", "/input_tokens"),
        ("virtual_key={key}&max_output_tokens=1e3", "/max_output_tokens"),
        ("virtual_key={key}&customer=%00", "/customer"),
        ("virtual_key={key}&colour=red", "/colour"),
        ("virtual_key={key}&tag.A=1", "/tag.A"),
    ],
)
def test_bad_questions(tenant: Tenant, reader: Caller, query: str, pointer: str) -> None:
    answer = reader("GET", f"explain?{query.format(key=tenant.key.id)}")
    assert answer.problem == (422, "validation-error")
    assert answer.pointers == [pointer]


# Refusals


def test_the_reason_by_the_id_of_the_request(tenant: Tenant, reader: Caller) -> None:
    budget = make_budget(tenant, "Tokens")
    change(tenant, budget, unit="tokens")
    details = {"limit": "1000", "spent": "900", "reserved": "60", "requested": "50"}
    refuse(tenant, "01REQ", budget=budget, details=details)
    refuse(tenant, "01REQ", Reason.BLOCKED, budget=budget, details={"percent": "90"}, shadow=True)
    body = reader("GET", "refusals/01REQ").body
    assert (body["request_id"], body["refused"]) == ("01REQ", True)
    first, second = body["reasons"]
    assert first["detail"] == (
        "Tokens has 40 tokens left of 1,000 tokens (900 tokens used, 60 tokens held by calls in flight), and the call"
        " needs 50 tokens."
    )
    assert (first["budget"]["limit"], first["budget"]["requested"]) == ("1000", "50")
    assert (second["shadow"], second["detail"]) == (True, "Tokens blocks calls from 90% of its limit on.")
    assert first["call"]["customer"] == "acme"


def test_of_a_stranger_it_is_the_404_of_one_that_is_missing(tenant: Tenant, stranger: Tenant) -> None:
    refuse(tenant, "01REQ")
    theirs = Caller(make_token(stranger, "budgets:read"))
    assert theirs("GET", "refusals/01REQ").problem == theirs("GET", "refusals/missing").problem == (404, "not-found")
    assert theirs("GET", "refusals").body["data"] == []
    assert Caller(stranger.bearer)("GET", "refusals/01REQ").status == 404
    assert Caller(make_token(tenant, "usage:read"))("GET", "refusals").problem == (403, "insufficient-scope")
    assert theirs("GET", f"refusals/{'x' * 41}").status == 404
    assert theirs("GET", "refusals/%00").status == 404


def test_a_key_sees_its_own(tenant: Tenant) -> None:
    other, _ = make_key(tenant, "other")
    refuse(tenant, "mine")
    refuse(tenant, "theirs", virtual_key_id=other.id)
    key = Caller(tenant.bearer)
    assert [each["request_id"] for each in key("GET", "refusals").body["data"]] == ["mine"]
    assert [each["request_id"] for each in key("GET", f"refusals?virtual_key={other.id}").body["data"]] == ["mine"]
    assert key("GET", "refusals/mine").status == 200
    assert key("GET", "refusals/theirs").problem == (404, "not-found")


def test_a_list_by_pages_and_filters(tenant: Tenant, reader: Caller) -> None:
    budget = make_budget(tenant)
    for number in range(5):
        refuse(tenant, f"r{number}", at=NOW - timedelta(minutes=number // 2), budget=budget if number == 3 else None)
    refuse(tenant, "shadow", Reason.RATE, at=NOW - timedelta(hours=1), shadow=True)

    def listed(query: str) -> list[str]:
        seen: list[str] = []
        cursor = ""
        while True:
            body = reader("GET", f"refusals?limit=2&{query}{cursor}").body
            seen += [each["request_id"] for each in body["data"]]
            if body["next"] is None:
                return seen
            cursor = f"&cursor={body['next']}"

    assert listed("") == ["r1", "r0", "r3", "r2", "r4", "shadow"]
    assert listed(f"budget={budget.id}") == ["r3"]
    assert listed("reason=rate-limited") == listed("shadow=true") == ["shadow"]
    assert listed("budget=nonsense") == listed("virtual_key=1") == []
    for bad in ("reason=mood", "shadow=maybe", "cursor=x", "limit=0", "colour=red"):
        assert reader("GET", f"refusals?{bad}").problem == (422, "validation-error")


def test_from_an_authorization_to_its_explanation(tenant: Tenant, reader: Caller, prices: None) -> None:
    budget = make_budget(tenant, "Tight", limit=200_000)
    change(tenant, budget, enforcement=Enforcement.HARD)
    key = Caller(tenant.bearer)
    estimate = {"input_tokens": 1000, "max_output_tokens": 100}
    call = {"provider": "openai", "model": "gpt-4.1-nano", "estimate": estimate}
    assert key("POST", "authorizations", {"id": "first", **call}).status == 201
    refused = key("POST", "authorizations", {"id": "second", **call})
    assert refused.problem == (402, "budget-exceeded")
    (found,) = key("GET", "explain").body["budgets"]
    assert (found["reserved"], found["left"]) == ("0.000140000", "0.000060000")
    body = reader("GET", f"refusals/{refused.body['request_id']}").body
    (reason,) = body["reasons"]
    assert reason["detail"] == (
        "Tight has $0.00006 left of $0.0002 ($0.00 used, $0.00014 held by calls in flight), and the call needs"
        " $0.00014."
    )
    assert key("GET", "refusals").body["data"][0]["request_id"] == refused.body["request_id"]
    for counter in engine().client.scan_iter(f"{prefix_of(tenant.id)}*"):
        engine().client.delete(counter)
