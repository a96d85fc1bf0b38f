"""What is reported about stored events: once, whole, into sums and budgets; repricing leaves amounts alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.problems import Problem
from tenants.access import organization_scope
from tests.analytics.support import at, settle
from tests.budgets.support import Caller, make_budget
from tests.corrections.support import adjustments, applied, assert_sums_agree, spent, undo, work
from tests.corrections.test_closing import close
from tests.corrections.test_runs import HALF, LONG_AGO
from tests.factories import Tenant, make_token
from tests.pricing.drafts import add_rule
from usage.models import Detail, Rollup

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


def say(now: datetime, kind: str, **changes: Any) -> dict[str, Any]:
    """A report without money."""
    given = report(now, kind=kind) | changes
    return {name: value for name, value in given.items() if name != "cost" or "cost" in changes}


def by_status(tenant: Tenant) -> dict[str, tuple[int, ...]]:
    """Events, errors, cost and output tokens, which the table of all dimensions says as well."""
    found = {}
    with organization_scope(tenant.id):
        for status in ("ok", "error", "cancelled"):
            hours = list(Rollup.objects.filter(dimension="status", value=status))
            days = list(Detail.objects.filter(status=status))
            names = ("events", "errors", "cost", "output_tokens")
            sums, same = (tuple(sum(int(getattr(row, n)) for row in rows) for n in names) for rows in (hours, days))
            assert sums == same
            if any(sums):
                found[status] = sums
    return found


def test_a_status_takes_everything_with_it(usage: Tenant, call: Caller, now: datetime) -> None:
    (_, _, both, _) = by_status(usage)["ok"]
    change = say(now, "status", id="s1", status="error")
    body = {"adjustments": [report(now), change, report(now, id="r2", cost="-0.02")]}
    assert call("POST", "adjustments", body).body == {"accepted": 3, "duplicates": 0}
    assert call("POST", "adjustments", body).body == {"accepted": 0, "duplicates": 3}
    assert by_status(usage) == {"ok": (1, 0, both // 2, 250), "error": (1, 1, both // 2 - 3 * CENT, 250)}
    assert call("POST", "adjustments", {"adjustments": [change | {"status": "ok"}]}).status == 409
    again = {"adjustments": [change | {"id": "s2"}, change | {"id": "s3", "status": "cancelled"}]}
    assert call("POST", "adjustments", again).body["accepted"] == 2
    assert by_status(usage) == {"ok": (1, 0, both // 2, 250), "cancelled": (1, 0, both // 2 - 3 * CENT, 250)}
    rows = call("GET", "adjustments?kind=status").body["data"]
    assert sorted((row["status"], row["errors"]) for row in rows) == [
        ("cancelled", 0), ("error", -1), ("error", 1), ("ok", 0),
    ]  # fmt: skip
    add_rule(usage, now, **HALF, effective_from=now - LONG_AGO)
    applied(usage, now)
    assert by_status(usage)["cancelled"] == (1, 0, both // 4 - 3 * CENT, 250), "a new price counts where the event does"
    assert_sums_agree(usage)


def test_other_counts_are_charged_at_the_price_of_the_event(usage: Tenant, call: Caller, now: datetime) -> None:
    before = spent(usage, now)
    call("POST", "adjustments", {"adjustments": [report(now)]})
    counts = {"input_tokens": 2000, "cache_read_input_tokens": 500, "output_tokens": 100, "requests": 2}
    body = {"adjustments": [say(now, "usage", id="u1", usage=counts)]}
    assert call("POST", "adjustments", body).body == {"accepted": 1, "duplicates": 0}
    assert call("POST", "adjustments", body).body == {"accepted": 0, "duplicates": 1}
    charged = 1500 * 100 + 500 * 25 + 100 * 400
    after = spent(usage, now)
    assert (after.list_cost, after.cost) == (before.list_cost // 2 + charged, before.cost // 2 + charged - CENT)
    assert (after.requests, after.events) == (3, 2)
    (row,) = (row for row in adjustments(usage) if row.kind == "usage")
    assert row.price_id
    assert (row.input_tokens, row.cache_read_input_tokens, row.output_tokens, row.events) == (500, 200, -150, 0)
    add_rule(usage, now, **HALF, effective_from=now - LONG_AGO)
    applied(usage, now)
    assert spent(usage, now).cost == (before.cost // 2 + charged) // 2 - CENT, "a new price is for the new counts"
    assert_sums_agree(usage)


def test_counts_without_a_price_move_no_money(usage: Tenant, call: Caller, now: datetime) -> None:
    settle(usage, [at(now - timedelta(hours=1), id="e3", model="gpt-9-turbo")])
    before = spent(usage, now)
    body = {
        "adjustments": [
            say(now, "usage", id="u1", usage={"input_tokens": 7, "images": 1}),
            say(now, "usage", id="u2", event_id="e3", usage={"input_tokens": 7, "requests": 3}),
        ]
    }
    assert call("POST", "adjustments", body).status == 200
    after = spent(usage, now)
    assert (after.cost, after.unpriced_requests, after.requests) == (before.cost, 3, before.requests + 2)
    assert all(row.price_id is None for row in adjustments(usage))
    assert_sums_agree(usage)


def test_what_was_charged_anew_since_is_not_undone(usage: Tenant, call: Caller, now: datetime) -> None:
    add_rule(usage, now, **HALF, effective_from=now - LONG_AGO)
    run = applied(usage, now)
    call("POST", "adjustments", {"adjustments": [say(now, "usage", id="u1", usage={"input_tokens": 7})]})
    kept = adjustments(usage)
    with pytest.raises(Problem, match="corrected since"):
        undo(usage, run, now)
    assert adjustments(usage) == kept


def test_counts_wait_while_their_repricing_is_being_undone(usage: Tenant, call: Caller, now: datetime) -> None:
    add_rule(usage, now, **HALF, effective_from=now - LONG_AGO)
    run = applied(usage, now)
    undo(usage, run, now)
    body = {"adjustments": [say(now, "usage", id="u1", usage={"input_tokens": 7})]}
    kept = adjustments(usage)
    assert call("POST", "adjustments", body).status == 409
    assert adjustments(usage) == kept
    work(usage, now)
    assert call("POST", "adjustments", body).status == 200
    assert_sums_agree(usage)


def test_what_is_about_a_closed_month_counts_now(tenant: Tenant, prices: None) -> None:
    moment = datetime(2026, 9, 20, tzinfo=UTC)
    settle(tenant, [at(moment, id="e1")])
    close(tenant, datetime(2026, 9, 1, tzinfo=UTC))
    call = Caller(make_token(tenant, "usage:read", "prices:write"))
    change = say(moment, "status", status="error", event_time=moment.isoformat())
    counts = change | {"id": "u1", "kind": "usage", "usage": {"input_tokens": 7}}
    del counts["status"]
    assert call("POST", "adjustments", {"adjustments": [change, counts]}).status == 200
    assert all(row.booked_at.month != 9 for row in adjustments(tenant))
    assert by_status(tenant) == {"error": (1, 1, 700, 0)}
    assert_sums_agree(tenant)


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
        (report(now, id="x", status="error"), 422, "/adjustments/1/status"),
        (say(now, "status", id="x"), 422, "/adjustments/1/status"),
        (say(now, "status", id="x", status="lost"), 422, "/adjustments/1/status"),
        (say(now, "status", id="x", status="error", cost="1"), 422, "/adjustments/1/cost"),
        (say(now, "status", id="x", status="error", event_id="e9"), 422, "/adjustments/1/event_id"),
        (say(now, "usage", id="x"), 422, "/adjustments/1/usage"),
        (say(now, "usage", id="x", usage=[]), 422, "/adjustments/1/usage"),
        (say(now, "usage", id="x", usage={"tokens": 1}), 422, "/adjustments/1/usage/tokens"),
        (say(now, "usage", id="x", usage={"images": -1}), 422, "/adjustments/1/usage/images"),
        (say(now, "usage", id="x", usage={"images": True}), 422, "/adjustments/1/usage/images"),
        (say(now, "usage", id="x", usage={"images": 10**16}), 422, "/adjustments/1/usage/images"),
        (
            say(now, "usage", id="x", usage={"input_tokens": 5, "cache_read_input_tokens": 6}),
            422,
            "/adjustments/1/usage/input_tokens",
        ),
        (say(now, "usage", id="x", usage={}, status="ok"), 422, "/adjustments/1/status"),
        (say(now, "status", id="x", usage={}), 422, "/adjustments/1/status"),
    ):
        answer = call("POST", "adjustments", {"adjustments": [good, bad]})
        assert (answer.status, answer.pointers) == (status, [pointer])
    assert call("POST", "adjustments", {"adjustments": []}).status == 422
    assert Caller(usage.bearer)("POST", "adjustments", {"adjustments": [good]}).status == 403
    theirs = Caller(make_token(stranger, "usage:read", "prices:write"))
    assert theirs("POST", "adjustments", {"adjustments": [good]}).status == 422
    assert theirs("GET", "adjustments").body["data"] == []
    assert adjustments(usage) == kept
