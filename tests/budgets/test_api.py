"""Budgets over the API: what is refused changes nothing, and nobody overwrites what he has not seen."""

from datetime import timedelta
from typing import Any

import pytest

from budgets.models import Budget
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.budgets.support import USD, Answer, Caller, make_budget, use
from tests.factories import Tenant, make_key, make_team, make_token, utc_now
from tests.ingest.payloads import event

BODY: dict[str, Any] = {
    "name": "All of it",
    "scope": {"type": "organization"},
    "limit": "500.00",
    "period": {"type": "month", "timezone": "Europe/Berlin"},
}


@pytest.fixture
def call(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "budgets:read", "budgets:write"))


def budgets(tenant: Tenant) -> list[Budget]:
    with organization_scope(tenant.id):
        return list(Budget.objects.order_by("id"))


def test_a_budget_made_and_read(tenant: Tenant, call: Caller) -> None:
    made = call("POST", "budgets", BODY)
    assert made.status == 201
    (budget,) = budgets(tenant)
    assert made.headers["Location"] == f"/api/v1/budgets/{budget.id}"
    assert made.headers["ETag"] == '"1"'
    current = made.body.pop("current")
    assert made.body | {"created_at": None, "counts_from": None} == {
        "id": str(budget.id),
        "name": "All of it",
        "scope": {
            "type": "organization", "id": str(tenant.id), "name": "Acme", "value": None, "tag_name": None, "team": None,
        },
        "unit": "cost",
        "limit": "500.000000000",
        "limits_ahead": [],
        "period": {
            "type": "month", "timezone": "Europe/Berlin", "week_start": "monday", "fiscal_year_start_month": 1,
            "days": None,
        },
        "enforcement": "soft",
        "shadow": False,
        "when_unavailable": "open",
        "grace_seconds": 300,
        "unpriced": "allow",
        "abandoned": "input",
        "rollover": None,
        "overcommit": True,
        "overcommitted_by": None,
        "thresholds": [50, 80, 100],
        "actions": [],
        "paused_until": None,
        "version": 1,
        "created_at": None,
        "counts_from": None,
    }  # fmt: skip
    assert current["start"] == made.body["counts_from"]
    assert (current["spent"], current["remaining"], current["percent"]) == ("0.000000000", "500.000000000", "0.0")
    read = call("GET", f"budgets/{budget.id}")
    assert (read.status, read.headers["ETag"], read.body["name"]) == (200, '"1"', "All of it")


def test_everything_a_budget_may_have(tenant: Tenant, call: Caller) -> None:
    team = make_team(tenant, "Search")
    terms = {
        "unit": "tokens",
        "limit": "2000000",
        "enforcement": "hard",
        "shadow": True,
        "when_unavailable": "open",
        "grace_seconds": 60,
        "unpriced": "block",
        "abandoned": "full",
        "rollover": {"max": "500000"},
        "overcommit": False,
        "thresholds": [80, {"amount": "1000000"}, {"forecast": 120}],
        "actions": [
            {"at_percent": 80, "action": "throttle", "requests_per_minute": 60},
            {"at_percent": 100, "action": "block"},
        ],
        "paused_until": f"{utc_now() + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}",
    }
    scope = {"type": "tag", "tag_name": "env", "value": "prod", "team": str(team.id)}
    period = {"type": "quarter", "timezone": "Asia/Kolkata", "week_start": "sunday", "fiscal_year_start_month": 4}
    made = call("POST", "budgets", {"name": "All", "scope": scope, "period": period, **terms})
    assert made.status == 201
    assert {name: made.body[name] for name in terms} == terms
    assert made.body["scope"] == scope | {"id": None, "name": "tag env = prod in Search"}
    assert made.body["period"] == period | {"days": None}
    assert made.body["current"]["remaining"] == "2000000"
    # What is left out of a change stays, whatever it is.
    changed = call("PATCH", f"budgets/{made.body['id']}", {"limit": "3000000"}, If_Match="*")
    assert {name: changed.body[name] for name in terms} == terms | {"limit": "3000000"}
    changed = call("PATCH", f"budgets/{made.body['id']}", {"thresholds": [], "rollover": None}, If_Match="*")
    assert (changed.body["thresholds"], changed.body["rollover"]) == ([], None)


