"""Prices over the API: strict in what it takes, and whoever may not changes nothing."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pricing.models import Commitment, PriceRule
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.budgets.support import Caller
from tests.factories import Tenant, make_token
from tests.pricing.drafts import DISCOUNT, FIXED, add_rule

RULE: dict[str, Any] = {
    "name": "Nano deal",
    "provider": "OpenAI",
    "model": "gpt-4.1-nano",
    "service_tier": "standard",
    "kind": "fixed",
    "units": {"input": "0.08", "output": "0.30"},
    "tiers": [{"above_input_tokens": 200_000, "units": {"input": "0.16"}}],
    "effective_from": "2026-11-01T00:00:00+01:00",
    "effective_to": None,
}
FEE: dict[str, Any] = {
    "name": "PTU",
    "kind": "provisioned",
    "provider": "azure",
    "amount": "1440.00",
    "period": "month",
    "first_day": "2026-12-01",
}


@pytest.fixture
def call(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "prices:read", "prices:write"))


def rules(tenant: Tenant) -> list[PriceRule]:
    with organization_scope(tenant.id):
        return list(PriceRule.objects.order_by("id"))


def pages(call: Caller, path: str) -> list[dict[str, Any]]:
    """All rows of a list, page by page."""
    rows: list[dict[str, Any]] = []
    separator = "&" if "?" in path else "?"
    cursor = ""
    while True:
        answer = call("GET", f"{path}{cursor}")
        assert answer.status == 200
        rows += answer.body["data"]
        if answer.body["next"] is None:
            return rows
        cursor = f"{separator}cursor={answer.body['next']}"


def test_the_list_has_prices_with_source_date_and_contract(
    tenant: Tenant, call: Caller, prices: None, now: datetime
) -> None:
    rule = add_rule(tenant, now - timedelta(hours=1), **DISCOUNT)
    answer = call("GET", "prices?search=/gpt-4.1-nano&provider=OPENAI&service_tier=standard")
    assert answer.status == 200
    (price,) = answer.body["data"]
    assert (price["provider"], price["model"], price["service_tier"]) == ("openai", "gpt-4.1-nano", "standard")
    assert price["units"]["input"] == "0.1"
    assert price["contract"] == {
        "rule_id": str(rule.id),
        "kind": "percent",
        "units": {"input": "0.085", "cache_read": "0.02125", "output": "0.34"},
        "tiers": [],
    }
    assert price["source"]["name"] == "genai-prices"
    before = (now - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    (earlier,) = call("GET", f"prices?search=/gpt-4.1-nano&provider=openai&service_tier=standard&at={before}").body[
        "data"
    ]
    assert earlier["contract"] is None


def test_the_list_goes_on_page_by_page(call: Caller, prices: None) -> None:
    found = pages(call, "prices?provider=openai&limit=100")
    keys = [(row["provider"], row["model"], row["service_tier"]) for row in found]
    assert len(keys) == len(set(keys)) > 100


def test_a_rule_made_read_and_ended(tenant: Tenant, call: Caller, prices: None) -> None:
    made = call("POST", "prices/rules", RULE)
    assert made.status == 201
    (rule,) = rules(tenant)
    assert made.body | {"created_at": None, "created_by": None} == {
        "id": str(rule.id),
        "name": "Nano deal",
        "note": "",
        "provider": "openai",
        "model": "gpt-4.1-nano",
        "service_tier": "standard",
        "kind": "fixed",
        "percent": None,
        "units": {"input": "0.08", "output": "0.3"},
        "tiers": [{"above_input_tokens": 200_000, "units": {"input": "0.16", "output": "0.3"}}],
        "effective_from": "2026-10-31T23:00:00Z",
        "effective_to": None,
        "created_by": None,
        "created_at": None,
        "state": "in_force",
    }
    assert pages(call, "prices/rules?limit=1") == [made.body]
    ended = call("POST", f"prices/rules/{rule.id}/end", {})
    assert (ended.status, ended.body["state"]) == (200, "ended")
    assert call("POST", f"prices/rules/{rule.id}/end", {}).status == 409
    with organization_scope(tenant.id):
        actors = set(AuditEntry.objects.filter(action__startswith="price_rule").values_list("actor_type", flat=True))
    assert actors == {"token"}


def test_an_end_may_be_ahead_and_never_behind(tenant: Tenant, call: Caller, prices: None, now: datetime) -> None:
    rule = add_rule(tenant, now - timedelta(hours=1), **FIXED)
    past = call("POST", f"prices/rules/{rule.id}/end", {"at": "2026-01-01T00:00:00Z"})
    assert (past.status, past.body["errors"][0]["pointer"]) == (422, "/at")
    naive = call("POST", f"prices/rules/{rule.id}/end", {"at": "2099-01-01T00:00:00"})
    assert (naive.status, naive.body["errors"][0]["pointer"]) == (422, "/at")
    assert rules(tenant)[0].effective_to is None
    ahead = call("POST", f"prices/rules/{rule.id}/end", {"at": "2099-01-01T00:00:00Z"})
    assert (ahead.status, ahead.body["state"]) == (200, "in_force")
    assert rules(tenant)[0].effective_to == datetime(2099, 1, 1, tzinfo=UTC)


PER_THOUSAND = RULE | {"units": {"input": "0.0001", "output": "0.3"}, "tiers": []}


def test_a_price_a_hundred_times_off_must_be_confirmed(tenant: Tenant, call: Caller, prices: None) -> None:
    asked = call("POST", "prices/rules", PER_THOUSAND)
    assert (asked.status, asked.body["type"]) == (422, "https://costhub.dev/problems/price-implausible")
    (fault,) = asked.body["errors"]
    assert (fault["pointer"], fault["code"]) == ("/units/input", "implausible")
    assert "1,000 times less" in fault["detail"]
    assert "Is it the price of 1,000?" in fault["detail"]
    assert call("POST", "prices/rules", PER_THOUSAND | {"confirm": False}).status == 422
    assert rules(tenant) == []
    assert call("POST", "prices/rules", PER_THOUSAND | {"confirm": True}).status == 201


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"units": {"input": "10", "output": "0.3"}}, "/units/input"),
        ({"units": {"input": "0", "output": "0.3"}}, "/units/input"),
        ({"tiers": [{"above_input_tokens": 5, "units": {"input": "99"}}]}, "/tiers/0/units/input"),
        ({"model": "gpt-4.1-nano-of-tomorrow", "units": {"input": "10"}, "tiers": []}, "/units/input"),
        (
            {"provider": "us", "model": "zzz", "kind": "custom", "units": {"input": "900000"}, "tiers": []},
            "/units/input",
        ),
    ],
)
def test_what_a_price_is_held_against(
    tenant: Tenant, call: Caller, prices: None, changes: dict[str, Any], pointer: str
) -> None:
    asked = call("POST", "prices/rules", RULE | changes)
    assert (asked.status, asked.body["errors"][0]["pointer"]) == (422, pointer)
    assert asked.body["errors"][0]["code"] == "implausible"
    assert rules(tenant) == []


def test_a_percentage_that_leaves_nothing_must_be_confirmed(tenant: Tenant, call: Caller, prices: None) -> None:
    gift = {"name": "Gift", "provider": "openai", "model": "*", "kind": "percent", "percent": "-100"}
    assert call("POST", "prices/rules", gift).body["errors"][0]["pointer"] == "/percent"
    assert call("POST", "prices/rules", gift | {"confirm": True}).status == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (RULE | {"org_id": "1"}, "/org_id"),
        (RULE | {"name": ""}, "/name"),
        (RULE | {"name": 7}, "/name"),
        (RULE | {"name": "x" * 101}, "/name"),
        (RULE | {"kind": "gift"}, "/kind"),
        (RULE | {"kind": None}, "/kind"),
        (RULE | {"service_tier": "gold"}, "/service_tier"),
        (RULE | {"percent": -15}, "/percent"),
        (RULE | {"percent": "1e2"}, "/percent"),
        (RULE | {"percent": "١"}, "/percent"),
        (RULE | {"percent": "-15"}, "/percent"),
        (RULE | {"units": []}, "/units"),
        (RULE | {"units": {}, "tiers": []}, "/units"),
        (RULE | {"units": {"input": 1}}, "/units/input"),
        (RULE | {"units": {"input": "-1"}}, "/units/input"),
        (RULE | {"units": {"input": "NaN"}}, "/units/input"),
        (RULE | {"units": {"__proto__": "1"}}, "/units"),
        (RULE | {"tiers": [{"above_input_tokens": True, "units": {}}]}, "/tiers"),
        (RULE | {"tiers": [{"above_input_tokens": 2**63, "units": {"input": "1"}}]}, "/tiers"),
        (RULE | {"tiers": [{"above_input_tokens": 5, "units": {"input": "1"}, "x": 1}]}, "/tiers"),
        (RULE | {"effective_from": "2026-11-01"}, "/effective_from"),
        (RULE | {"effective_from": "2026-11-01T00:00:00"}, "/effective_from"),
        (RULE | {"effective_from": "9999-12-31T23:59:59Z"}, "/effective_from"),
        (RULE | {"effective_from": "0001-01-01T00:00:00+14:00"}, "/effective_from"),
        (RULE | {"effective_to": "2026-10-31T23:00:00Z"}, "/effective_to"),
        (RULE | {"provider": "\x00"}, "/provider"),
        (RULE | {"model": "m" * 201}, "/model"),
        (RULE | {"confirm": "yes"}, "/confirm"),
    ],
)
def test_what_is_refused_changes_nothing(
    tenant: Tenant, call: Caller, prices: None, body: dict[str, Any], pointer: str
) -> None:
    answer = call("POST", "prices/rules", body)
    assert answer.status == 422
    assert answer.body["errors"][0]["pointer"] == pointer
    assert rules(tenant) == []


@pytest.mark.parametrize(
    "query", ["at=yesterday", "at=2026-01-01", "limit=0", "cursor=x", "service_tier=gold", "order=price", "search=%00"]
)
def test_questions_that_cannot_be_answered(call: Caller, prices: None, query: str) -> None:
    assert call("GET", f"prices?{query}").status == 422


def test_fees_made_read_and_stopped(tenant: Tenant, call: Caller) -> None:
    body = FEE | {"team": str(tenant.team.id)}
    made = call("POST", "prices/commitments", body)
    assert made.status == 201
    assert {name: made.body[name] for name in (*body, "model", "last_day", "timezone")} == body | {
        "amount": "1440.000000000", "model": "", "last_day": None, "timezone": "UTC",
    }  # fmt: skip
    assert pages(call, "prices/commitments") == [made.body]
    stopped = call("POST", f"prices/commitments/{made.body['id']}/end", {})
    assert (stopped.status, stopped.body["stopped_at"] is None) == (200, False)
    assert call("POST", f"prices/commitments/{made.body['id']}/end", {}).status == 409


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"team": "7"}, "/team"),
        ({"amount": 1440}, "/amount"),
        ({"amount": "0"}, "/amount"),
        ({"amount": "0.0000000001"}, "/amount"),
        ({"period": "whole"}, "/last_day"),
        ({"first_day": "2026-02-30"}, "/first_day"),
        ({"first_day": "2026-12-01T00:00:00Z"}, "/first_day"),
        ({"last_day": "2026-11-30"}, "/last_day"),
        ({"discount": "1"}, "/discount"),
    ],
)
def test_fees_that_are_refused(tenant: Tenant, call: Caller, changes: dict[str, Any], pointer: str) -> None:
    answer = call("POST", "prices/commitments", FEE | {"team": str(tenant.team.id)} | changes)
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, pointer)
    with organization_scope(tenant.id):
        assert not Commitment.objects.exists()


def test_a_team_of_a_stranger_is_no_team(tenant: Tenant, stranger: Tenant, call: Caller) -> None:
    foreign = call("POST", "prices/commitments", FEE | {"team": str(stranger.team.id)})
    missing = call("POST", "prices/commitments", FEE | {"team": "7"})
    assert foreign.status == missing.status == 422
    assert foreign.body["errors"] == missing.body["errors"]


def test_strangers_and_readers_change_nothing(tenant: Tenant, stranger: Tenant, prices: None, now: datetime) -> None:
    rule = add_rule(tenant, now - timedelta(hours=1), **DISCOUNT)
    stranger_calls = Caller(make_token(stranger, "prices:read", "prices:write"))
    foreign = stranger_calls("POST", f"prices/rules/{rule.id}/end", {})
    missing = stranger_calls("POST", "prices/rules/7/end", {})
    drop = {"instance": None, "request_id": None}
    assert foreign.status == missing.status == 404
    assert foreign.body | drop == missing.body | drop
    assert pages(stranger_calls, "prices/rules") == []
    reader = Caller(make_token(tenant, "prices:read"))
    for path, body in (("prices/rules", RULE), (f"prices/rules/{rule.id}/end", {}), ("prices/commitments", FEE)):
        assert reader("POST", path, body).status == 403
    assert Caller(make_token(tenant, "usage:read"))("GET", "prices").status == 403
    assert Caller(tenant.bearer)("GET", "prices").status == 403
    (left,) = rules(tenant)
    assert (left.id, left.effective_to, left.percent) == (rule.id, None, Decimal(-15))
