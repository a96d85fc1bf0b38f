"""GET /api/v1/me: what the holder of a key sees, and nothing more."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.test import Client
from time_machine import travel

from tenants.access import organization_scope
from tenants.models import Organization
from tests.budgets.support import USD, Caller, make_budget, use
from tests.factories import Tenant, make_key, make_team, make_token
from tests.ingest.payloads import event

NOTHING = {"requests": 0, "input_tokens": 0, "output_tokens": 0, "cost": "0.000000000", "unpriced_requests": 0}


def me(tenant: Tenant) -> Any:
    answer = Caller(tenant.bearer)("GET", "me")
    assert answer.status == 200
    return answer.body


def test_a_new_key(tenant: Tenant) -> None:
    body = me(tenant)
    assert body["organization"] == {"id": str(tenant.id), "slug": "acme", "name": "Acme", "timezone": "UTC"}
    assert body["team"] == {"id": str(tenant.team.id), "slug": tenant.team.slug, "name": "Default"}
    assert body["virtual_key"] == {
        "id": str(tenant.key.id),
        "name": "first key",
        "mode": "live",
        "expires_at": None,
    }
    assert body["spend"]["total"] == NOTHING
    assert body["budgets"] == []
    assert body["may_raise"] == [{"email": "owner@acme.example", "role": "owner"}]


def test_its_own_spend_only(tenant: Tenant, prices: None) -> None:
    other, _ = make_key(tenant, "other")
    use(tenant, event(), event(), event(model="nobody-knows-this"))
    use(tenant, event(), key=other)
    spend = me(tenant)["spend"]
    sums = {"requests": 3, "input_tokens": 4500, "output_tokens": 750, "cost": "0.000455000", "unpriced_requests": 1}
    assert spend["total"] == sums
    for period in ("day", "month"):
        assert spend[period].items() >= sums.items()
        start, end = (datetime.fromisoformat(spend[period][edge]) for edge in ("start", "end"))
        assert start <= datetime.now(UTC) < end


def test_days_and_months_are_the_organizations(tenant: Tenant, prices: None) -> None:
    """At 16:00 UTC of 30 November it is 1 December in Auckland: yesterday's usage is last month's."""
    with organization_scope(tenant.id):
        Organization.objects.filter(id=tenant.id).update(timezone="Pacific/Auckland")
    now = datetime(2026, 11, 30, 16, tzinfo=UTC)
    midnight = datetime(2026, 12, 1, tzinfo=ZoneInfo("Pacific/Auckland"))
    with travel(now, tick=False):
        use(tenant, event(time="2026-11-30T10:59:59Z"), event(time="2026-11-30T11:00:00Z"), now=now)
        spend = me(tenant)["spend"]
    assert (spend["day"]["requests"], spend["month"]["requests"], spend["total"]["requests"]) == (1, 1, 2)
    for period in ("day", "month"):
        assert datetime.fromisoformat(spend[period]["start"]) == midnight
    assert datetime.fromisoformat(spend["day"]["end"]) == midnight + timedelta(days=1)


def test_every_budget_that_applies(tenant: Tenant, prices: None) -> None:
    child = make_team(tenant, "Child", tenant.team)
    make_budget(tenant, "child's", team=child)
    other, _ = make_key(tenant, "other")
    make_budget(tenant, "other key's", key=other)
    make_budget(tenant, "key's", key=tenant.key, limit=USD, period="day")
    make_budget(tenant, "team's", team=tenant.team)
    make_budget(tenant, "all")
    use(tenant, event())
    budgets = me(tenant)["budgets"]
    assert [budget["name"] for budget in budgets] == ["all", "team's", "key's"]
    own = budgets[-1]
    assert (own["limit"], own["current"]["spent"]) == ("1.000000000", "0.000227500")
    assert own["current"]["remaining"] == "0.999772500"
    assert datetime.fromisoformat(own["current"]["end"]) > datetime.now(UTC)


def test_an_access_token_is_nobody_here(tenant: Tenant) -> None:
    token = Caller(make_token(tenant, "usage:read", "budgets:read", "org:read", "keys:read"))
    assert token("GET", "me").problem == (403, "insufficient-scope")


def test_without_a_valid_key(tenant: Tenant) -> None:
    assert Caller({})("GET", "me").problem == (401, "unauthenticated")
    assert Caller(tenant.bearer)("POST", "me").problem == (405, "method-not-allowed")
    assert Caller(tenant.bearer)("GET", "me?key=x").problem == (422, "validation-error")


def test_another_organization_sees_its_own(tenant: Tenant, stranger: Tenant, prices: None) -> None:
    make_budget(tenant)
    use(tenant, event())
    body = me(stranger)
    assert body["organization"]["slug"] == "globex"
    assert (body["spend"]["total"], body["budgets"]) == (NOTHING, [])


def test_a_session_counts_for_nothing(tenant: Tenant) -> None:
    client = Client()
    client.force_login(tenant.owner)
    assert client.get("/api/v1/me").status_code == 401
