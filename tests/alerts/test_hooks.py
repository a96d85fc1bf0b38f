"""Teams, PagerDuty and signed webhooks against a real HTTP receiver: what it gets, and what its answers mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from alerts.channels import webhook
from alerts.deliver import deliver_due
from alerts.endings import alerts_end
from alerts.kinds import AlertKind
from alerts.models import Attempt, Channel, ChannelKind, Severity
from alerts.selectors import open_alert_count
from alerts.services import alert_acknowledge, alert_write, channel_create, channel_secret_rotate, channel_test
from tenants.access import organization_scope
from tests.alerts.conftest import deliveries, fired, statuses
from tests.factories import Tenant
from tests.servers import Answer, HookServer, SlackRequest

pytestmark = pytest.mark.urls("tests.alerts.urls")

KEY = "R0UT1NGKEYR0UT1NGKEYR0UT1NGKEY01"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS: dict[str, dict[str, str]] = {
    ChannelKind.TEAMS: {},
    ChannelKind.WEBHOOK: {"secret": SECRET},
    ChannelKind.PAGERDUTY: {"secret": KEY},
}
EVERY_KIND = pytest.mark.parametrize("kind", list(SECRETS))


@pytest.fixture
def hook(settings: Settings) -> Iterator[HookServer]:
    with HookServer() as server:
        settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({server.origin})
        yield server


@dataclass
class Hooks:
    tenant: Tenant
    server: HookServer
    now: datetime

    def channel(self, kind: str, **given: Any) -> Channel:
        with organization_scope(self.tenant.id):
            return channel_create(
                organization=self.tenant.organization, kind=kind, name="Hook", actor=self.tenant.owner,
                url=self.server.url, now=self.now, **{**SECRETS[kind], **given},
            )  # fmt: skip

    def run(self, after: timedelta = timedelta()) -> int:
        return deliver_due(clock=lambda: self.now + after)

    def stored(self) -> Channel:
        with organization_scope(self.tenant.id):
            return Channel.objects.get(name="Hook")

    def attempts(self) -> list[tuple[str, str]]:
        with organization_scope(self.tenant.id):
            of_hook = Attempt.objects.filter(delivery__channel__name="Hook").order_by("at", "id")
            return list(of_hook.values_list("outcome", "detail"))


@pytest.fixture
def hooks(tenant: Tenant, hook: HookServer, now: datetime) -> Hooks:
    return Hooks(tenant, hook, now)


@EVERY_KIND
def test_delivered_retried_and_kept_waiting(hooks: Hooks, kind: str) -> None:
    hooks.channel(kind)
    fired(hooks.tenant, hooks.now)
    hooks.server.answers.extend(
        [Answer(500, b"secret words"), Answer(429, headers={"Retry-After": "90"}), Answer(202, b"accepted")]
    )
    assert hooks.run() == 1
    assert hooks.run(timedelta(seconds=12)) == 1
    assert hooks.run(timedelta(seconds=101)) == 0
    assert hooks.run(timedelta(seconds=102)) == 1
    assert statuses(hooks.tenant) == ["sent"]
    assert [outcome for outcome, _ in hooks.attempts()] == ["retry", "retry", "delivered"]
    assert "secret words" not in str(hooks.attempts())


def throttled(status: int = 429) -> Answer:
    said = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error"
    return Answer(200, f"{said} {status} with ContextId tcid=1,server=AMS,cv=a.0..".encode())


def test_an_old_teams_webhook_that_hides_its_throttling_is_tried_again(hooks: Hooks) -> None:
    hooks.channel(ChannelKind.TEAMS)
    fired(hooks.tenant, hooks.now)
    hooks.server.answers.extend([throttled(), throttled(503), throttled(413), Answer(200, b"1")])
    waits = [timedelta(seconds=seconds) for seconds in (0, 5, 12, 30, 48, 150, 192)]
    assert [hooks.run(after) for after in waits] == [1, 0, 1, 0, 1, 0, 1]
    assert statuses(hooks.tenant) == ["sent"]
    assert [detail for _, detail in hooks.attempts()] == [
        "Teams asked to wait (429).", "Teams answered with an error (5xx).", "Teams was not ready (4xx).",
        "Teams accepted the message.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        # Others hide nothing, and a body that breaks off was headed by a 200.
        (ChannelKind.WEBHOOK, throttled()),
        (ChannelKind.TEAMS, Answer(202, throttled().body)),
        (ChannelKind.TEAMS, Answer(200, b"the words HTTP error 429 alone")),
        (ChannelKind.TEAMS, Answer(200, b"1", {"Content-Length": "9"})),
    ],
)
def test_what_was_delivered_is_not_sent_twice(hooks: Hooks, kind: str, answer: Answer) -> None:
    hooks.channel(kind)
    fired(hooks.tenant, hooks.now)
    hooks.server.answers.append(answer)
    assert hooks.run() == 1
    assert statuses(hooks.tenant) == ["sent"]


@EVERY_KIND
def test_a_test_goes_out_and_is_nobody_s_to_acknowledge(hooks: Hooks, kind: str) -> None:
    channel = hooks.channel(kind)
    with organization_scope(hooks.tenant.id):
        test = channel_test(channel=channel, actor=hooks.tenant.owner, now=hooks.now)
        assert test is not None
        assert test.state == "acknowledged"
        assert open_alert_count(organization_id=hooks.tenant.id) == 0
    assert (hooks.run(), statuses(hooks.tenant)) == (1, ["sent"])
    assert "This is a test from CostHub" in hooks.server.requests[0].body.decode()


@EVERY_KIND
@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_address_that_is_gone_is_switched_off(hooks: Hooks, kind: str, status: int) -> None:
    hooks.channel(kind)
    fired(hooks.tenant, hooks.now)
    hooks.server.answer = Answer(status)
    hooks.run()
    assert statuses(hooks.tenant) == ["failed"]
    assert not hooks.stored().enabled
    assert "no longer" in hooks.stored().disabled_reason


@EVERY_KIND
def test_what_is_refused_fails_and_is_not_followed(hooks: Hooks, kind: str) -> None:
    hooks.channel(kind)
    fired(hooks.tenant, hooks.now)
    fired(hooks.tenant, hooks.now, key="second")
    hooks.server.answers.extend([Answer(400), Answer(302, headers={"Location": f"{hooks.server.origin}/elsewhere"})])
    hooks.run()
    assert statuses(hooks.tenant) == ["failed", "failed"]
    assert hooks.stored().enabled
    assert len(hooks.server.requests) == 2


@EVERY_KIND
def test_an_address_that_is_no_longer_allowed_is_never_connected_to(
    hooks: Hooks, kind: str, settings: Settings
) -> None:
    hooks.channel(kind)
    fired(hooks.tenant, hooks.now)
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset()
    hooks.run()
    assert (statuses(hooks.tenant), hooks.server.connections) == (["blocked"], 0)


def verified(request: SlackRequest, secret: str) -> bool:
    """As a receiver checks it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    expected = webhook.signature(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), request.body)
    return expected in headers["webhook-signature"].split(" ")


