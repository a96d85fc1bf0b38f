"""Spend and events over the API: sums to the nano-dollar, bounded ranges, nothing of anybody else's."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from time_machine import travel

from analytics import api, api_parameters
from budgets.posting import post_corrections
from common.problems import Problem
from tenants.access import organization_scope
from tenants.models import Organization
from tests.budgets.support import Caller, use
from tests.factories import Tenant, make_key, make_team, make_token
from tests.ingest.payloads import event
from usage.adjustments import Correction, Why

COST = "0.000227500"  # of the event in tests.ingest.payloads
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def call(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "usage:read"))


def at(text: str, **fields: Any) -> dict[str, Any]:
    return event(time=text, **fields)


def in_zone(tenant: Tenant, zone: str) -> None:
    with organization_scope(tenant.id):
        Organization.objects.filter(id=tenant.id).update(timezone=zone)


# Spend


def test_a_total(tenant: Tenant, call: Caller, prices: None) -> None:
    use(tenant, event(), event(status="error"), event(model="nobody-knows-this"))
    body = call("GET", "spend").body
    assert body["next"] is None
    assert body["total"] == {
        "cost": "0.000455000",
        "list_cost": "0.000455000",
        "requests": 3,
        "errors": 1,
        "unpriced_requests": 1,
        "input_tokens": 4500,
        "cache_read_input_tokens": 900,
        "cache_write_input_tokens": 0,
        "output_tokens": 750,
        "reasoning_output_tokens": 0,
    }
    (row,) = body["data"]
    assert row == body["total"] | {
        "start": body["from"],
        "end": body["to"],
        "group": {},
        "overflow": False,
    }


def test_without_usage(call: Caller) -> None:
    body = call("GET", "spend?group_by=model&interval=day").body
    assert (body["data"], body["total"]["cost"], body["total"]["requests"]) == ([], "0.000000000", 0)


@pytest.mark.parametrize(
    "group_by", ["provider", "model", "team", "virtual_key", "model,team", "team,virtual_key,provider,model"]
)
def test_groups_add_up(tenant: Tenant, call: Caller, prices: None, group_by: str) -> None:
    key, _ = make_key(tenant, "other", make_team(tenant, "Other"))
    use(tenant, event(), event(model="gpt-4.1-mini"), event(provider="anthropic", model="claude-haiku-4-5"))
    use(tenant, event(), event(model="nobody-knows-this"), key=key)
    body = call("GET", f"spend?group_by={group_by}").body
    for name, whole in body["total"].items():
        if name in {"cost", "list_cost"}:
            assert sum(int(row[name].replace(".", "")) for row in body["data"]) == int(whole.replace(".", ""))
        else:
            assert sum(row[name] for row in body["data"]) == whole
    assert all(list(row["group"]) == group_by.split(",") for row in body["data"])
    costs = [row["cost"] for row in body["data"]]
    assert costs == sorted(costs, reverse=True)


def test_filters(tenant: Tenant, call: Caller, prices: None) -> None:
    parent = make_team(tenant, "Parent")
    child = make_team(tenant, "Child", parent)
    key, _ = make_key(tenant, "child's", child)
    use(tenant, event(), event(model="gpt-4.1-mini"))
    use(tenant, event(), key=key)

    def requests(query: str) -> int:
        return int(call("GET", f"spend?{query}").body["total"]["requests"])

    assert requests(f"team={parent.id}") == requests(f"team={child.id}") == 1
    assert requests(f"team={tenant.team.id}") == 2
    assert requests(f"virtual_key={key.id}") == 1
    assert requests("model=gpt-4.1-nano") == 2
    assert requests(f"model=gpt-4.1-nano&team={parent.id}") == 1
    assert requests(f"model=gpt-4.1-mini&team={parent.id}") == 0
    assert requests("provider=openai") == 3
    assert requests("provider=nobody") == 0


def test_a_range_is_widened_to_whole_hours_and_says_so(tenant: Tenant, call: Caller, prices: None) -> None:
    with travel(NOON, tick=False):
        use(tenant, at("2026-11-24T10:00:00Z"), at("2026-11-24T10:59:59Z"), at("2026-11-24T11:00:00Z"), now=NOON)
        body = call("GET", "spend?from=2026-11-24T10:30:00Z&to=2026-11-24T10:31:00Z").body
        assert (body["from"], body["to"]) == ("2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z")
        assert body["total"]["requests"] == 2
        exact = call("GET", "spend?from=2026-11-24T11:00:00%2B01:00&to=2026-11-24T11:00:00Z").body
        assert (exact["from"], exact["to"], exact["total"]["requests"]) == (body["from"], body["to"], 2)


def test_days_are_those_of_the_zone(tenant: Tenant, call: Caller, prices: None) -> None:
    with travel(NOON, tick=False):
        use(tenant, at("2026-11-22T22:59:59Z"), at("2026-11-22T23:00:00Z"), at("2026-11-24T11:00:00Z"), now=NOON)
        query = "spend?from=2026-11-22&to=2026-11-24T12:00:00Z&interval=day&timezone=Europe/Berlin"
        rows = call("GET", query).body["data"]
    assert [(row["start"], row["end"], row["requests"]) for row in rows] == [
        ("2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z", 1),
        ("2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z", 1),
        ("2026-11-23T23:00:00Z", "2026-11-24T12:00:00Z", 1),
    ]


def test_the_day_the_clocks_go_back_has_25_hours(tenant: Tenant, call: Caller, prices: None) -> None:
    now = datetime(2026, 10, 26, 12, tzinfo=UTC)
    with travel(now, tick=False):
        use(tenant, at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"), now=now)
        where = "from=2026-10-25&to=2026-10-26&timezone=Europe/Berlin"
        (day,) = call("GET", f"spend?interval=day&{where}").body["data"]
        hours = call("GET", f"spend?interval=hour&{where}").body["data"]
    assert (day["start"], day["end"], day["requests"]) == ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 2)
    # 02:30 comes twice on the wall, and is two hours all the same.
    assert [(hour["start"], hour["requests"]) for hour in hours] == [
        ("2026-10-25T00:00:00Z", 1),
        ("2026-10-25T01:00:00Z", 1),
    ]


def test_weeks_and_months(tenant: Tenant, call: Caller, prices: None) -> None:
    with travel(NOON, tick=False):
        use(tenant, at("2026-10-31T12:00:00Z"), at("2026-11-01T12:00:00Z"), at("2026-11-02T12:00:00Z"), now=NOON)
        weeks = call("GET", "spend?from=2026-10-01&to=2026-12-01&interval=week").body["data"]
        months = call("GET", "spend?from=2026-10-01&to=2026-12-01&interval=month").body["data"]
    assert [(row["start"][:10], row["end"][:10], row["requests"]) for row in weeks] == [
        ("2026-10-26", "2026-11-02", 2),
        ("2026-11-02", "2026-11-09", 1),
    ]
    assert [(row["start"][:10], row["end"][:10], row["requests"]) for row in months] == [
        ("2026-10-01", "2026-11-01", 1),
        ("2026-11-01", "2026-12-01", 2),
    ]


def test_a_zone_whose_days_cut_hours(tenant: Tenant, call: Caller, prices: None) -> None:
    refused = call("GET", "spend?interval=day&timezone=Asia/Kathmandu")
    assert (refused.status, refused.pointers) == (422, ["/timezone"])
    assert "whole hour" in refused.body["errors"][0]["detail"]
    in_zone(tenant, "Asia/Kathmandu")
    with travel(NOON, tick=False):
        use(tenant, at("2026-11-23T18:14:59Z"), at("2026-11-23T18:15:00Z"), now=NOON)
        rows = call("GET", "spend?interval=day").body["data"]
        assert [(row["start"], row["requests"]) for row in rows] == [
            ("2026-11-22T18:15:00Z", 1),
            ("2026-11-23T18:15:00Z", 1),
        ]
        assert call("GET", "spend?interval=day&timezone=Asia/Kolkata").status == 200


LABELLED = {"customer": "acme", "feature": "chat", "agent": "coder", "user": "u1", "session": "s1", "status": "error",
            "operation": "embeddings", "service_tier": "batch", "cache": "hit"}  # fmt: skip


@pytest.mark.parametrize("name", LABELLED)
def test_every_dimension_groups_and_filters(tenant: Tenant, call: Caller, prices: None, name: str) -> None:
    use(tenant, event(**LABELLED, tags={"env": "prod"}), event(), event())
    groups = {row["group"][name]: row["requests"] for row in call("GET", f"spend?group_by={name}").body["data"]}
    assert groups[LABELLED[name]] == 1
    assert sum(groups.values()) == 3
    assert call("GET", f"spend?{name}={LABELLED[name]}").body["total"]["requests"] == 1
    (found,) = call("GET", f"events?{name}={LABELLED[name]}").body["data"]
    assert found[name] == LABELLED[name]


def test_tags_group_and_filter_with_what_has_none(tenant: Tenant, call: Caller, prices: None) -> None:
    prod = event(tags={"env": "prod", "region": "eu"}, customer="acme")
    use(tenant, prod, event(tags={"env": "dev"}), event())
    rows = call("GET", "spend?group_by=tag.env").body["data"]
    assert {row["group"]["tag.env"]: row["requests"] for row in rows} == {"prod": 1, "dev": 1, "": 1}
    crossed = call("GET", "spend?group_by=tag.env,customer&tag.region=eu").body["data"]
    assert [(row["group"], row["requests"]) for row in crossed] == [({"tag.env": "prod", "customer": "acme"}, 1)]
    assert call("GET", "spend?tag.env=prod").body["total"]["requests"] == 1
    assert [found["id"] for found in call("GET", "events?tag.env=prod&tag.region=eu").body["data"]] == [prod["id"]]
    assert call("GET", "events?tag.env=prod&tag.region=us").body["data"] == []


def test_a_range_that_ends_within_the_running_day_is_widened_where_days_are_kept(
    tenant: Tenant, call: Caller, prices: None
) -> None:
    in_zone(tenant, "Europe/Berlin")
    with travel(NOON, tick=False):
        use(tenant, at("2026-11-24T11:59:00Z", customer="acme", agent="coder"), now=NOON)
        for query in ("", "&to=2026-11-24T03:00:00Z", "&interval=day"):
            body = call("GET", f"spend?group_by=customer,agent{query}").body
            assert (body["from"], body["to"]) == ("2026-10-31T23:00:00Z", "2026-11-24T23:00:00Z")
            assert body["total"]["requests"] == 1
        by_hour = call("GET", "spend?group_by=customer").body
        assert by_hour["to"] == "2026-11-24T12:00:00Z", "one dimension alone is kept by the hour"
        refused = call("GET", "spend?group_by=customer,agent&to=2026-11-23T03:00:00Z").body["errors"]
        assert [(fault["pointer"], fault["code"]) for fault in refused] == [("/to", "whole_days_only")]


def test_values_beyond_the_limit_are_one_row_of_their_own(
    tenant: Tenant, call: Caller, prices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usage.dimensions.LIMIT", 2)
    use(tenant, *(event(customer=f"c{number}", tags={"cell": f"x{number}"}) for number in range(5)), event())
    for name in ("customer", "tag.cell"):
        body = call("GET", f"spend?group_by={name}").body
        beyond = [row for row in body["data"] if row["overflow"]]
        assert [(row["group"], row["requests"]) for row in beyond] == [({name: None}, 3)]
        assert sum(row["requests"] for row in body["data"]) == body["total"]["requests"] == 6
        assert "other" not in str(body)
    crossed = call("GET", "spend?group_by=customer,model").body["data"]
    assert [row["requests"] for row in crossed if row["group"]["customer"] is None] == [3]
    assert len(call("GET", "events?customer=c4").body["data"]) == 1, "the events keep their names"


REFUSED = [
    ("from=1900-01-01&to=2100-01-01", "/from"),
    ("from=2016-01-01&to=2026-01-01&interval=hour", "/to"),
    ("from=2026-01-01&to=2026-06-01&interval=hour", "/interval"),
    ("from=2026-11-02&to=2026-11-01", "/to"),
    ("from=2026-11-01&to=2026-11-01", "/to"),
    ("from=2026-02-30", "/from"),
    ("from=2026-11-01T00:00:00", "/from"),
    ("from=2026-11-01T00:00:00+01:00", "/from"),
    ("from=20261101", "/from"),
    ("from=2026-W45", "/from"),
    ("from=1761955200", "/from"),
    ("from=", "/from"),
    ("from=٢٠٢٦-١١-٠١", "/from"),
    ("from=0001-01-01", "/from"),
    ("to=9999-12-31", "/to"),
    ("to=2100-01-01", "/to"),
    ("timezone=Mars/Base", "/timezone"),
    ("timezone=", "/timezone"),
    ("timezone=../UTC", "/timezone"),
    ("interval=minute", "/interval"),
    ("group_by=color", "/group_by"),
    ("group_by=tag.", "/group_by"),
    ("group_by=tag.Env", "/group_by"),
    ("group_by=tag.env'||'", "/group_by"),
    ("group_by=model,model", "/group_by"),
    ("group_by=session,model", "/group_by"),
    ("group_by=tag.a,tag.b,tag.c,tag.d,tag.e,tag.f,tag.g,tag.h,tag.i", "/group_by"),
    ("session=s1&customer=acme", "/session"),
    ("group_by=customer,agent&interval=hour", "/interval"),
    ("group_by=customer,agent&interval=day&timezone=Asia/Tokyo&from=2026-11-01&to=2026-11-02", "/timezone"),
    ("group_by=customer,agent&from=2026-11-01T05:00:00Z&to=2026-11-02", "/from"),
    ("group_by=customer,agent&from=2026-11-01&to=2026-11-01T05:00:00Z", "/to"),
    ("group_by=customer,agent&timezone=Asia/Tokyo", "/timezone"),
    ("group_by=session&interval=hour", "/interval"),
    ("group_by=model,", "/group_by"),
    ("tag.env=", "/tag.env"),
    ("tag.Env=prod", "/tag.Env"),
    ("tag.env=a&tag.env=b", "/tag.env"),
    ("customer=%00", "/customer"),
    ("order=password", "/order"),
    ("team=1", "/team"),
    ("team=x", "/team"),
    ("team=", "/team"),
    ("team=1' OR '1'='1", "/team"),
    ("virtual_key=1", "/virtual_key"),
    ("virtual_key=99999999999999999999", "/virtual_key"),
    ("model=%00", "/model"),
    ("model=", "/model"),
    ("provider=" + "x" * 201, "/provider"),
    ("model=a&model=b", "/model"),
]


@pytest.mark.parametrize(("query", "pointer"), REFUSED)
def test_spend_that_cannot_be_told(call: Caller, query: str, pointer: str) -> None:
    refused = call("GET", f"spend?{query}")
    assert (*refused.problem, refused.pointers) == (422, "validation-error", [pointer])


def test_an_unsupported_dimension_is_answered_with_the_supported_ones(call: Caller) -> None:
    detail = call("GET", "spend?group_by=color").body["errors"][0]["detail"]
    assert "provider, model, team, virtual_key" in detail
    assert "session, tag.<name>" in detail


def test_an_answer_is_whole_or_refused(
    tenant: Tenant, call: Caller, prices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(tenant, event(), event(model="gpt-4.1-mini"))
    monkeypatch.setattr(api, "MAX_ROWS", 1)
    assert call("GET", "spend?group_by=model").pointers == ["/group_by"]
    assert call("GET", "spend?group_by=model&interval=day").pointers == ["/group_by"]
    assert call("GET", "spend").status == 200


def test_a_query_that_takes_too_long_is_ended(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_parameters, "QUERY_MS", 50)
    with (
        pytest.raises(Problem) as refused,
        organization_scope(tenant.id),
        api_parameters.bounded(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(5)")
    assert (refused.value.slug, refused.value.errors[0].code) == ("validation-error", "too_slow")


# Events


def test_an_event_in_full(tenant: Tenant, call: Caller, prices: None) -> None:
    sent = event(customer="acme", user="u_17", tags={"env": "prod"}, cost="0.000231", latency_ms=812, trace_id="t1")
    use(tenant, sent)
    (found,) = call("GET", "events").body["data"]
    assert {name: found[name] for name in ("id", "customer", "user", "tags", "latency_ms", "trace_id")} == {
        name: sent[name] for name in ("id", "customer", "user", "tags", "latency_ms", "trace_id")
    }
    assert datetime.fromisoformat(found["time"]) == datetime.fromisoformat(sent["time"])
    assert (found["team"], found["virtual_key"]) == (str(tenant.team.id), str(tenant.key.id))
    assert (found["cost"], found["list_cost"], found["reported_cost"]) == (COST, COST, "0.000231000000")
    assert found["usage"]["input_tokens"] == 1500
    assert found["usage"]["cache_read_input_tokens"] == 300
    assert (found["usage"]["output_tokens"], found["usage"]["requests"]) == (250, 1)


def test_an_unpriced_event_has_no_cost(tenant: Tenant, call: Caller, prices: None) -> None:
    use(tenant, event(), event(model="nobody-knows-this"))
    (found,) = call("GET", "events?unpriced=true").body["data"]
    assert (found["cost"], found["current_cost"], found["unpriced_reason"]) == (None, None, "unknown_model")
    (found,) = call("GET", "events?unpriced=false").body["data"]
    assert (found["cost"], found["reported_cost"]) == (COST, None)


def test_an_event_says_what_it_costs_today(tenant: Tenant, call: Caller, prices: None) -> None:
    priced, unpriced = event(), event(model="nobody-knows-this")
    use(tenant, priced, unpriced)
    deltas = {priced["id"]: {"cost": -100}, unpriced["id"]: {"cost": 5000, "unpriced_requests": -1}}
    with organization_scope(tenant.id):
        post_corrections(
            organization=tenant.organization,
            corrections=[
                Correction(datetime.fromisoformat(each["time"]), each["id"], deltas[each["id"]])
                for each in (priced, unpriced)
            ],
            why=Why("reprice", "a new price", "tests"),
            now=datetime.now(UTC),
        )
    costs = {found["id"]: (found["cost"], found["current_cost"]) for found in call("GET", "events").body["data"]}
    assert costs == {priced["id"]: (COST, "0.000227400"), unpriced["id"]: (None, "0.000005000")}


def test_newest_first_page_by_page(tenant: Tenant, call: Caller, prices: None) -> None:
    """Events of one instant, too, come once each."""
    now = datetime.now(UTC)
    times = [(now - timedelta(seconds=number // 3)).isoformat() for number in range(10)]
    events = [event(time=time) for time in times]
    use(tenant, *events)
    seen: list[str] = []
    cursor = ""
    for _ in range(9):
        page = call("GET", f"events?limit=4{cursor}").body
        seen += [found["id"] for found in page["data"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    expected = sorted(events, key=lambda sent: (sent["time"], sent["id"]), reverse=True)
    assert seen == [sent["id"] for sent in expected]


def test_events_filtered(tenant: Tenant, call: Caller, prices: None) -> None:
    parent = make_team(tenant, "Parent")
    key, _ = make_key(tenant, "child's", make_team(tenant, "Child", parent))
    now = datetime.now(UTC)
    mine, other = event(model="gpt-4.1-mini"), event(time=(now - timedelta(days=3)).isoformat())
    use(tenant, mine)
    use(tenant, other, key=key)

    def ids(query: str) -> list[str]:
        return [found["id"] for found in call("GET", f"events?{query}").body["data"]]

    today = date.today() - timedelta(days=1)  # noqa: DTZ011
    assert ids("") == [mine["id"], other["id"]]
    assert ids(f"team={parent.id}") == ids(f"virtual_key={key.id}") == ids("model=gpt-4.1-nano") == [other["id"]]
    assert ids(f"from={today}") == [mine["id"]]
    assert ids(f"to={today}") == [other["id"]]
    assert ids("provider=openai&model=gpt-4.1-mini") == [mine["id"]]


def test_events_of_a_trace(tenant: Tenant, call: Caller, prices: None) -> None:
    now = datetime.now(UTC)
    spans = [event(time=(now - timedelta(hours=number)).isoformat(), trace_id="t1") for number in range(3)]
    use(tenant, *spans, event(trace_id="t2"), event())
    found = call("GET", "events?trace_id=t1").body["data"]
    assert [each["id"] for each in found] == [each["id"] for each in spans]
    assert call("GET", "events?trace_id=nothing").body == {"data": [], "next": None}


@pytest.mark.parametrize(
    "query",
    ["unpriced=yes", "limit=101", "limit=0", "cursor=x", "cursor=W10", "cursor=WyIiLCAieCJd",
     "cursor=WyIyMDI2LTExLTAxVDAwOjAwOjAwKzAwOjAwIiwgIlx1MDAwMCJd", "from=x", "interval=day", "status=ok&status=ok",
     "team=7", "trace_id=%00", "tag.env=",
     "cursor=WyIyMDI2LTExLTAxVDAwOjAwOjAwKzAwOjAwIiwgIlx1ZDgwMCJd", "cursor=WyIwMDAxLTAxLTAxIiwgIngiXQ%3D%3D&limit=x"],
)  # fmt: skip
def test_events_that_cannot_be_asked_for(call: Caller, query: str) -> None:
    assert call("GET", f"events?{query}").problem == (422, "validation-error")


# Both


@pytest.mark.parametrize("path", ["spend", "events", "spend?group_by=model", "spend?provider=openai"])
def test_nothing_of_a_stranger(tenant: Tenant, stranger: Tenant, prices: None, path: str) -> None:
    use(tenant, event())
    outside = Caller(make_token(stranger, "usage:read"))
    assert outside("GET", path).body["data"] == []
    query = "&" if "?" in path else "?"
    for foreign in (f"team={tenant.team.id}", f"virtual_key={tenant.key.id}"):
        assert outside("GET", f"{path}{query}{foreign}").problem == (422, "validation-error")


@pytest.mark.parametrize("path", ["spend", "events"])
def test_who_may_ask(tenant: Tenant, path: str) -> None:
    assert Caller({})("GET", path).problem == (401, "unauthenticated")
    assert Caller(tenant.bearer)("GET", path).problem == (403, "insufficient-scope")
    assert Caller(make_token(tenant, "budgets:read"))("GET", path).problem == (403, "insufficient-scope")
    assert Caller(make_token(tenant, "usage:read"))("DELETE", path).problem == (405, "method-not-allowed")


def test_both_methods_of_events_live_at_one_address(tenant: Tenant) -> None:
    both = Caller(make_token(tenant, "usage:read", "usage:write"))
    assert both("POST", "events", event(virtual_key=str(tenant.key.id))).status == 202
    assert both("GET", "events").body["data"] == []
    assert both("PUT", "events", event()).problem == (405, "method-not-allowed")
    assert Caller(make_token(tenant, "usage:read"))("POST", "events", event()).problem == (403, "insufficient-scope")