def test_a_hard_budget_is_closed_when_nobody_can_count(call: Caller) -> None:
    made = call("POST", "budgets", BODY | {"enforcement": "hard"})
    assert (made.body["enforcement"], made.body["when_unavailable"]) == ("hard", "closed")


def test_a_limit_that_changes_later(tenant: Tenant, call: Caller) -> None:
    made = call("POST", "budgets", BODY)
    path = f"budgets/{made.body['id']}"
    for late in ({"limit": "1", "limit_from": "2020-01-01T00:00:00Z"}, {"limit_from": "2099-01-01T00:00:00Z"}):
        assert call("PATCH", path, late, If_Match="*").problem == (422, "validation-error")
    changed = call("PATCH", path, {"limit": "900", "limit_from": "2099-01-01T00:00:00Z"}, If_Match="*")
    assert (changed.body["limit"], changed.body["current"]["limit"]) == ("500.000000000", "500.000000000")
    assert changed.body["limits_ahead"] == [{"limit": "900.000000000", "from": "2099-01-01T00:00:00Z"}]


def test_parts_that_are_allowed_more_than_the_whole(tenant: Tenant, call: Caller) -> None:
    first, second = make_team(tenant, "First"), make_team(tenant, "Second")
    whole = call("POST", "budgets", BODY | {"limit": "100"})
    for team in (first, second):
        made = call("POST", "budgets", BODY | {"limit": "60", "scope": {"type": "team", "id": str(team.id)}})
        assert made.status == 201
    path = f"budgets/{whole.body['id']}"
    assert call("GET", path).body["overcommitted_by"] == "20.000000000"
    assert [each["overcommitted_by"] for each in call("GET", "budgets").body["data"]] == ["20.000000000", None, None]
    refused = call("PATCH", path, {"overcommit": False}, If_Match="*")
    assert (refused.status, refused.pointers) == (422, ["/limit"])
    assert call("PATCH", path, {"overcommit": False, "limit": "120"}, If_Match="*").status == 200
    refused = call("PATCH", f"budgets/{made.body['id']}", {"limit": "60.01"}, If_Match="*")
    assert (refused.status, refused.pointers) == (422, ["/limit"])
    with organization_scope(tenant.id):
        assert Budget.objects.get(id=made.body["id"]).limit == 60 * USD


def test_spend_shows_to_the_nano_dollar(tenant: Tenant, call: Caller, prices: None) -> None:
    team = make_team(tenant, "Search")
    key, _ = make_key(tenant, "search", team)
    call("POST", "budgets", BODY | {"limit": "0.0003", "thresholds": [80]})
    own = call("POST", "budgets", BODY | {"limit": "0.0003", "scope": {"type": "virtual_key", "id": str(key.id)}})
    use(tenant, event(), event(model="nobody-knows-this"), key=key)
    for found in call("GET", "budgets").body["data"]:
        current = found["current"]
        assert (current["spent"], current["remaining"]) == ("0.000227500", "0.000072500")
        assert (current["percent"], current["requests"], current["unpriced_requests"]) == ("75.8", 2, 1)
    assert own.body["scope"]["name"] == "search"
    assert own.body["thresholds"] == [50, 80, 100]