def test_a_webhook_proves_who_sent_it_also_the_second_time(hooks: Hooks) -> None:
    hooks.channel(ChannelKind.WEBHOOK)
    alert = fired(hooks.tenant, hooks.now)
    hooks.server.answers.append(Answer(503))
    hooks.run()
    hooks.run(timedelta(minutes=1))
    first, second = hooks.server.requests
    assert verified(first, SECRET)
    assert verified(second, SECRET)
    assert not verified(second, webhook.new_secret())
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"delivery-{deliveries(hooks.tenant)[0].id}"
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60
    assert second.payload["data"]["id"] == f"alert-{alert.id}"
    assert second.payload["data"]["facts"]["spent"] == "812.345678901"


def test_changing_the_secret_signs_with_both_until_the_overlap_ends(hooks: Hooks) -> None:
    channel, new, newest = hooks.channel(ChannelKind.WEBHOOK), webhook.new_secret(), webhook.new_secret()
    overlap = timedelta(hours=1)

    def rotate(secret: str) -> None:
        with organization_scope(hooks.tenant.id):
            channel_secret_rotate(
                channel=channel, secret=secret, overlap=overlap, actor=hooks.tenant.owner, now=hooks.now
            )

    def proofs(after: timedelta) -> list[bool]:
        fired(hooks.tenant, hooks.now, key=str(after))
        hooks.run(after)
        return [verified(hooks.server.requests[-1], secret) for secret in (SECRET, new, newest)]

    rotate(new)
    assert proofs(timedelta(minutes=59)) == [True, True, False]
    assert proofs(timedelta(minutes=60)) == [False, True, False]
    rotate(newest)
    assert proofs(timedelta(minutes=1)) == [False, True, True]


