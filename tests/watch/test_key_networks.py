"""A key that is used from a network it was never used from: the alert, the page and the API, as they come."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory
from pytest_django import Settings

from alerts.facts import lines_of
from alerts.models import Alert, AlertRule, Delivery
from alerts.rule_kinds import RuleKind
from alerts.rules import RuleDraft, RuleScope, rule_update
from alerts.services import alert_acknowledge
from tenants.access import organization_scope
from tenants.authentication import Caller as Proven
from tenants.models import VirtualKey
from tenants.roles import Role
from tenants.services import credential_revoke
from tests.alerts.conftest import make_email_channel
from tests.alerts.test_pages import signed_in, text
from tests.budgets.support import Caller
from tests.factories import Tenant, make_key, make_member, make_team, make_token
from tests.ingest.payloads import event
from tests.watch.test_evaluate import alerts, history, make_rule, read
from usage.key_networks import key_networks
from watch.key_readers import read_key_networks
from watch.place import Place

NOW = datetime(2026, 11, 24, 18, 10, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
KIND = RuleKind.KEY_NEW_NETWORK


@pytest.fixture(autouse=True)
def nothing_noted() -> Iterator[None]:
    key_networks.forget()
    yield
    key_networks.forget()


@pytest.fixture
def known(tenant: Tenant) -> Tenant:
    """Its key has been used from 198.51.100.0/24 for ten days."""
    make_email_channel(tenant)
    used(tenant, "198.51.100.7", at=NOW - 10 * DAY)
    return tenant


def used(tenant: Tenant, *addresses: str, at: datetime = NOW, key: VirtualKey | None = None) -> None:
    key = key or tenant.key
    for address in addresses:
        caller = Proven(tenant.id, key.id, frozenset(), key.team_id)
        key_networks.note(RequestFactory().get("/", REMOTE_ADDR=address), caller, at)
    key_networks.flush()


def titles(tenant: Tenant) -> list[str]:
    return [alert.title for alert in alerts(tenant)]


def told(tenant: Tenant) -> int:
    with organization_scope(tenant.id):
        return Delivery.objects.count()


def test_from_the_first_request_to_the_alert(
    tenant: Tenant, client: Client, settings: Settings, time_machine: Any
) -> None:
    """Usage is reported from this machine; eight days later through a trusted proxy from elsewhere."""
    make_email_channel(tenant)
    make_rule(tenant, KIND)

    def report(now: datetime, **headers: str) -> int:
        time_machine.move_to(now, tick=False)
        headers |= tenant.bearer
        answer = client.post("/api/v1/events", event(), content_type="application/json", headers=headers)
        assert answer.status_code == 202
        key_networks.flush()
        return read(tenant, now + MINUTE)

    start = datetime.now(UTC)
    forged = {"X-Forwarded-For": "203.0.113.7"}
    assert [report(start + days * DAY, **forged) for days in (0, 1, 8)] == [0, 0, 0]
    settings.TRUSTED_PROXY_COUNT = 1
    assert report(start + 8 * DAY + MINUTE, **{"X-Forwarded-For": "192.0.2.1, 203.0.113.7"}) == 1
    assert report(start + 8 * DAY + 2 * MINUTE, **{"X-Forwarded-For": "192.0.2.1, 203.0.113.200:4711"}) == 0
    (alert,) = alerts(tenant)
    assert (alert.title, alert.severity) == ("Key first key is used from a new network, 203.0.113.0/24", "warning")
    said = {line.label: line.value for line in lines_of(alert.facts)}
    assert said.pop("First seen").endswith("UTC")
    assert said == {
        "Virtual key": "first key", "Team": "Default", "Networks": "203.0.113.0/24", "Networks known before": "1",
        "Rule": "The rule",
    }  # fmt: skip
    assert alert.facts["link"] == f"/o/acme/keys?team={tenant.team.id}"
    landing = text(signed_in(make_member(tenant, Role.VIEWER)).get(str(alert.facts["link"])))
    assert "first key" in landing
    assert told(tenant) == 1


def test_a_key_is_got_to_know_silently(tenant: Tenant) -> None:
    make_rule(tenant, KIND, days=3)
    for days, address in ((0, "198.51.100.7"), (1, "203.0.113.7"), (2, "2001:db8::1")):
        used(tenant, address, at=NOW + days * DAY)
        assert read(tenant, NOW + days * DAY + MINUTE) == 0
    used(tenant, "192.0.2.7", at=NOW + 3 * DAY)
    assert read(tenant, NOW + 3 * DAY + MINUTE) == 1
    assert alerts(tenant)[0].facts["known_networks"] == 3


def test_news_is_told_once_and_does_not_recover(known: Tenant) -> None:
    make_rule(known, KIND)
    used(known, "203.0.113.7", at=NOW)
    assert [read(known, NOW + minutes * MINUTE) for minutes in (1, 2, 3, 1_000, 3_000, 10_000)] == [1, 0, 0, 0, 0, 0]
    used(known, "203.0.113.7", at=NOW + 5 * DAY)
    assert read(known, NOW + 5 * DAY + MINUTE) == 0
    assert (titles(known), alerts(known)[0].state) == (
        ["Key first key is used from a new network, 203.0.113.0/24"], "firing",
    )  # fmt: skip


def test_many_at_once_are_one_alert_and_later_ones_are_added_to_it(known: Tenant) -> None:
    make_rule(known, KIND)
    used(known, *(f"203.0.{number}.7" for number in range(30)), at=NOW)
    assert read(known, NOW + MINUTE) == 1
    assert titles(known) == ["Key first key is used from 30 new networks"]
    used(known, "192.0.2.7", at=NOW + 5 * MINUTE)
    # Nobody has seen to it yet, so nobody is told again.
    assert (read(known, NOW + 6 * MINUTE), told(known)) == (0, 1)
    (alert,) = alerts(known)
    assert alert.title == "Key first key is used from 31 new networks"
    assert (len(alert.facts["networks"]), alert.facts["networks"][-1]) == (20, "192.0.2.0/24")
    assert (alert.facts["more_networks"], alert.facts["newest_seen"]) == (11, (NOW + 5 * MINUTE).isoformat())
    assert history(known) == ["added"]


def test_what_is_added_to_a_seen_alert_is_told_again(known: Tenant) -> None:
    make_rule(known, KIND)
    used(known, "203.0.113.7", at=NOW)
    read(known, NOW + MINUTE)
    acknowledge(known, NOW + 2 * MINUTE)
    assert read(known, NOW + 3 * MINUTE) == 0
    used(known, "192.0.2.7", at=NOW + 5 * MINUTE)
    assert [read(known, NOW + 6 * MINUTE), read(known, NOW + 7 * MINUTE)] == [1, 0]
    assert [alert.title for alert in alerts(known)] == [
        "Key first key is used from 2 new networks", "Again: Key first key is used from 2 new networks",
    ]  # fmt: skip
    assert alerts(known)[0].state == "firing"
    assert history(known) == ["acknowledged", "added", "fired_again"]


def test_a_seen_alert_is_told_again_of_what_comes_after_hundreds_until_the_key_is_used_from_anywhere(
    known: Tenant,
) -> None:
    make_rule(known, KIND)
    many = [f"10.0.{number}.7" for number in range(254)]
    used(known, *many[:150], at=NOW)
    read(known, NOW + MINUTE)
    acknowledge(known, NOW + 2 * MINUTE)
    assert read(known, NOW + 3 * MINUTE) == 0
    used(known, *many[150:], at=NOW + 4 * MINUTE)
    assert [read(known, NOW + minutes * MINUTE) for minutes in (5, 6)] == [1, 0]
    assert titles(known)[1:] == ["Again: Key first key is used from 254 new networks"]
    assert len(alerts(known)[0].facts["networks"]) == 20
    acknowledge(known, NOW + 7 * MINUTE)
    used(known, "192.0.2.7", at=NOW + 8 * MINUTE)
    assert (read(known, NOW + 9 * MINUTE), len(titles(known))) == (0, 2), "as many as are kept"


def acknowledge(tenant: Tenant, now: datetime) -> None:
    with organization_scope(tenant.id):
        alert_acknowledge(alert=Alert.objects.earliest("id"), actor=tenant.owner, now=now)


def test_each_day_has_an_alert_of_its_own(known: Tenant) -> None:
    make_rule(known, KIND)
    used(known, "203.0.113.7", at=NOW)
    used(known, "192.0.2.7", at=NOW + DAY)
    # Both are read at once, by a worker that had been away for a day.
    assert read(known, NOW + DAY + MINUTE) == 2
    assert sorted(titles(known)) == [
        "Key first key is used from a new network, 192.0.2.0/24",
        "Key first key is used from a new network, 203.0.113.0/24",
    ]


def test_networks_that_are_ours_are_no_news(known: Tenant) -> None:
    rule = make_rule(known, KIND, ours=["203.0.112.0/23"])
    used(known, "203.0.113.7", at=NOW)
    assert read(known, NOW + MINUTE) == 0
    change(known, rule, ours=["203.0.112.0/24"])
    assert read(known, NOW + 2 * MINUTE) == 1


def change(tenant: Tenant, rule: AlertRule, *, enabled: bool = True, **parameters: Any) -> None:
    with organization_scope(tenant.id):
        rule.refresh_from_db()
        draft = RuleDraft("The rule", RuleScope(), "warning", parameters, enabled=enabled)
        rule_update(rule=rule, version=rule.version, draft=draft, actor=None, now=NOW)


def test_a_rule_that_changes_tells_no_old_news_again(known: Tenant) -> None:
    """Neither what nobody has seen yet nor what somebody has; but what comes after, without what is ours by now."""
    rule, other = make_rule(known, KIND), make_key(known, "other", known.team)[0]
    used(known, "198.51.100.7", at=NOW - 10 * DAY, key=other)
    for key in (known.key, other):
        used(known, "203.0.113.7", "192.0.2.7", at=NOW, key=key)
    assert read(known, NOW + MINUTE) == 2
    acknowledge(known, NOW + 2 * MINUTE)
    change(known, rule, ours=["192.0.2.0/24"])
    assert read(known, NOW + 3 * MINUTE) == 0
    assert sorted(alert.state for alert in alerts(known)) == ["acknowledged", "firing"]
    (seen,) = (alert for alert in alerts(known) if alert.state == "acknowledged")
    key = known.key if seen.facts["virtual_key"] == "first key" else other
    used(known, "10.0.0.7", at=NOW + 4 * MINUTE, key=key)
    assert read(known, NOW + 5 * MINUTE) == 1
    assert titles(known)[2:] == [f"Again: Key {key.name} is used from 2 new networks"]
    assert [alert.facts["networks"] for alert in alerts(known) if alert.subject == seen.subject] == [
        ["203.0.113.0/24", "10.0.0.0/24"]
    ] * 2
    # What is news under the new parameters alone is told.
    acknowledge(known, NOW + 6 * MINUTE)
    change(known, rule, ours=["10.0.0.0/24"])
    assert read(known, NOW + 7 * MINUTE) == 1


def test_a_rule_that_was_off_tells_only_what_came_since(known: Tenant) -> None:
    rule = make_rule(known, KIND)
    used(known, "203.0.113.7", at=NOW)
    read(known, NOW + MINUTE)
    change(known, rule, enabled=False)
    assert (read(known, NOW + 2 * MINUTE), alerts(known)[0].state) == (0, "recovered")
    change(known, rule)
    assert read(known, NOW + 3 * MINUTE) == 0
    used(known, "192.0.2.7", at=NOW + 4 * MINUTE)
    assert (read(known, NOW + 5 * MINUTE), alerts(known)[0].state) == (1, "firing")


def test_only_keys_of_the_scope_that_can_be_used(known: Tenant) -> None:
    below = make_team(known, "Below", make_team(known, "Above"))
    theirs, _ = make_key(known, "theirs", below)
    ended, _ = make_key(known, "ended", below)
    for key in (theirs, ended):
        used(known, "198.51.100.7", at=NOW - 10 * DAY, key=key)
        used(known, "203.0.113.7", at=NOW, key=key)
    used(known, "203.0.113.7", at=NOW)
    with organization_scope(known.id):
        credential_revoke(credential=ended, actor=known.owner, now=NOW)
        above = below.parent_id
        found = {}
        for scope in ("organization", "team:", f"team:{above}", f"virtual_key:{known.key.id}", "virtual_key:"):
            kind, _, value = scope.partition(":")
            rule = AlertRule(organization=known.organization, kind=KIND, scope_type=kind, scope_value=value)
            readings = read_key_networks(Place(known.organization, rule, NOW + MINUTE))
            found[scope] = {str(reading.facts["virtual_key"]) for reading in readings}
    assert found == {
        "organization": {"theirs", "first key"}, "team:": {"theirs", "first key"}, f"team:{above}": {"theirs"},
        f"virtual_key:{known.key.id}": {"first key"}, "virtual_key:": {"theirs", "first key"},
    }  # fmt: skip


def test_bad_networks_are_refused_on_form_and_api_and_good_ones_are_kept(known: Tenant) -> None:
    owner, call = signed_in(known.owner), Caller(make_token(known, "alerts:write", "alerts:read"))
    form = {"name": "Ours", "scope": "organization", "parameter_days": "7", "severity": "critical", "enabled": "on"}
    new = "/o/acme/alerts/rules/new?kind=key_new_network"
    refused = owner.post(new, form | {"parameter_ours": "10.0.0.0/8\n203.0.113.7"})
    assert (refused.status_code, "write 203.0.113.0/24" in text(refused)) == (422, True)
    given = {"kind": KIND.value, "name": "Ours", "parameters": {"ours": ["office"]}}
    answer = call("POST", "alert-rules", given)
    assert (answer.problem, answer.pointers) == ((422, "validation-error"), ["/parameters/ours"])
    with organization_scope(known.id):
        assert not AlertRule.objects.filter(name="Ours").exists()
    page = text(owner.post(new, form | {"parameter_ours": "10.0.0.0/8, 2001:db8::/32\n"}, follow=True))
    assert "10.0.0.0/8, 2001:db8::/32" in page
    (made,) = (rule for rule in call("GET", "alert-rules").body["data"] if rule["name"] == "Ours")
    assert made["parameters"] == {"days": 7, "ours": ["10.0.0.0/8", "2001:db8::/32"]}
    edit = owner.get(f"/o/acme/alerts/rules/{made['id']}/edit")
    assert edit.context["form"].initial["parameter_ours"] == "10.0.0.0/8\n2001:db8::/32"


def test_the_page_of_a_key_shows_where_it_is_used_from(known: Tenant, stranger: Tenant) -> None:
    managed, page = make_team(known, "Managed"), f"/o/acme/keys/{known.key.id}/networks"
    owner, manager = signed_in(known.owner), signed_in(make_member(known, Role.MANAGER, teams=[managed]))
    shown = text(owner.get(page))
    assert "198.51.100.0/24" in shown
    assert "198.51.100.7" not in shown
    assert "No rule watches this." in shown
    make_rule(known, KIND, f"team:{managed.id}")
    assert "Add one" in text(owner.get(page))
    assert page in text(owner.get("/o/acme/keys"))
    for client in (manager, signed_in(make_member(known, Role.VIEWER)), signed_in(make_member(known, Role.FINANCE))):
        assert client.get(page).status_code == 403
        assert page not in text(client.get("/o/acme/keys"))
    own, _ = make_key(known, "own", managed)
    shown = text(manager.get(f"/o/acme/keys/{own.id}/networks"))
    assert "Not used yet" in shown
    assert "The rule" in shown
    outside = signed_in(stranger.owner)
    for path in (page, page.replace("acme", "globex"), "/o/globex/keys/1/networks"):
        assert outside.get(path).status_code == 404


def test_the_api_tells_the_same(known: Tenant, stranger: Tenant) -> None:
    path = f"keys/{known.key.id}/networks"
    answer = Caller(make_token(known, "keys:read"))("GET", path)
    seen = (NOW - 10 * DAY).isoformat().replace("+00:00", "Z")
    row = {"network": "198.51.100.0/24", "first_seen_at": seen, "last_seen_at": seen, "days": 1}
    assert (answer.status, answer.body) == (200, {"data": [row], "next": None})
    foreign: Callable[..., Any] = Caller(make_token(stranger, "keys:read"))
    assert foreign("GET", path).body["detail"] == foreign("GET", "keys/1/networks").body["detail"]
    assert foreign("GET", path).problem == (404, "not-found")
    assert Caller(make_token(known, "usage:write"))("GET", path).problem == (403, "insufficient-scope")
    assert Caller(known.bearer)("GET", path).problem == (403, "insufficient-scope")
    assert Caller(make_token(known, "keys:read"))("GET", f"{path}?x=1").status == 422
