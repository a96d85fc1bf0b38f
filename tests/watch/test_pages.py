"""Pages of alert rules for owner, manager, viewer and stranger. On a refusal nothing has changed."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from alerts.models import Alert, AlertRule
from alerts.rule_kinds import RuleKind
from alerts.rules import default_rules_create
from tenants.access import organization_scope
from tenants.roles import Role
from tests.alerts.conftest import fired, make_email_channel
from tests.alerts.test_pages import signed_in, text
from tests.budgets.support import make_budget, use
from tests.factories import Tenant, make_member, utc_now
from tests.watch.test_evaluate import spent

RULES = "/o/acme/alerts/rules"


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    with organization_scope(tenant.id):
        default_rules_create(organization=tenant.organization, now=utc_now())
    return signed_in(tenant.owner)


def rules(tenant: Tenant) -> list[dict[str, Any]]:
    with organization_scope(tenant.id):
        return [dict(rule) for rule in AlertRule.objects.order_by("id").values()]


def one(tenant: Tenant, kind: RuleKind) -> AlertRule:
    with organization_scope(tenant.id):
        return AlertRule.objects.filter(kind=kind).order_by("id")[0]


ANOMALY = {
    "name": "Acme's spend", "scope": "customer", "value": "Acme", "tag_name": "", "parameter_times": "2",
    "parameter_floor": "10.00", "severity": "critical", "enabled": "on",
}  # fmt: skip


def test_the_list_says_what_is_watched(tenant: Tenant, owner: Client) -> None:
    page = text(owner.get(RULES))
    for words in ("Unusual spend of a team", "Each team", "Every budget", "The whole organization", "Silent key"):
        assert words in page


def test_every_kind_has_a_form_that_saves_what_it_shows(tenant: Tenant, owner: Client) -> None:
    choices = text(owner.get(f"{RULES}/new"))
    for kind in RuleKind:
        assert f"{RULES}/new?kind={kind.value}" in choices
        form = owner.get(f"{RULES}/new?kind={kind.value}").context["form"]
        given = {name: field.initial for name, field in form.fields.items() if field.initial is not None}
        given |= {"name": f"My {kind}", "severity": form.initial["severity"], "enabled": "on"}
        if "scope" in form.fields:
            given["scope"] = form.fields["scope"].choices[0][0]
        assert owner.post(f"{RULES}/new?kind={kind.value}", given).status_code == 302, kind
        made = rules(tenant)[-1]
        assert (made["kind"], made["name"], made["created_by"]) == (kind.value, f"My {kind}", tenant.owner.email)
        initial = owner.get(f"{RULES}/{made['id']}/edit").context["form"].initial
        again = {name: value for name, value in initial.items() if value not in (None, [], False)}
        assert owner.post(f"{RULES}/{made['id']}/edit", again).status_code == 302, kind
        assert rules(tenant)[-1] | {"version": 0} == made | {"version": 0}


def test_a_rule_on_a_customer(tenant: Tenant, owner: Client) -> None:
    channel = make_email_channel(tenant)
    page = text(owner.post(f"{RULES}/new?kind=spend_anomaly", ANOMALY | {"channels": [str(channel.id)]}, follow=True))
    for words in ("Customer Acme", "$10.00", "2.00×", "Critical", "Finance", "Nothing has fired by this rule."):
        assert words in page


REFUSED = [
    ({"name": ""}, "required"),
    ({"name": "Budget thresholds"}, "Another rule has this name."),
    ({"scope": "galaxy"}, "not one of the available choices"),
    ({"scope": "team:17"}, "not one of the available choices"),
    ({"scope": "organization"}, "has no name to look for"),
    ({"tag_name": "env"}, "Name the tag for a tag"),
    ({"scope": "tag", "value": ""}, "Name the tag for a tag"),
    ({"scope": "tag", "tag_name": "Env!"}, "small letters"),
    ({"parameter_times": "0"}, "must be a decimal string"),
    ({"parameter_times": "many"}, "must be a decimal string"),
    ({"parameter_floor": "-5"}, "must be a decimal string"),
    ({"severity": ""}, "required"),
    ({"severity": "loud"}, "not one of the available choices"),
]


def test_what_makes_no_sense_is_said_on_the_form(tenant: Tenant, owner: Client) -> None:
    before = rules(tenant)
    assert owner.get(f"{RULES}/new?kind=key_from_nowhere").status_code == 404
    for changes, words in REFUSED:
        response = owner.post(f"{RULES}/new?kind=spend_anomaly", ANOMALY | changes)
        assert response.status_code == 422, changes
        assert words in text(response), changes
    assert rules(tenant) == before


def test_a_stale_form_saves_nothing_and_shows_how_it_stands(tenant: Tenant, owner: Client) -> None:
    rule = one(tenant, RuleKind.RUN_OUT)
    given = {
        "name": "First",
        "scope": "budget:",
        "parameter_days": "5",
        "severity": "info",
        "enabled": "on",
        "version": 1,
    }
    assert owner.post(f"{RULES}/{rule.id}/edit", given).status_code == 302
    response = owner.post(f"{RULES}/{rule.id}/edit", given | {"name": "Second"})
    assert response.status_code == 412
    assert "Somebody else changed this rule" in text(response)
    assert 'value="First"' in text(response)
    assert one(tenant, RuleKind.RUN_OUT).name == "First"


def test_muting_testing_and_deleting(tenant: Tenant, owner: Client) -> None:
    rule = one(tenant, RuleKind.SPEND_ANOMALY)
    url = f"{RULES}/{rule.id}"
    assert "tells nobody until" in text(owner.post(f"{url}/mute", {"hours": "24"}, follow=True))
    assert "Muted" in text(owner.get(RULES))
    assert "Unmute" in text(owner.get(url))
    assert "tells its channels again" in text(owner.post(f"{url}/mute", follow=True))
    assert "This is a test of the rule" in text(owner.post(f"{url}/test", follow=True))
    assert "A test went out a moment ago." in text(owner.post(f"{url}/test", follow=True))
    assert "Delete Unusual spend" in text(owner.get(f"{url}/delete"))
    assert "is deleted" in text(owner.post(f"{url}/delete", follow=True))
    assert owner.get(url).status_code == 404


@pytest.mark.parametrize("role", [Role.MANAGER, Role.VIEWER])
def test_who_may_not_change_rules_sees_them(tenant: Tenant, owner: Client, role: Role) -> None:
    member, rule = signed_in(make_member(tenant, role)), one(tenant, RuleKind.SPEND_ANOMALY)
    alert, before = fired(tenant, utc_now()), rules(tenant)
    assert member.get(RULES).status_code == member.get(f"{RULES}/{rule.id}").status_code == 200
    assert "Send test" not in text(member.get(f"{RULES}/{rule.id}"))
    for path in ("/new", "/new?kind=spend_anomaly", f"/{rule.id}/edit", f"/{rule.id}/delete"):
        assert member.get(RULES + path).status_code == 403
    for path in (
        "/new?kind=spend_anomaly",
        f"/{rule.id}/edit",
        f"/{rule.id}/delete",
        f"/{rule.id}/mute",
        f"/{rule.id}/test",
    ):
        assert member.post(RULES + path, ANOMALY).status_code == 403
    assert member.post(f"/o/acme/alerts/{alert.id}/snooze", {"hours": "1"}).status_code == 403
    with organization_scope(tenant.id):
        assert Alert.objects.get().state == "firing"
    assert rules(tenant) == before


def test_a_stranger_finds_nothing(tenant: Tenant, stranger: Tenant, owner: Client) -> None:
    rule, before = one(tenant, RuleKind.SPEND_ANOMALY), rules(tenant)
    client = signed_in(stranger.owner)
    for base in (RULES, RULES.replace("acme", "globex")):
        for path in (f"/{rule.id}", f"/{rule.id}/edit", f"/{rule.id}/delete"):
            assert client.get(base + path).status_code == 404
        for path in (f"/{rule.id}/edit", f"/{rule.id}/delete", f"/{rule.id}/mute", f"/{rule.id}/test"):
            assert client.post(base + path, ANOMALY).status_code == 404
    assert rules(tenant) == before


def test_trying_a_rule_on_the_last_days(tenant: Tenant, owner: Client, prices: None) -> None:
    rule, now = one(tenant, RuleKind.SPEND_ANOMALY), utc_now()
    assert "/preview" in text(owner.get(f"{RULES}/{rule.id}"))
    assert "would have fired 0 times" in text(owner.get(f"{RULES}/{rule.id}/preview"))
    usual = [spent(now - timedelta(days=back, hours=3), 10) for back in range(1, 34)]
    use(tenant, *usual, spent(now - timedelta(days=1, hours=4), 60), now=now)
    response = owner.get(f"{RULES}/{rule.id}/preview")
    assert "would have fired 1 time in 30 days" in text(response)
    assert [(each.subject, each.said) for each in response.context["told"]] == [
        ("Acme", "$70.00 in 6 hours, usually $10.00")
    ]
    assert owner.get(f"{RULES}/{one(tenant, RuleKind.RUN_OUT).id}/preview").status_code == 404


def test_snoozing_from_the_alert_s_page(tenant: Tenant, owner: Client) -> None:
    alert = fired(tenant, utc_now())
    url = f"/o/acme/alerts/{alert.id}"
    assert "Choose for how long." in text(owner.post(f"{url}/snooze", {"hours": "7"}, follow=True))
    page = text(owner.post(f"{url}/snooze", {"hours": "4"}, follow=True))
    assert "Nobody is told more until" in page
    assert "Snoozed" in page
    assert "Snoozed" in text(owner.get("/o/acme/alerts?state=snoozed"))
    owner.post(f"{url}/acknowledge")
    assert "nobody is told more of it" in text(owner.post(f"{url}/snooze", {"hours": "4"}, follow=True))


def test_names_are_shown_escaped(tenant: Tenant, owner: Client) -> None:
    name = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    make_email_channel(tenant, name=name)
    make_budget(tenant, name)
    owner.post(f"{RULES}/new?kind=spend_anomaly", ANOMALY | {"name": name, "value": name})
    rule = rules(tenant)[-1]
    assert rule["name"] == name
    for path in ("", f"/{rule['id']}", f"/{rule['id']}/edit", f"/{rule['id']}/delete", "/new?kind=run_out"):
        page = text(owner.get(RULES + path))
        assert "alert(1)" in page or path == ""
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page