def test_pagerduty_hears_of_the_whole_incident_in_order(hooks: Hooks) -> None:
    hooks.channel(ChannelKind.PAGERDUTY)
    alert = fired(hooks.tenant, hooks.now, severity="critical")
    hooks.server.answers.append(Answer(500))
    hooks.run()
    with organization_scope(hooks.tenant.id):
        assert alert_acknowledge(alert=alert, actor=hooks.tenant.owner, now=hooks.now)
        alerts_end([alert], why="Its period is over.", now=hooks.now)
    # What follows waits until the incident is known there.
    assert hooks.run(timedelta(seconds=1)) == 0
    assert hooks.run(timedelta(seconds=12)) == 1
    assert [hooks.run(timedelta(seconds=seconds)) for seconds in (17, 22)] == [1, 1]
    told = [(each.payload["event_action"], each.payload["dedup_key"]) for each in hooks.server.requests]
    incident = f"alert-{alert.id}"
    assert told == [("trigger", incident)] * 2 + [("acknowledge", incident), ("resolve", incident)]
    assert {each.payload["routing_key"] for each in hooks.server.requests} == {KEY}
    assert statuses(hooks.tenant) == ["sent"] * 3


def test_a_notice_that_it_recovered_resolves_the_incident_whatever_the_limit(hooks: Hooks) -> None:
    channel = hooks.channel(ChannelKind.PAGERDUTY, hourly_limit=1)
    alert = fired(hooks.tenant, hooks.now)
    with organization_scope(hooks.tenant.id):
        alert_write(
            hooks.tenant.id, [channel], AlertKind.RECOVERY, "recovered", Severity.INFO, "Recovered", {}, hooks.now,
            about=alert,
        )  # fmt: skip
    assert [hooks.run(timedelta(seconds=seconds)) for seconds in (0, 5)] == [1, 1]
    told = [(each.payload["event_action"], each.payload["dedup_key"]) for each in hooks.server.requests]
    assert told == [("trigger", f"alert-{alert.id}"), ("resolve", f"alert-{alert.id}")]


def test_a_channel_without_incidents_hears_of_an_alert_once(hooks: Hooks) -> None:
    hooks.channel(ChannelKind.TEAMS)
    alert = fired(hooks.tenant, hooks.now)
    with organization_scope(hooks.tenant.id):
        alert_acknowledge(alert=alert, actor=hooks.tenant.owner, now=hooks.now)
    assert hooks.run() == 1


def test_a_key_that_cannot_be_opened_is_said_so(hooks: Hooks, settings: Settings) -> None:
    hooks.channel(ChannelKind.PAGERDUTY)
    fired(hooks.tenant, hooks.now)
    settings.SEAL_KEY = bytes(32)
    hooks.run()
    assert hooks.stored().disabled_reason == "The stored address can no longer be read; enter it again."
    assert hooks.server.connections == 0