def test_the_zone_is_the_organizations_unless_named(tenant: Tenant, call: Caller) -> None:
    made = call("POST", "budgets", BODY | {"period": {"type": "week", "week_start": "sunday"}})
    period = made.body["period"]
    assert (period["type"], period["timezone"], period["week_start"]) == ("week", "UTC", "sunday")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"limit": "0"}, "/limit"),
    ({"limit": "0.000000000"}, "/limit"),
    ({"limit": "-1"}, "/limit"),
    ({"limit": "1" + "0" * 30}, "/limit"),
    ({"limit": "1000000000.000000001"}, "/limit"),
    ({"limit": "0.0000000001"}, "/limit"),
    ({"limit": "1_000"}, "/limit"),
    ({"limit": "1e3"}, "/limit"),
    ({"limit": "٣"}, "/limit"),
    ({"limit": " 1"}, "/limit"),
    ({"limit": "NaN"}, "/limit"),
    ({"limit": 500}, "/limit"),
    ({"limit": True}, "/limit"),
    ({"limit": None}, "/limit"),
    ({"limit": ["1"]}, "/limit"),
    ({"thresholds": [0]}, "/thresholds/0"),
    ({"thresholds": [101]}, "/thresholds/0"),
    ({"thresholds": [50, -1]}, "/thresholds/1"),
    ({"thresholds": ["NaN"]}, "/thresholds/0"),
    ({"thresholds": ["50"]}, "/thresholds/0"),
    ({"thresholds": [True]}, "/thresholds/0"),
    ({"thresholds": [2**63]}, "/thresholds/0"),
    ({"thresholds": [50, 50]}, "/thresholds"),
    ({"thresholds": list(range(1, 12))}, "/thresholds"),
    ({"thresholds": "50"}, "/thresholds"),
    ({"period": {"type": "month", "timezone": "Mars/Base"}}, "/timezone"),
    ({"period": {"type": "month", "timezone": "../../etc/passwd"}}, "/timezone"),
    ({"period": {"type": "month", "timezone": ""}}, "/period/timezone"),
    ({"period": {"type": "rolling"}}, "/period/days"),
    ({"period": {"type": "rolling", "days": 1}}, "/period/days"),
    ({"period": {"type": "rolling", "days": 367}}, "/period/days"),
    ({"period": {"type": "rolling", "days": "30"}}, "/period/days"),
    ({"period": {"type": "fortnight"}}, "/period/type"),
    ({"period": {"type": "year", "fiscal_year_start_month": 13}}, "/period/fiscal_year_start_month"),
    ({"period": {"type": "year", "fiscal_year_start_month": True}}, "/period/fiscal_year_start_month"),
    ({"period": {"type": ["month"]}}, "/period/type"),
    ({"period": {"type": "month", "days": 30}}, "/period/days"),
    ({"period": {"type": "week", "week_start": "Monday"}}, "/period/week_start"),
    ({"period": "month"}, "/period"),
    ({"scope": {"type": "tag", "value": "prod"}}, "/scope/tag_name"),
    ({"scope": {"type": "tag", "tag_name": "env"}}, "/scope/value"),
    ({"scope": {"type": "tag", "tag_name": "Env.x", "value": "prod"}}, "/tag_name"),
    ({"scope": {"type": "customer"}}, "/scope/value"),
    ({"scope": {"type": "customer", "value": ""}}, "/scope/value"),
    ({"scope": {"type": "customer", "value": "a\nb"}}, "/value"),
    ({"scope": {"type": "customer", "value": "x" * 201}}, "/scope/value"),
    ({"scope": {"type": "customer", "value": "acme", "id": "5"}}, "/scope/id"),
    ({"scope": {"type": "customer", "value": "acme", "team": "17"}}, "/scope/team"),
    ({"scope": {"type": "organization", "value": "acme"}}, "/scope/value"),
    ({"scope": {"type": "everything"}}, "/scope/type"),
    ({"scope": {"type": "team"}}, "/scope/id"),
    ({"scope": {"type": "team", "id": "1"}}, "/scope/id"),
    ({"scope": {"type": "team", "id": "x"}}, "/scope/id"),
    ({"scope": {"type": "team", "id": 5}}, "/scope/id"),
    ({"scope": {"type": "organization", "id": "1"}}, "/scope/id"),
    ({"unit": "euros"}, "/unit"),
    ({"unit": "tokens"}, "/limit"),
    ({"unit": "tokens", "limit": "1e6"}, "/limit"),
    ({"unit": "requests", "limit": "0"}, "/limit"),
    ({"unit": "requests", "limit": "-5"}, "/limit"),
    ({"unit": "requests", "limit": 5}, "/limit"),
    ({"unit": "tokens", "limit": "1" + "0" * 18 + "1"}, "/limit"),
    ({"enforcement": "firm"}, "/enforcement"),
    ({"when_unavailable": "maybe"}, "/when_unavailable"),
    ({"unpriced": "free"}, "/unpriced"),
    ({"grace_seconds": -1}, "/grace_seconds"),
    ({"rollover": {"max": "0"}}, "/rollover/max"),
    ({"rollover": {}}, "/rollover/max"),
    ({"rollover": {"max": "1"}, "period": {"type": "total"}}, "/rollover"),
    ({"shadow": "no"}, "/shadow"),
    ({"overcommit": 0}, "/overcommit"),
    ({"paused_until": "2020-01-01T00:00:00Z"}, "/paused_until"),
    ({"paused_until": "2099-01-01T00:00:00"}, "/paused_until"),
    ({"paused_until": "2099-01-01T00:00:00Z"}, "/paused_until"),
    ({"thresholds": [{"amount": "0"}]}, "/thresholds/0"),
    ({"thresholds": [{"amount": 5}]}, "/thresholds/0"),
    ({"thresholds": [{"amount": "5", "forecast": 5}]}, "/thresholds/0"),
    ({"thresholds": [{"amount": "5"}, {"amount": "5.0"}]}, "/thresholds"),
    ({"thresholds": [{"forecast": 0}]}, "/thresholds/0"),
    ({"thresholds": [{"forecast": 1001}]}, "/thresholds/0"),
    ({"thresholds": [{"forecast": 100}], "period": {"type": "rolling", "days": 30}}, "/thresholds"),
    ({"actions": [{"at_percent": 101, "action": "block"}]}, "/actions/0/at_percent"),
    ({"actions": [{"at_percent": 80, "action": "throttle"}]}, "/actions/0/action"),
    ({"actions": [{"at_percent": 80, "action": "block", "tokens_per_minute": 5}]}, "/actions/0/action"),
    ({"actions": [{"at_percent": 80, "action": "explode"}]}, "/actions/0/action"),
    ({"actions": [{"at_percent": 80, "action": "block"}] * 2}, "/actions"),
    ({"limit_from": "2099-01-01T00:00:00Z"}, "/limit_from"),
    ({"id": "5"}, "/id"),
    ({"name": ""}, "/name"),
    ({"name": "   "}, "/name"),
    ({"name": "x" * 101}, "/name"),
    ({"name": "nul \x00"}, "/name"),
    ({"name": 5}, "/name"),
]


