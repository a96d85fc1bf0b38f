"""Traces over the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.budgets.support import Caller, use
from tests.factories import Tenant, make_token
from tests.ingest.payloads import event

COST = "0.000227500"


@pytest.fixture
def call(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "usage:read"))


def spans(trace_id: str, *, ago: int = 0) -> list[dict[str, Any]]:
    """A root, a call below it that fails, the same call again."""
    began = datetime.now(UTC) - timedelta(minutes=ago + 1)
    common = {"trace_id": trace_id, "session": f"of-{trace_id}", "customer": "acme", "agent": "coder"}
    return [
        event(id=f"{trace_id}-0", time=began.isoformat(), span_id="a", **common),
        event(id=f"{trace_id}-1", time=(began + timedelta(seconds=1)).isoformat(), span_id="b", parent_span_id="a",
              status="error", **common),
        event(id=f"{trace_id}-2", time=(began + timedelta(seconds=2)).isoformat(), span_id="c", parent_span_id="a",
              **common),
    ]  # fmt: skip


def test_a_trace_as_a_tree(tenant: Tenant, call: Caller, prices: None) -> None:
    use(tenant, *spans("t/1"))
    body = call("GET", "traces/t/1").body
    assert (body["trace"]["id"], body["trace"]["calls"], body["trace"]["cost"]) == ("t/1", 3, "0.000682500")
    assert [(each["event"], each["depth"], each["cost"], each["total"]) for each in body["spans"]] == [
        ("t/1-0", 0, COST, "0.000682500"),
        ("t/1-1", 1, COST, COST),
        ("t/1-2", 1, COST, COST),
    ]
    assert [each["retried"] for each in body["spans"]] == [False, True, False]
    assert body["wasted"] == COST
    assert body["agents"] == [{"agent": "coder", "calls": 3, "failed": 1, "cost": "0.000682500", "wasted": COST}]
    assert body["hidden_calls"] == 0


def test_a_span_that_is_no_call(tenant: Tenant, call: Caller, prices: None) -> None:
    use(tenant, event(id="only", trace_id="t1", span_id="b", parent_span_id="gone"))
    missing, found = call("GET", "traces/t1").body["spans"]
    assert (missing["span_id"], missing["event"], missing["cost"], missing["total"]) == (
        "gone",
        None,
        "0.000000000",
        COST,
    )
    assert (found["event"], found["depth"]) == ("only", 1)


def test_lists_page_by_page(tenant: Tenant, call: Caller, prices: None) -> None:
    for number in range(3):
        use(tenant, *spans(f"t{number}", ago=number)[: number + 1])

    def walk(query: str) -> list[str]:
        found, cursor = [], ""
        for _ in range(9):
            page = call("GET", f"traces?limit=1{query}{cursor}").body
            found += [each["id"] for each in page["data"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        return found

    assert walk("") == ["t0", "t1", "t2"]
    assert walk("&order=dearest") == ["t2", "t1", "t0"]
    assert walk("&session=of-t1") == ["t1"]
    assert walk("&agent=coder&customer=acme") == ["t0", "t1", "t2"]
    assert walk("&agent=nobody") == []


@pytest.mark.parametrize(
    "query", ["order=best", "cursor=x", "limit=0", "from=x", "session=", "agent=%00", "color=1",
              "cursor=WyJuZXdlc3QiLCAiMSIsICJ0Il0&order=dearest", "cursor=WyJuZXdlc3QiLCAieCIsICJ0Il0"]
)  # fmt: skip
def test_lists_that_cannot_be_asked_for(call: Caller, query: str) -> None:
    assert call("GET", f"traces?{query}").problem == (422, "validation-error")


@pytest.mark.parametrize("path", ["traces", "traces/t1"])
def test_who_may_ask(tenant: Tenant, stranger: Tenant, prices: None, path: str) -> None:
    use(tenant, *spans("t1"))
    assert Caller({})("GET", path).problem == (401, "unauthenticated")
    assert Caller(tenant.bearer)("GET", path).problem == (403, "insufficient-scope")
    assert Caller(make_token(tenant, "budgets:read"))("GET", path).problem == (403, "insufficient-scope")
    assert Caller(make_token(tenant, "usage:read"))("DELETE", path).problem == (405, "method-not-allowed")
    outside = Caller(make_token(stranger, "usage:read"))
    assert outside("GET", "traces").body == {"data": [], "next": None}
    assert outside("GET", "traces/t1").problem == outside("GET", "traces/none").problem == (404, "not-found")
