"""Pages of prices: everybody in the organization sees them, some change them, strangers find nothing."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from ingest import pipeline
from pricing.models import Commitment, PriceRule
from tenants.access import organization_scope
from tenants.roles import Role
from tests.factories import Tenant, make_member
from tests.ingest.payloads import event
from tests.ingest.test_pipeline import accept
from tests.pricing.drafts import DISCOUNT, FIXED, add_rule

RULE: dict[str, Any] = {
    "name": "Enterprise agreement",
    "kind": "percent",
    "provider": "OpenAI",
    "model": "gpt-4.1*",
    "tier": "",
    "percent": "-15 %",
}
FEE: dict[str, Any] = {
    "name": "PTU",
    "kind": "provisioned",
    "provider": "azure",
    "model": "",
    "amount": "1,440.00",
    "period": "month",
    "first_day": "2026-12-01",
    "last_day": "",
}


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def rules(tenant: Tenant) -> list[PriceRule]:
    with organization_scope(tenant.id):
        return list(PriceRule.objects.order_by("id"))


def text(client: Client, path: str, **query: str) -> str:
    answer = client.get(path, query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_is_searched_and_filtered(tenant: Tenant, prices: None, now: datetime) -> None:
    add_rule(tenant, now - timedelta(hours=1), **DISCOUNT)
    client = signed_in(tenant.owner)
    page = text(client, "/o/acme/prices", q="openai 4.1-nano", tier="standard")
    assert "gpt-4.1-nano" in page
    assert "$0.10" in page
    assert "$0.085" in page
    assert "−15%" in page
    assert "claude" not in page
    assert "No price matches" in text(client, "/o/acme/prices", q="no-such-model")
    for nonsense in ({"tier": "gold"}, {"cursor": "x"}, {"q": "\x00"}, {"provider": "\u2028"}):
        text(client, "/o/acme/prices", **nonsense)


def test_the_list_goes_on_page_by_page(tenant: Tenant, prices: None) -> None:
    client = signed_in(tenant.owner)
    first = client.get("/o/acme/prices", {"provider": "openai"})
    second = client.get(first.context["next_url"])
    names = [row.price.id for page in (first, second) for row in page.context["rows"]]
    assert len(names) == len(set(names)) > 50


def test_only_what_is_used(tenant: Tenant, prices: None, now: datetime) -> None:
    accept(tenant, [event(provider="azure"), event(model="nobody-knows-this")], now)
    pipeline.settle_waiting(now)
    found = signed_in(tenant.owner).get("/o/acme/prices", {"used": "1"}).context["rows"]
    assert {row.price.model.name for row in found} == {"gpt-4.1-nano"}


def test_a_model_shows_its_history_its_rules_and_what_was_reported(tenant: Tenant, prices: None, now: datetime) -> None:
    add_rule(tenant, now - timedelta(hours=1), **DISCOUNT)
    add_rule(tenant, now - timedelta(hours=1), **FIXED)
    accept(tenant, [event(cost="0.0004")], now)
    pipeline.settle_waiting(now)
    query = {"provider": "openai", "model": "gpt-4.1-nano", "tier": "standard"}
    answer = signed_in(tenant.owner).get("/o/acme/prices/model", query)
    assert answer.status_code == 200
    assert [(rule.name, state) for rule, state in answer.context["rules"]] == [
        ("Nano deal", "in_force"),
        ("Enterprise agreement", "in_force"),
    ]
    assert answer.context["rule"].name == "Nano deal"
    assert answer.context["reported"].calls == 1
    page = answer.content.decode()
    assert "Counts now" in page
    assert "$0.0002275" in page  # what the reported call costs at list
    for unknown in ({"provider": "openai", "model": "nothing"}, {"provider": "\x00", "model": "x"}, {}):
        assert signed_in(tenant.owner).get("/o/acme/prices/model", unknown).status_code == 404


def test_a_rule_is_previewed_added_and_ended(tenant: Tenant, prices: None, now: datetime) -> None:
    client = signed_in(tenant.owner)
    seen = client.post("/o/acme/prices/rules/new", RULE | {"preview": "1"})
    assert seen.status_code == 200
    assert seen.context["preview"].total > 3
    assert "$0.085" in seen.content.decode()
    assert rules(tenant) == []
    added = client.post("/o/acme/prices/rules/new", RULE)
    assert (added.status_code, added["Location"]) == (302, "/o/acme/prices/rules")
    (rule,) = rules(tenant)
    assert (rule.provider, rule.model, str(rule.percent), rule.created_by) == (
        "openai", "gpt-4.1*", "-15.0000", tenant.owner.email,
    )  # fmt: skip
    assert "15 % off list" in text(client, "/o/acme/prices/rules")
    assert client.get(f"/o/acme/prices/rules/{rule.id}/end").status_code == 200
    assert rules(tenant)[0].effective_to is None
    client.post(f"/o/acme/prices/rules/{rule.id}/end")
    assert rules(tenant)[0].state(datetime.now(rule.created_at.tzinfo)) == "ended"
    again = client.post(f"/o/acme/prices/rules/{rule.id}/end", follow=True)
    assert "over already" in again.content.decode()


def test_prices_by_unit_and_for_long_inputs(tenant: Tenant, prices: None) -> None:
    form = RULE | {
        "kind": "fixed", "model": "gpt-4.1-nano", "percent": "", "unit_input": "$0.08", "unit_output": "0.30",
        "above_input_tokens": "128000", "long_input": "0.16", "first_day": "2026-12-01", "last_day": "2026-12-31",
    }  # fmt: skip
    assert signed_in(tenant.owner).post("/o/acme/prices/rules/new", form).status_code == 302
    (rule,) = rules(tenant)
    assert rule.units == {"input": "0.08", "output": "0.3"}
    assert rule.tiers == [{"above_input_tokens": 128_000, "units": {"input": "0.16", "output": "0.3"}}]
    assert (rule.effective_from.isoformat(), rule.effective_to.isoformat() if rule.effective_to else "") == (
        "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00",
    )  # fmt: skip


def test_a_price_a_hundred_times_off_asks_first(tenant: Tenant, prices: None) -> None:
    client = signed_in(tenant.owner)
    form = RULE | {"kind": "fixed", "model": "gpt-4.1-nano", "unit_input": "0.0001", "unit_output": "0.0004"}
    asked = client.post("/o/acme/prices/rules/new", form)
    assert asked.status_code == 422
    assert "Is it the price of 1,000?" in asked.content.decode()
    assert rules(tenant) == []
    assert client.post("/o/acme/prices/rules/new", form | {"confirm": "on"}).status_code == 302
    assert len(rules(tenant)) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"percent": ""}, "percent"),
        ({"percent": "fifteen"}, "percent"),
        ({"percent": "-101"}, "percent"),
        ({"kind": "gift"}, "kind"),
        ({"provider": ""}, "provider"),
        ({"tier": "gold"}, "tier"),
        ({"first_day": "2026-02-30"}, "first_day"),
        ({"first_day": "2026-12-24", "last_day": "2026-12-23"}, "last_day"),
        ({"kind": "fixed"}, "unit_input"),
        ({"kind": "fixed", "unit_output": "1,50"}, "unit_output"),
        ({"kind": "fixed", "unit_input": "1", "long_input": "2"}, "above_input_tokens"),
        ({"kind": "fixed", "unit_input": "1", "above_input_tokens": "10"}, "above_input_tokens"),
        ({"kind": "custom", "unit_input": "1"}, "model"),
        ({"name": "a\u200bb"}, "name"),
    ],
)
def test_a_form_says_what_is_wrong(tenant: Tenant, prices: None, changes: dict[str, str], field: str) -> None:
    answer = signed_in(tenant.owner).post("/o/acme/prices/rules/new", RULE | changes)
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {field}
    assert rules(tenant) == []


def test_a_fee_is_added_and_stopped(tenant: Tenant, prices: None) -> None:
    client = signed_in(tenant.owner)
    assert "No flat fee" in text(client, "/o/acme/prices/commitments")
    made = client.post("/o/acme/prices/commitments/new", FEE | {"team": str(tenant.team.id)})
    assert made.status_code == 302
    page = text(client, "/o/acme/prices/commitments")
    assert "$1,440.00" in page
    with organization_scope(tenant.id):
        fee = Commitment.objects.get()
        assert (fee.provider, fee.amount, fee.timezone) == ("azure", 1_440 * 10**9, "UTC")
    assert client.post(f"/o/acme/prices/commitments/{fee.id}/end").status_code == 302
    with organization_scope(tenant.id):
        assert Commitment.objects.get().stopped_at is not None
    for bad in ({"amount": "-1"}, {"team": "1"}, {"period": "whole"}, {"first_day": ""}):
        answer = client.post("/o/acme/prices/commitments/new", FEE | {"team": str(tenant.team.id)} | bad)
        assert answer.status_code == 422
    with organization_scope(tenant.id):
        assert Commitment.objects.count() == 1


@pytest.mark.parametrize("role", [Role.ADMIN, Role.FINANCE])
def test_finance_changes_prices(tenant: Tenant, prices: None, role: Role) -> None:
    client = signed_in(make_member(tenant, role))
    assert "Add rule" in text(client, "/o/acme/prices/rules")
    assert client.post("/o/acme/prices/rules/new", RULE).status_code == 302
    assert len(rules(tenant)) == 1


@pytest.mark.parametrize("role", [Role.MANAGER, Role.VIEWER])
def test_others_see_prices_and_change_none(tenant: Tenant, prices: None, now: datetime, role: Role) -> None:
    rule = add_rule(tenant, now, **DISCOUNT)
    client = signed_in(make_member(tenant, role))
    for path in ("prices", "prices/rules", "prices/commitments"):
        assert "/new" not in text(client, f"/o/acme/{path}").split("<main", 1)[1]
    for path in ("rules/new", f"rules/{rule.id}/end", "commitments/new"):
        assert client.get(f"/o/acme/prices/{path}").status_code == 403
        assert client.post(f"/o/acme/prices/{path}", RULE).status_code == 403
    assert [(each.id, each.effective_to) for each in rules(tenant)] == [(rule.id, None)]


def test_strangers_find_nothing(tenant: Tenant, stranger: Tenant, prices: None, now: datetime) -> None:
    rule = add_rule(tenant, now, **DISCOUNT)
    client = signed_in(stranger.owner)
    for path in ("prices", "prices/rules", "prices/rules/new", f"prices/rules/{rule.id}/end", "prices/commitments"):
        assert client.get(f"/o/acme/{path}").status_code == 404
    # In their own organization the rule does not exist either.
    assert client.post(f"/o/globex/prices/rules/{rule.id}/end").status_code == 404
    assert rules(tenant)[0].effective_to is None
    assert "Enterprise agreement" not in text(client, "/o/globex/prices/rules")


def test_the_event_page_shows_both_costs_and_the_rule(tenant: Tenant, prices: None, now: datetime) -> None:
    add_rule(tenant, now - timedelta(hours=1), **DISCOUNT)
    sent = event()
    accept(tenant, [sent], now)
    pipeline.settle_waiting(now)
    page = text(signed_in(tenant.owner), "/o/acme/events/one", at=sent["time"], id=sent["id"])
    for shown in ("$0.0002275", "$0.000193375", "$0.085", "Enterprise agreement", "15 % off list", "$0.000034125"):
        assert shown in page
    assert "another sum" not in page