@pytest.mark.parametrize(("changes", "pointer"), REFUSED, ids=[f"{changes}"[:50] for changes, _ in REFUSED])
def test_what_cannot_be_is_refused(tenant: Tenant, call: Caller, changes: dict[str, Any], pointer: str) -> None:
    refused = call("POST", "budgets", BODY | changes)
    assert refused.problem == (422, "validation-error")
    assert refused.pointers == [pointer]
    assert budgets(tenant) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"name": NaN}', b'{"limit": "1", "limit": "2"}', b"\xff"])
def test_what_is_not_a_budget_at_all(tenant: Tenant, call: Caller, body: bytes) -> None:
    assert call("POST", "budgets", body).status in {400, 422}
    assert budgets(tenant) == []


def test_a_refusal_says_what_may_be_said(call: Caller) -> None:
    refused = call("POST", "budgets", BODY | {"enforcement": "firm", "period": {"type": "rolling"}})
    details = {fault["pointer"]: fault["detail"] for fault in refused.body["errors"]}
    assert details == {
        "/enforcement": "must be one of none, soft, hard",
        "/period/days": "of how many days the window is",
    }


def test_another_organizations_team_and_key_are_unknown(tenant: Tenant, stranger: Tenant, call: Caller) -> None:
    for scope in ({"type": "team", "id": str(stranger.team.id)}, {"type": "virtual_key", "id": str(stranger.key.id)}):
        refused = call("POST", "budgets", BODY | {"scope": scope})
        missing = call("POST", "budgets", BODY | {"scope": scope | {"id": "17"}})
        assert refused.body["errors"] == missing.body["errors"]
        assert refused.problem == (422, "validation-error")
    assert budgets(tenant) == budgets(stranger) == []


