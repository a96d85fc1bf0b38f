"""Alert rules over the API: scopes, what makes no sense, versions, and that refusals change nothing."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.models import Alert, AlertRule, Delivery
from alerts.rule_kinds import RuleKind
from tenants.access import organization_scope
from tests.alerts.conftest import fired, make_email_channel
from tests.budgets.support import Caller, make_budget, use
from tests.factories import Tenant, make_team, make_token, utc_now
from tests.watch.test_evaluate import make_rule, spent
from watch.preview import WHY_NOT

ANOMALY = {"kind": "spend_anomaly", "name": "Unusual spend"}


@pytest.fixture
def call(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "alerts:read", "alerts:write"))


def stored(tenant: Tenant) -> list[dict[str, Any]]:
    with organization_scope(tenant.id):
        return [dict(rule) for rule in AlertRule.objects.order_by("id").values()]


def test_a_rule_from_its_making_to_its_end(tenant: Tenant, call: Caller) -> None:
    channel = make_email_channel(tenant)
    made = call("POST", "alert-rules", ANOMALY | {
        "scope": {"type": "team", "id": str(tenant.team.id)}, "parameters": {"times": "2.5"}, "severity": "critical",
        "channels": [str(channel.id)],
    })  # fmt: skip
    assert (made.status, made.headers["ETag"]) == (201, '"1"')
    rule = made.body
    assert rule | {"id": "", "created_at": "", "created_by": ""} == {
        "id": "",
        "kind": "spend_anomaly",
        "name": "Unusual spend",
        "scope": {"type": "team", "id": str(tenant.team.id)},
        "parameters": {"times": "2.50", "floor": "5.000000000"},
        "severity": "critical",
        "channels": [str(channel.id)],
        "enabled": True,
        "muted_until": None,
        "evaluated_at": None,
        "created_at": "",
        "created_by": "",
    }
    path = f"alert-rules/{rule['id']}"
    assert call("GET", path).body == rule
    assert call("GET", "alert-rules").body == {"data": [rule], "next": None}
    changed = call("PATCH", path, {"name": "Renamed", "channels": []}, If_Match='"1"')
    assert (changed.body["name"], changed.body["channels"], changed.headers["ETag"]) == ("Renamed", [], '"2"')
    until = (utc_now() + timedelta(days=1)).isoformat()
    assert call("POST", f"{path}/mute", {"until": until}).body["muted_until"] is not None
    assert call("POST", f"{path}/mute", {"until": None}).body["muted_until"] is None
    assert call("DELETE", path, If_Match="*").status == 204
    assert call("GET", path).problem == (404, "not-found")
    assert call("GET", "alert-rules").body["data"] == []


def test_every_kind_can_be_made_with_its_name_alone(call: Caller) -> None:
    for kind in RuleKind:
        assert call("POST", "alert-rules", {"kind": kind.value, "name": kind.label}).status == 201, kind


# Made in one test: each case alone would spend its time on making an organization.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"kind": "key_from_nowhere"}, "/kind"),
    ({"kind": None}, "/kind"),
    ({"name": ""}, "/name"),
    ({"name": "x" * 101}, "/name"),
    ({"name": 5}, "/name"),
    ({"colour": "red"}, "/colour"),
    ({"severity": "loud"}, "/severity"),
    ({"severity": None}, "/severity"),
    ({"enabled": "yes"}, "/enabled"),
    ({"parameters": []}, "/parameters"),
    ({"parameters": {"times": 2}}, "/parameters/times"),
    ({"parameters": {"times": "1"}}, "/parameters/times"),
    ({"parameters": {"times": "NaN"}}, "/parameters/times"),
    ({"parameters": {"floor": "-1"}}, "/parameters/floor"),
    ({"parameters": {"floor": "1" + "0" * 30}}, "/parameters/floor"),
    ({"parameters": {"days": 3}}, "/parameters/days"),
    ({"scope": {"type": "galaxy"}}, "/scope/type"),
    ({"scope": {"type": "organization", "id": "1"}}, "/scope"),
    ({"scope": {"type": "budget"}}, "/scope"),
    ({"scope": {"type": "team", "id": "17"}}, "/scope"),
    ({"scope": {"type": "team", "id": "x"}}, "/scope"),
    ({"scope": {"type": "virtual_key", "id": "9" * 19}}, "/scope"),
    ({"scope": {"type": "customer", "value": "a\nb"}}, "/scope"),
    ({"scope": {"type": "customer", "tag": "env"}}, "/scope"),
    ({"scope": {"type": "tag"}}, "/scope"),
    ({"scope": {"type": "tag", "tag": "Env!"}}, "/scope"),
    ({"channels": ["17"]}, "/channels"),
    ({"channels": ["x"]}, "/channels"),
    ({"channels": "17"}, "/channels"),
]


def test_what_makes_no_sense_is_refused(tenant: Tenant, call: Caller) -> None:
    for changes, pointer in REFUSED:
        answer = call("POST", "alert-rules", ANOMALY | changes)
        assert answer.problem == (422, "validation-error"), changes
        assert answer.pointers == [pointer], changes
    assert stored(tenant) == []


def test_what_belongs_to_another_organization_does_not_exist(tenant: Tenant, stranger: Tenant, call: Caller) -> None:
    theirs, channel = make_team(stranger, "Theirs"), make_email_channel(stranger)
    budget = make_budget(stranger)
    rule = Caller(make_token(stranger, "alerts:write"))("POST", "alert-rules", ANOMALY).body
    for changes in (
        {"scope": {"type": "team", "id": str(theirs.id)}},
        {"channels": [str(channel.id)]},
        {"kind": "run_out", "scope": {"type": "budget", "id": str(budget.id)}},
    ):
        assert call("POST", "alert-rules", ANOMALY | changes).problem == (422, "validation-error")
    before = stored(stranger)
    for method, tail, body in (
        ("GET", "", None), ("PATCH", "", {"name": "mine"}), ("DELETE", "", None), ("POST", "/test", None),
        ("POST", "/mute", {"until": None}), ("GET", "/preview", None),
    ):  # fmt: skip
        assert call(method, f"alert-rules/{rule['id']}{tail}", body, If_Match="*").problem == (404, "not-found")
    assert (stored(stranger), stored(tenant)) == (before, [])


def test_a_name_is_taken_once(call: Caller) -> None:
    assert call("POST", "alert-rules", ANOMALY).status == 201
    assert call("POST", "alert-rules", ANOMALY).pointers == ["/name"]


def test_whoever_is_late_is_told_how_it_stands(tenant: Tenant, call: Caller) -> None:
    path = f"alert-rules/{call('POST', 'alert-rules', ANOMALY).body['id']}"
    assert call("PATCH", path, {"name": "First"}, If_Match='"1"').status == 200
    for answer in (call("PATCH", path, {"name": "Second"}, If_Match='"1"'), call("DELETE", path, If_Match='"1"')):
        assert answer.problem == (412, "stale-write")
        assert (answer.body["current"]["name"], answer.headers["ETag"]) == ("First", '"2"')
    assert call("PATCH", path, {"name": "Second"}).problem == (428, "precondition-required")
    assert [rule["name"] for rule in stored(tenant)] == ["First"]


def test_scopes_of_tokens(tenant: Tenant, call: Caller) -> None:
    path = f"alert-rules/{call('POST', 'alert-rules', ANOMALY).body['id']}"
    before, reader, other = (
        stored(tenant),
        Caller(make_token(tenant, "alerts:read")),
        make_token(tenant, "budgets:write"),
    )
    assert reader("GET", path).status == 200
    for method, tail, body in (("PATCH", "", {"name": "x"}), ("DELETE", "", None), ("POST", "/test", None)):
        assert reader(method, path + tail, body, If_Match="*").problem == (403, "insufficient-scope")
    assert reader("POST", "alert-rules", ANOMALY | {"name": "y"}).problem == (403, "insufficient-scope")
    assert reader("GET", f"{path}/preview").status == 200
    assert Caller(other)("GET", path).problem == (403, "insufficient-scope")
    assert Caller(other)("GET", f"{path}/preview").problem == (403, "insufficient-scope")
    assert Caller(tenant.bearer)("GET", path).problem == (403, "insufficient-scope")
    assert Caller({})("GET", path).problem == (401, "unauthenticated")
    assert stored(tenant) == before


def test_a_test_goes_to_the_channels_of_the_rule_alone(tenant: Tenant, call: Caller) -> None:
    wanted = make_email_channel(tenant)
    make_email_channel(tenant, name="Other")
    rule = call("POST", "alert-rules", ANOMALY | {"channels": [str(wanted.id)]}).body
    call("POST", f"alert-rules/{rule['id']}/mute", {"until": (utc_now() + timedelta(days=1)).isoformat()})
    sent = call("POST", f"alert-rules/{rule['id']}/test")
    assert (sent.status, sent.body["kind"], sent.body["rule"]) == (202, "rule_test", rule["id"])
    assert [delivery["channel"]["id"] for delivery in sent.body["deliveries"]] == [str(wanted.id)]
    assert call("POST", f"alert-rules/{rule['id']}/test").problem == (409, "conflict")
    with organization_scope(tenant.id):
        assert (Alert.objects.count(), Delivery.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "until", [None, "soon", 5, "2026-11-24T12:00:00", "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]
)
def test_muting_and_snoozing_want_a_moment_that_is_near(tenant: Tenant, call: Caller, until: Any) -> None:
    alert = fired(tenant, utc_now())
    assert call("POST", f"alerts/{alert.id}/snooze", {"until": until}).problem == (422, "validation-error")
    rule = call("POST", "alert-rules", ANOMALY).body
    if until is not None:
        assert call("POST", f"alert-rules/{rule['id']}/mute", {"until": until}).problem == (422, "validation-error")
    assert call("GET", f"alerts/{alert.id}").body["state"] == "firing"
    assert call("GET", f"alert-rules/{rule['id']}").body == rule


def test_snoozing(tenant: Tenant, stranger: Tenant, call: Caller) -> None:
    alert, until = fired(tenant, utc_now()), (utc_now() + timedelta(hours=1)).isoformat()
    for headers, problem in (
        (make_token(tenant, "alerts:read"), (403, "insufficient-scope")),
        (make_token(stranger, "alerts:write"), (404, "not-found")),
    ):
        assert Caller(headers)("POST", f"alerts/{alert.id}/snooze", {"until": until}).problem == problem
    snoozed = call("POST", f"alerts/{alert.id}/snooze", {"until": until}).body
    assert (snoozed["state"], [event["kind"] for event in snoozed["events"]]) == ("snoozed", ["fired", "snoozed"])
    assert [each["id"] for each in call("GET", "alerts?state=snoozed").body["data"]] == [str(alert.id)]
    assert call("POST", f"alerts/{alert.id}/acknowledge").body["state"] == "acknowledged"
    assert call("POST", f"alerts/{alert.id}/snooze", {"until": until}).problem == (409, "conflict")


def test_every_kind_has_a_test_and_a_preview_or_says_why_not(tenant: Tenant, call: Caller) -> None:
    make_email_channel(tenant)
    for kind in RuleKind:
        rule = call("POST", "alert-rules", {"kind": kind, "name": kind.label}).body
        sent = call("POST", f"alert-rules/{rule['id']}/test")
        assert (sent.status, len(sent.body["deliveries"]), sent.body["state"]) == (202, 1, "acknowledged"), kind
        tried = call("GET", f"alert-rules/{rule['id']}/preview")
        if kind in WHY_NOT:
            assert (tried.problem, tried.body["detail"]) == ((409, "conflict"), WHY_NOT[kind])
        else:
            assert (tried.status, tried.body["days"], tried.body["told"]) == (200, 30, [])
        assert call("GET", f"alert-rules/{rule['id']}/preview?days=7").problem == (422, "validation-error")


def test_a_preview_says_when_what_and_at_whom(tenant: Tenant, prices: None, call: Caller) -> None:
    rule = make_rule(tenant, RuleKind.ERROR_SPEND)
    now = utc_now()
    use(tenant, spent(now - timedelta(days=2), 10, status="error"), now=now)
    tried = call("GET", f"alert-rules/{rule.id}/preview").body
    assert tried["subjects"] == ["Acme"]
    ((found, said),) = [(each["subject"], each["found"]) for each in tried["told"]]
    assert (found, said) == ("Acme", "$10.00 of $10.00 went to calls that failed")
