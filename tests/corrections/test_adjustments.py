"""Refunds and corrections that are reported: once, whole, into sums and budgets; repricing leaves them alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.analytics.support import at, settle
from tests.budgets.support import Caller, make_budget
from tests.corrections.support import adjustments, applied, assert_sums_agree, spent
from tests.corrections.test_runs import HALF, LONG_AGO
from tests.factories import Tenant, make_token
from tests.pricing.drafts import add_rule

CENT = 10**7


@pytest.fixture
def usage(tenant: Tenant, prices: None, now: datetime) -> Tenant:
    settle(tenant, [at(now - timedelta(hours=1), id="e1"), at(now - timedelta(hours=2), id="e2")])
    make_budget(tenant)
    return tenant


@pytest.fixture
def call(usage: Tenant) -> Caller:
    return Caller(make_token(usage, "usage:read", "prices:write"))


def report(now: datetime, **changes: Any) -> dict[str, Any]:
    given = {"id": "r1", "event_time": (now - timedelta(hours=1)).isoformat(), "event_id": "e1", "kind": "refund"}
    return given | {"cost": "-0.01", "reason": "outage of 20 November"} | changes


def test_a_refund_is_booked_once(usage: Tenant, call: Caller, now: datetime) -> None:
    before = spent(usage, now)
    later = report(now, id="r2", kind="correction", cost="0.02")
    body = {"adjustments": [report(now), later, report(now)]}
    assert call("POST", "adjustments", body).body == {"accepted": 2, "duplicates": 1}
    assert call("POST", "adjustments", body).body == {"accepted": 0, "duplicates": 3}
    after = spent(usage, now)
    assert (after.cost, after.list_cost) == (before.cost + CENT, before.list_cost)
    page = call("GET", "adjustments?limit=1").body
    assert page["data"][0]["reason"] == "outage of 20 November"
    rest = call("GET", f"adjustments?limit=1&cursor={page['next']}").body
    assert {page["data"][0]["cost"], rest["data"][0]["cost"]} == {"-0.010000000", "0.020000000"}
    assert [row["kind"] for row in call("GET", "adjustments?kind=refund").body["data"]] == ["refund"]
    assert_sums_agree(usage)


def test_repricing_leaves_refunds_alone(usage: Tenant, call: Caller, now: datetime) -> None:
    before = spent(usage, now).cost
    call("POST", "adjustments", {"adjustments": [report(now)]})
    add_rule(usage, now, **HALF, effective_from=now - LONG_AGO)
    applied(usage, now)
    assert spent(usage, now).cost == before // 2 - CENT
    assert_sums_agree(usage)


def test_what_is_wrong_is_refused_whole(usage: Tenant, call: Caller, stranger: Tenant, now: datetime) -> None:
    call("POST", "adjustments", {"adjustments": [report(now)]})
    kept = adjustments(usage)
    good = report(now, id="good")
    for bad, status, pointer in (
        (report(now, cost="-0.02"), 409, "/adjustments/1/id"),
        (report(now, id="x", event_id="e9"), 422, "/adjustments/1/event_id"),
        (report(now, id="x", event_time=now.isoformat()), 422, "/adjustments/1/event_id"),
        (report(now, id="x", cost="0.01"), 422, "/adjustments/1/cost"),
        (report(now, id="x", cost=-1), 422, "/adjustments/1/cost"),
        (report(now, id="x", cost="0"), 422, "/adjustments/1/cost"),
        (report(now, id="x", cost="-0.0000000001"), 422, "/adjustments/1/cost"),
        (report(now, id="x y"), 422, "/adjustments/1/id"),
        (report(now, id="x", kind="gift"), 422, "/adjustments/1/kind"),
        (report(now, id="x", team="1"), 422, "/adjustments/1/team"),
    ):
        answer = call("POST", "adjustments", {"adjustments": [good, bad]})
        assert (answer.status, answer.pointers) == (status, [pointer])
    assert call("POST", "adjustments", {"adjustments": []}).status == 422
    assert Caller(usage.bearer)("POST", "adjustments", {"adjustments": [good]}).status == 403
    theirs = Caller(make_token(stranger, "usage:read", "prices:write"))
    assert theirs("POST", "adjustments", {"adjustments": [good]}).status == 422
    assert theirs("GET", "adjustments").body["data"] == []
    assert adjustments(usage) == kept