def test_a_part_may_not_be_allowed_more_than_the_whole(tenant: Tenant, call: Caller) -> None:
    parent = make_team(tenant, "Parent")
    child = make_team(tenant, "Child", parent)
    key, _ = make_key(tenant, "key", child)
    make_budget(tenant, "Parent's", team=parent, limit=100 * USD)
    for scope in ({"type": "team", "id": str(child.id)}, {"type": "virtual_key", "id": str(key.id)}):
        refused = call("POST", "budgets", BODY | {"scope": scope, "limit": "100.01"})
        assert (refused.status, refused.pointers) == (422, ["/limit"])
        assert "Parent's" in refused.body["errors"][0]["detail"]
    refused = call("POST", "budgets", BODY | {"limit": "99.99"})
    assert (refused.status, refused.pointers) == (422, ["/limit"])
    assert len(budgets(tenant)) == 1
    child_body = BODY | {"scope": {"type": "team", "id": str(child.id)}, "limit": "100"}
    made = call("POST", "budgets", child_body).body["id"]
    assert call("POST", "budgets", child_body | {"limit": "700", "period": {"type": "day"}}).status == 201
    refused = call("PATCH", f"budgets/{made}", {"limit": "100.01"}, If_Match="*")
    assert (refused.status, refused.pointers) == (422, ["/limit"])
    with organization_scope(tenant.id):
        assert Budget.objects.get(id=made).limit == 100 * USD


def test_a_change_needs_the_version_that_was_seen(tenant: Tenant, call: Caller) -> None:
    budget = make_budget(tenant)
    path = f"budgets/{budget.id}"
    assert call("PATCH", path, {"name": "New"}).problem == (428, "precondition-required")
    assert call("DELETE", path).problem == (428, "precondition-required")
    changed = call("PATCH", path, {"name": "New", "thresholds": [90, 10]}, If_Match='"1"')
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
    assert (changed.body["name"], changed.body["thresholds"], changed.body["limit"]) == (
        "New",
        [10, 90],
        "100.000000000",
    )
    for stale in ('"1"', 'W/"2"', "2", '"1", "7"', "x" * 5000, '"'):
        late = call("PATCH", path, {"limit": "1"}, If_Match=stale)
        assert late.problem == (412, "stale-write")
        assert (late.body["current"]["name"], late.body["current"]["version"]) == ("New", 2)
        assert late.headers["ETag"] == '"2"'
        assert call("DELETE", path, If_Match=stale).problem == (412, "stale-write")
    assert call("PATCH", path, {"limit": "1"}, If_Match='"9", "2"').body["limit"] == "1.000000000"
    assert call("PATCH", path, {"limit": "2"}, If_Match="*").body["version"] == 4


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ({"period": {"type": "day"}}, "/period"),
        ({"scope": {"type": "organization"}}, "/scope"),
        ({"unit": "cost"}, "/unit"),
        ({"name": "x", "version": 2}, "/version"),
        ({"name": None}, "/name"),
        ({"name": ""}, "/name"),
        ({"limit": "0"}, "/limit"),
        ({"thresholds": [50, 50]}, "/thresholds"),
    ],
)
def test_a_change_that_cannot_be(tenant: Tenant, call: Caller, body: Any, pointer: str) -> None:
    budget = make_budget(tenant)
    refused = call("PATCH", f"budgets/{budget.id}", body, If_Match='"1"')
    assert (refused.status, refused.pointers) == (422, [pointer])
    (after,) = budgets(tenant)
    assert (after.name, after.limit, after.version) == (budget.name, budget.limit, 1)


