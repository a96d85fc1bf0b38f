"""Pages of alerts and channels for owner, member and stranger. On a refusal nothing has changed."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from alerts.deliver import deliver_due
from alerts.models import Alert, Channel
from alerts.views import PAGE_SIZE
from tenants.access import organization_scope
from tenants.models import AuditEntry, User
from tenants.roles import Role
from tests.alerts.conftest import deliveries, fired, make_email_channel, make_slack_channel, statuses
from tests.factories import Tenant, make_member
from tests.servers import Answer, SlackServer

pytestmark = pytest.mark.urls("tests.alerts.urls")

SLACK_URL = "https://hooks.slack.com/services/T000/B000/secretsecret"


def signed_in(user: User, *, enforce_csrf_checks: bool = False) -> Client:
    client = Client(enforce_csrf_checks=enforce_csrf_checks)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    return signed_in(tenant.owner)


@pytest.fixture
def viewer(tenant: Tenant) -> Client:
    return signed_in(make_member(tenant, Role.VIEWER))


def text(response: Any) -> str:
    return str(response.content.decode())


def channels(tenant: Tenant) -> list[Channel]:
    with organization_scope(tenant.id):
        return list(Channel.objects.present().order_by("id"))


def test_an_empty_list_teaches_the_next_step(owner: Client) -> None:
    page = text(owner.get("/o/acme/alerts"))
    assert "Nothing has fired yet" in page
    assert "No channel is on" in page
    assert "/o/acme/alerts/channels" in page


def test_the_list_says_what_fired_and_how_it_was_delivered(tenant: Tenant, owner: Client, now: datetime) -> None:
    make_email_channel(tenant)
    alert = fired(tenant, now)
    deliver_due(clock=lambda: now)
    page = text(owner.get("/o/acme/alerts"))
    for words in ("Search team: 80 % is spent", "Warning", "1 sent", f"/o/acme/alerts/{alert.id}", "Budget threshold"):
        assert words in page


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("", {"One", "Two", "Three"}),
        ("?severity=critical", {"Two"}),
        ("?state=firing", {"One", "Two"}),
        ("?state=acknowledged", {"Three"}),
        ("?kind=unpriced_usage", {"Three"}),
        ("?severity=critical&kind=unpriced_usage", set()),
        ("?severity=loud&state='&kind=%00&cursor=nonsense", {"One", "Two", "Three"}),
        ("?cursor=W10&unknown=1", {"One", "Two", "Three"}),
    ],
)
def test_filters_stand_in_the_url(tenant: Tenant, owner: Client, now: datetime, query: str, titles: set[str]) -> None:
    fired(tenant, now, key="1", title="One")
    fired(tenant, now, key="2", title="Two", severity="critical")
    fired(tenant, now, key="3", title="Three", kind="unpriced_usage")
    with organization_scope(tenant.id):
        Alert.objects.filter(title="Three").update(acknowledged_at=now, acknowledged_by="x")
    response = owner.get(f"/o/acme/alerts{query}")
    assert response.status_code == 200
    assert {title for title in ("One", "Two", "Three") if f">{title}</a>" in text(response)} == titles


def test_older_alerts_are_a_page_away(tenant: Tenant, owner: Client, now: datetime) -> None:
    for number in range(PAGE_SIZE + 5):
        fired(tenant, now - timedelta(minutes=number), key=str(number), title=f"Alert no. {number}.")
    first = owner.get("/o/acme/alerts")
    assert [row.alert.title for row in first.context["rows"]] == [f"Alert no. {n}." for n in range(PAGE_SIZE)]
    second = owner.get(first.context["next_url"])
    assert [row.alert.title for row in second.context["rows"]] == [
        f"Alert no. {n}." for n in range(PAGE_SIZE, PAGE_SIZE + 5)
    ]
    assert (second.context["next_url"], second.context["previous_url"]) == ("", "/o/acme/alerts?")


def test_the_list_does_not_ask_once_per_alert(tenant: Tenant, owner: Client, now: datetime) -> None:
    make_email_channel(tenant)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            owner.get("/o/acme/alerts")
        return len(captured)

    fired(tenant, now)
    queries()  # The first request of a session asks for more.
    with_one = queries()
    for number in range(30):
        fired(tenant, now, key=str(number))
    assert queries() == with_one


def test_one_alert_shows_facts_and_every_attempt(
    tenant: Tenant, owner: Client, now: datetime, slack: SlackServer
) -> None:
    make_slack_channel(tenant, slack.url)
    alert = fired(tenant, now)
    slack.answers.append(Answer(500, b"secret words"))
    deliver_due(clock=lambda: now)
    waiting = text(owner.get(f"/o/acme/alerts/{alert.id}"))
    assert 'hx-trigger="every 2s"' in waiting
    deliver_due(clock=lambda: now + timedelta(minutes=1))
    page = text(owner.get(f"/o/acme/alerts/{alert.id}"))
    for words in ("$812.35", "Slack answered with an error (5xx).", "Slack accepted the message.", "/o/acme/budgets/1"):
        assert words in page
    assert "secret words" not in page
    assert 'hx-trigger="every' not in page


def test_htmx_gets_the_deliveries_alone(tenant: Tenant, owner: Client, now: datetime) -> None:
    alert = fired(tenant, now)
    part = text(owner.get(f"/o/acme/alerts/{alert.id}", headers={"HX-Request": "true"}))
    assert part.startswith('<section class="card" id="deliveries"')
    assert "<html" not in part


def test_acknowledging(tenant: Tenant, owner: Client, viewer: Client, now: datetime) -> None:
    alert = fired(tenant, now)
    url = f"/o/acme/alerts/{alert.id}/acknowledge"
    assert viewer.post(url).status_code == 403
    assert owner.get(url).status_code == 405
    with organization_scope(tenant.id):
        assert Alert.objects.get().acknowledged_at is None
    page = text(owner.post(url, follow=True))
    assert "Acknowledged by owner@acme.example" in page
    assert "acknowledge</" not in page.lower().split("<main", 1)[1].split("facts-heading")[0]
    assert "had acknowledged this alert already" in text(owner.post(url, follow=True))


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7|add:7 }}"])
def test_names_are_shown_escaped(tenant: Tenant, owner: Client, now: datetime, name: str) -> None:
    make_email_channel(tenant, name=name)
    alert = fired(tenant, now, title=name, facts={"budget": name, "link": "javascript:alert(1)"})
    for url in ("/o/acme/alerts", f"/o/acme/alerts/{alert.id}", "/o/acme/alerts/channels"):
        page = text(owner.get(url))
        assert name not in page or "<" not in name
        assert "javascript:" not in page
        assert ">14<" not in page


def test_channels_are_seen_by_all_and_changed_by_few(tenant: Tenant, owner: Client, viewer: Client) -> None:
    channel = make_slack_channel(tenant, SLACK_URL)
    for client in (owner, viewer):
        page = text(client.get("/o/acme/alerts/channels"))
        assert "hooks.slack.com/…" in page
        assert "secretsecret" not in page
    assert "Add Slack" in text(owner.get("/o/acme/alerts/channels"))
    assert "Add Slack" not in text(viewer.get("/o/acme/alerts/channels"))
    assert "secretsecret" not in text(owner.get(f"/o/acme/alerts/channels/{channel.id}"))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER])
def test_a_role_without_the_right_changes_nothing(tenant: Tenant, role: Role) -> None:
    channel = make_email_channel(tenant)
    client = signed_in(make_member(tenant, role, teams=[tenant.team]))
    base = f"/o/acme/alerts/channels/{channel.id}"
    before = channels(tenant)
    assert (
        client.post("/o/acme/alerts/channels/new/email", {"name": "X", "recipients": "x@acme.example"}).status_code
        == 403
    )
    for url in (base, f"{base}/delete", f"{base}/enable", f"{base}/disable", f"{base}/test"):
        assert client.post(url, {"name": "Mine", "recipients": "x@evil.example"}).status_code == 403
    assert channels(tenant) == before
    assert channels(tenant)[0].recipients == ["finance@acme.example"]
    assert deliveries(tenant) == []


@pytest.mark.parametrize("role", [Role.ADMIN, Role.FINANCE])
def test_a_role_with_the_right_may(tenant: Tenant, role: Role) -> None:
    client = signed_in(make_member(tenant, role))
    given = {"name": "Ours", "recipients": "a@acme.example\nb@acme.example"}
    assert client.post("/o/acme/alerts/channels/new/email", given).status_code == 302
    assert channels(tenant)[0].recipients == ["a@acme.example", "b@acme.example"]


def test_a_stranger_finds_nothing(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    channel, alert = make_email_channel(tenant), fired(tenant, now)
    client = signed_in(stranger.owner)
    missing = client.get("/o/nowhere/alerts")
    for path in ("alerts", f"alerts/{alert.id}", "alerts/channels", f"alerts/channels/{channel.id}"):
        for url in (f"/o/acme/{path}", f"/o/globex/{path}"):
            response = client.get(url, headers={"HX-Request": "true"})
            if url in {"/o/globex/alerts", "/o/globex/alerts/channels"}:
                assert "Search team" not in text(response)
                assert "Finance" not in text(response)
                continue
            assert response.status_code == missing.status_code == 404
            assert "Search team" not in text(response)
    base = f"/o/globex/alerts/channels/{channel.id}"
    for url in (base, f"{base}/delete", f"{base}/disable", f"{base}/test", f"/o/globex/alerts/{alert.id}/acknowledge"):
        assert client.post(url, {"name": "Mine", "recipients": "x@evil.example"}).status_code == 404
    assert [each.enabled for each in channels(tenant)] == [True]
    assert len(deliveries(tenant)) == 1
    with organization_scope(tenant.id):
        assert Alert.objects.get().acknowledged_at is None


def test_nobody_comes_in_without_signing_in(tenant: Tenant) -> None:
    response = Client().get("/o/acme/alerts/channels")
    assert response.status_code == 302
    assert "next=/o/acme/alerts/channels" in response["Location"]


@pytest.mark.parametrize("step", ["enable", "disable", "test"])
def test_looking_changes_nothing(tenant: Tenant, owner: Client, step: str) -> None:
    channel = make_email_channel(tenant)
    assert owner.get(f"/o/acme/alerts/channels/{channel.id}/{step}").status_code == 405
    assert owner.get(f"/o/acme/alerts/channels/{channel.id}/delete").status_code == 200
    assert [each.enabled for each in channels(tenant)] == [True]


def test_a_form_from_elsewhere_is_refused(tenant: Tenant) -> None:
    client = signed_in(tenant.owner, enforce_csrf_checks=True)
    channel = make_email_channel(tenant)
    response = client.post(f"/o/acme/alerts/channels/{channel.id}/delete")
    assert response.status_code == 403
    assert len(channels(tenant)) == 1


def test_a_slack_channel_from_form_to_deletion(tenant: Tenant, owner: Client) -> None:
    created = owner.post("/o/acme/alerts/channels/new/slack", {"name": "#finops", "url": SLACK_URL}, follow=True)
    assert "#finops will get every alert from now on" in text(created)
    (channel,) = channels(tenant)
    sealed = bytes(channel.sealed_url or b"")
    base = f"/o/acme/alerts/channels/{channel.id}"
    owner.post(base, {"name": "#money", "url": ""})
    (kept,) = channels(tenant)
    assert (kept.name, bytes(kept.sealed_url or b"")) == ("#money", sealed)
    owner.post(base, {"name": "#money", "url": SLACK_URL + "2"})
    assert bytes(channels(tenant)[0].sealed_url or b"") != sealed
    owner.post(f"{base}/disable")
    page = text(owner.get("/o/acme/alerts/channels"))
    assert "Switched off by owner@acme.example." in page
    assert "Send test" not in page
    owner.post(f"{base}/enable")
    assert channels(tenant)[0].enabled
    owner.post(f"{base}/delete")
    assert channels(tenant) == []
    assert owner.get(base).status_code == 404
    with organization_scope(tenant.id):
        trail = list(
            AuditEntry.objects.filter(action__startswith="channel.").order_by("id").values_list("action", flat=True)
        )
    steps = ("created", "updated", "updated", "disabled", "enabled", "deleted")
    assert trail == [f"channel.{step}" for step in steps]


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("slack", {"name": "S", "url": "http://169.254.169.254/"}, "Give the https address of a public server"),
        ("slack", {"name": "S", "url": "https://hooks.slack.com.evil.example/x"}, "Give the https address"),
        ("slack", {"name": "S", "url": ""}, "This field is required"),
        ("email", {"name": "E", "recipients": "nobody"}, "One of these is not an email address"),
        ("email", {"name": "", "recipients": "a@acme.example"}, "This field is required"),
        ("email", {"name": "E", "recipients": ", ;"}, "Give 1 to 20 email addresses"),
        ("email", {"name": "x" * 200, "recipients": "a@acme.example"}, "at most 100 characters"),
        ("email", {"name": "Taken", "recipients": "a@acme.example"}, "Another channel has this name"),
    ],
)
def test_a_form_that_is_wrong_says_why_and_saves_nothing(
    tenant: Tenant, owner: Client, kind: str, given: dict[str, str], words: str
) -> None:
    make_email_channel(tenant, name="Taken")
    response = owner.post(f"/o/acme/alerts/channels/new/{kind}", given)
    assert response.status_code == 422
    assert words in text(response)
    assert [channel.name for channel in channels(tenant)] == ["Taken"]


@pytest.mark.parametrize("path", ["new/fax", "new/", "0", "99999999999999999999999", "-1", "1/explode"])
def test_there_is_no_such_channel(owner: Client, path: str) -> None:
    assert owner.get(f"/o/acme/alerts/channels/{path}").status_code == 404


def test_a_test_message_leads_to_its_own_history(
    tenant: Tenant, owner: Client, slack: SlackServer, now: datetime
) -> None:
    channel = make_slack_channel(tenant, slack.url)
    page = text(owner.post(f"/o/acme/alerts/channels/{channel.id}/test", follow=True))
    assert "This is a test from CostHub" in page
    assert "Waits for a worker" in page
    deliver_due(clock=lambda: now + timedelta(minutes=1))
    assert statuses(tenant) == ["sent"]
    assert "This is a test from CostHub" in slack.requests[0].payload["text"]
    again = text(owner.post(f"/o/acme/alerts/channels/{channel.id}/test", follow=True))
    assert "A test went out a moment ago" in again or "This is a test from CostHub" in again