def test_archived_is_gone_but_its_history_stays(tenant: Tenant, call: Caller) -> None:
    budget = make_budget(tenant)
    assert call("DELETE", f"budgets/{budget.id}", If_Match='"1"').status == 204
    assert call("GET", f"budgets/{budget.id}").status == 404
    assert call("DELETE", f"budgets/{budget.id}", If_Match="*").status == 404
    assert call("PATCH", f"budgets/{budget.id}", {"name": "x"}, If_Match="*").status == 404
    assert call("GET", "budgets").body == {"data": [], "next": None}
    with organization_scope(tenant.id):
        assert Budget.objects.get(id=budget.id).archived_at is not None
        actions = list(AuditEntry.objects.filter(target=f"budget:{budget.id}").values_list("action", flat=True))
    assert sorted(actions) == ["budget.archived", "budget.created"]


def test_pages_of_the_list(tenant: Tenant, call: Caller) -> None:
    made = [str(make_budget(tenant, f"b{number}").id) for number in range(5)]
    seen: list[str] = []
    cursor, pages = "", 0
    while pages < 9:
        page = call("GET", f"budgets?limit=2{cursor}").body
        seen += [budget["id"] for budget in page["data"]]
        pages += 1
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert (seen, pages) == (made, 3)


@pytest.mark.parametrize(
    "query",
    ["page_size=1000000000", "order=password", "fields=key_hash", "created__gte=x", "limit=0", "limit=101", "limit=x",
     "limit=1&limit=2", "cursor=x", "cursor=WyJ4Il0", "cursor=W10"],
)  # fmt: skip
def test_queries_that_mean_nothing(tenant: Tenant, call: Caller, query: str) -> None:
    assert call("GET", f"budgets?{query}").problem == (422, "validation-error")


def test_a_cursor_from_far_away(tenant: Tenant, call: Caller) -> None:
    make_budget(tenant)
    # [9999999999999999999999]
    assert call("GET", "budgets?cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTld").body == {"data": [], "next": None}


def test_a_stranger_gets_what_a_missing_budget_gets(tenant: Tenant, stranger: Tenant) -> None:
    budget = make_budget(tenant)
    outside = Caller(make_token(stranger, "budgets:read", "budgets:write"))
    answers: list[Answer] = []
    for identifier in (str(budget.id), "17", "x", "٣", "9" * 30):
        for method, body in (("GET", None), ("PATCH", {"name": "mine"}), ("DELETE", None)):
            answer = outside(method, f"budgets/{identifier}", body, If_Match="*")
            answers.append(answer)
            assert answer.problem == (404, "not-found")
    bodies = {str({**answer.body, "instance": "", "request_id": ""}) for answer in answers}
    assert len(bodies) == 1
    assert outside("GET", "budgets").body["data"] == []
    assert budgets(tenant)[0].name == "budget"


def test_scopes(tenant: Tenant) -> None:
    budget = make_budget(tenant)
    reader, writer = Caller(make_token(tenant, "budgets:read")), Caller(make_token(tenant, "budgets:write"))
    assert reader("GET", "budgets").status == 200
    assert writer("GET", "budgets").problem == (403, "insufficient-scope")
    assert reader("POST", "budgets", BODY).problem == (403, "insufficient-scope")
    for method in ("PATCH", "DELETE"):
        assert reader(method, f"budgets/{budget.id}", {}, If_Match="*").problem == (403, "insufficient-scope")
    for method in ("GET", "POST"):
        assert Caller(tenant.bearer)(method, "budgets", BODY).problem == (403, "insufficient-scope")
        assert Caller({})(method, "budgets", BODY).problem == (401, "unauthenticated")
    assert reader("PUT", f"budgets/{budget.id}", BODY).problem == (405, "method-not-allowed")
    assert len(budgets(tenant)) == 1
