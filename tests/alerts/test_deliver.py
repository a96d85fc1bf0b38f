"""The outbox at work against a real SMTP server and a Slack-speaking HTTP server, with workers in real transactions."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connection
from pytest_django import Settings

from alerts import deliver, senders
from alerts.channels.base import Result, Send
from alerts.deliver import LEASE, claim, deliver_due, record
from alerts.models import Alert, Attempt, Channel, Delivery
from alerts.services import Person, channel_delete, channel_disable
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.alerts.conftest import deliveries, fired, make_email_channel, make_slack_channel, statuses
from tests.factories import Tenant, make_tenant
from tests.servers import Answer, SlackServer, SmtpServer, text_of

pytestmark = [pytest.mark.usefixtures("committed_db"), pytest.mark.urls("tests.alerts.urls")]

GONE = Answer(404, b"no_service")


@pytest.fixture
def acme(committed_tenant: Tenant) -> Tenant:
    return committed_tenant


def run(now: datetime) -> int:
    """One round of a worker at a given time."""
    return deliver_due(clock=lambda: now)


def attempts(tenant: Tenant) -> list[tuple[str, str]]:
    with organization_scope(tenant.id):
        return list(Attempt.objects.order_by("at", "id").values_list("outcome", "detail"))


def channel_of(tenant: Tenant, name: str = "Slack") -> Channel:
    with organization_scope(tenant.id):
        return Channel.objects.get(name=name)


def alerts(tenant: Tenant, kind: str) -> list[Alert]:
    with organization_scope(tenant.id):
        return list(Alert.objects.filter(kind=kind).order_by("id"))


def test_an_alert_lands_in_the_mailbox_and_in_slack(
    acme: Tenant, smtp: SmtpServer, slack: SlackServer, now: datetime, settings: Settings
) -> None:
    settings.BASE_URL = "https://costhub.example"
    make_email_channel(acme)
    make_slack_channel(acme, slack.url)
    alert = fired(acme, now)
    assert run(now) == 2
    assert statuses(acme) == ["sent", "sent"]
    (mail,) = smtp.mails
    assert mail["Subject"] == "Search team: 80 % is spent · Acme"
    (request,) = slack.requests
    assert request.path == "/services/T000/B000/XXXXsecretXXXX"
    assert request.headers["Content-Type"] == "application/json"
    assert "$812.35" in request.payload["text"]
    assert request.payload["blocks"][2]["elements"][0]["url"] == "https://costhub.example/o/acme/budgets/1"
    assert f"https://costhub.example/o/acme/alerts/{alert.id}" in text_of(mail)
    assert sorted(outcome for outcome, _ in attempts(acme)) == ["delivered", "delivered"]
    assert {delivery.sent_at for delivery in deliveries(acme)} == {now}
    assert run(now + timedelta(hours=1)) == 0


def test_people_get_mails_of_their_own(acme: Tenant, smtp: SmtpServer, now: datetime, settings: Settings) -> None:
    """Each with their own link, tried again like any delivery; an address that is refused spoils no other."""
    settings.BASE_URL = "https://costhub.example"
    ada, gone = Person("ada@acme.example", "/approvals/decide?token=hers"), Person("gone@acme.example")
    alert = fired(acme, now, people=[ada, gone])
    smtp.refuse = {"gone@acme.example": "550 5.1.1 no such user", "ada@acme.example": "451 4.3.0 later"}
    assert run(now) == 2
    assert sorted(statuses(acme)) == ["failed", "pending"]
    smtp.refuse = {}
    assert run(now + timedelta(seconds=12)) == 1
    assert sorted(statuses(acme)) == ["failed", "sent"]
    (mail,) = smtp.mails
    assert mail["X-Envelope-To"] == "ada@acme.example"
    assert "https://costhub.example/approvals/decide?token=hers" in text_of(mail)
    assert f"https://costhub.example/o/acme/alerts/{alert.id}" in text_of(mail)
    assert "as a member of Acme" in text_of(mail)
    assert alerts(acme, "channel_problem") == []


def test_nothing_is_sent_before_it_is_due(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    assert run(now - timedelta(seconds=1)) == 0
    assert slack.requests == []


def test_a_failing_receiver_is_tried_again_later_and_later(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    slack.answers.extend([Answer(500), Answer(503, b"secret words of the server"), Answer(200)])
    assert run(now) == 1
    (waiting,) = deliveries(acme)
    assert (waiting.status, waiting.attempts, waiting.claimed_until) == ("pending", 1, None)
    assert timedelta(seconds=10) <= waiting.next_attempt_at - now <= timedelta(seconds=12)
    assert run(now + timedelta(seconds=9)) == 0
    assert run(now + timedelta(seconds=12)) == 1
    assert run(now + timedelta(seconds=60)) == 1
    assert statuses(acme) == ["sent"]
    assert [outcome for outcome, _ in attempts(acme)] == ["retry", "retry", "delivered"]
    assert "secret words" not in str(attempts(acme))
    assert channel_of(acme).last_error == ""


def test_slack_may_ask_to_wait(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    slack.answers.append(Answer(429, headers={"Retry-After": "90"}))
    run(now)
    assert deliveries(acme)[0].next_attempt_at == now + timedelta(seconds=90)
    assert channel_of(acme).last_error == "Slack asked to wait (429)."
    assert run(now + timedelta(seconds=89)) == 0
    assert run(now + timedelta(seconds=90)) == 1
    assert statuses(acme) == ["sent"]


def test_after_a_day_the_delivery_fails_and_the_others_are_told(
    acme: Tenant, slack: SlackServer, smtp: SmtpServer, now: datetime
) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    make_email_channel(acme)
    slack.answer = Answer(500)
    run(now)
    run(now + timedelta(hours=23, minutes=59, seconds=55))
    assert statuses(acme)[0] == "failed"
    assert channel_of(acme).enabled
    (trouble,) = alerts(acme, "channel_problem")
    assert trouble.title == "Channel Slack does not work"
    run(now + timedelta(hours=24))
    assert sorted(smtp.recipients) == ["finance@acme.example", "owner@acme.example"]
    assert len(slack.requests) == 2


@pytest.mark.parametrize("answer", [GONE, Answer(403, b"invalid_token"), Answer(410, b"channel_is_archived")])
def test_a_webhook_that_is_gone_is_switched_off_and_the_owners_are_told(
    acme: Tenant, slack: SlackServer, smtp: SmtpServer, now: datetime, answer: Answer
) -> None:
    make_email_channel(acme)
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    fired(acme, now, key="second")
    slack.answer = answer
    run(now)
    channel = channel_of(acme)
    assert (channel.enabled, channel.disabled_reason) == (False, "Slack no longer knows this webhook (4xx).")
    (trouble,) = alerts(acme, "channel_problem")
    assert (trouble.title, trouble.severity) == ("Channel Slack was switched off", "warning")
    assert [str(mail["Subject"]) for mail in smtp.mails].count("Channel Slack was switched off · Acme") == 2
    assert sorted(set(smtp.recipients)) == ["finance@acme.example", "owner@acme.example"]
    with organization_scope(acme.id):
        assert AuditEntry.objects.filter(action="channel.disabled", actor="costhub").count() == 1
        assert set(Delivery.objects.filter(channel=channel).values_list("status", flat=True)) == {"failed"}
    fired(acme, now, key="third")
    asked = len(slack.requests)
    run(now)
    assert len(slack.requests) == asked


def test_a_payload_slack_refuses_fails_without_ending_the_channel(
    acme: Tenant, slack: SlackServer, now: datetime
) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    slack.answer = Answer(400, b"invalid_blocks")
    run(now)
    assert (statuses(acme), channel_of(acme).enabled) == (["failed"], True)
    assert channel_of(acme).last_error == "Slack refused the message (4xx)."


def test_a_redirect_is_not_followed(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    slack.answer = Answer(302, headers={"Location": f"{slack.origin}/elsewhere"})
    run(now)
    assert statuses(acme) == ["failed"]
    assert [request.path for request in slack.requests] == ["/services/T000/B000/XXXXsecretXXXX"]
    assert slack.other_requests == []


def test_a_url_that_is_no_longer_allowed_is_blocked_without_a_connect(
    acme: Tenant, slack: SlackServer, smtp: SmtpServer, now: datetime, settings: Settings
) -> None:
    make_email_channel(acme)
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset()
    run(now)
    assert sorted(statuses(acme)) == ["blocked", "sent", "sent"]
    assert slack.connections == 0
    assert ("blocked", "The URL leads to an address that is not allowed; nothing was sent.") in attempts(acme)
    assert len(alerts(acme, "channel_problem")) == 1
    fired(acme, now, key="second")
    run(now)
    assert len(alerts(acme, "channel_problem")) == 1


def test_a_refused_mailbox_ends_its_channel(acme: Tenant, smtp: SmtpServer, slack: SlackServer, now: datetime) -> None:
    make_email_channel(acme)
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    smtp.refuse["finance@acme.example"] = "550 5.1.1 no such user"
    run(now)
    assert not channel_of(acme, "Finance").enabled
    assert [request.payload["blocks"][0]["text"]["text"] for request in slack.requests][-1].endswith(
        "Channel Finance was switched off"
    )


def test_a_retry_leaves_out_who_has_it_already(acme: Tenant, smtp: SmtpServer, now: datetime) -> None:
    make_email_channel(acme, "ann@acme.example", "bob@acme.example")
    fired(acme, now)
    smtp.refuse["bob@acme.example"] = "451 greylisted"
    run(now)
    smtp.refuse.clear()
    run(now + timedelta(minutes=1))
    assert smtp.recipients == ["ann@acme.example", "bob@acme.example"]
    assert statuses(acme) == ["sent"]
    first, second = smtp.mails
    assert first["Message-ID"] == second["Message-ID"]


def test_a_channel_switched_off_meanwhile_gets_nothing(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    channel = make_slack_channel(acme, slack.url)
    fired(acme, now)
    with organization_scope(acme.id):
        channel_disable(channel=channel, reason="off", actor=acme.owner, now=now)
    run(now)
    assert (statuses(acme), slack.requests) == (["failed"], [])
    assert attempts(acme) == [("failed", "The channel is switched off.")]
    assert alerts(acme, "channel_problem") == []


def test_a_secret_that_cannot_be_opened_is_said_so(
    acme: Tenant, slack: SlackServer, now: datetime, settings: Settings
) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    settings.SEAL_KEY = bytes(32)
    run(now)
    assert channel_of(acme).disabled_reason == "The stored address can no longer be read; enter it again."
    assert slack.requests == []


def side_by_side(count: int, work: Callable[[], object]) -> None:
    barrier = threading.Barrier(count)

    def one() -> None:
        try:
            barrier.wait(10)
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(one) for _ in range(count)]:
            future.result(60)


def test_workers_side_by_side_send_each_delivery_once(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    make_slack_channel(acme, slack.url)
    for number in range(20):
        fired(acme, now, key=f"alert {number}", title=f"Alert {number}")
    slack.answer = Answer(delay_s=0.05)
    side_by_side(4, lambda: run(now))
    assert statuses(acme) == ["sent"] * 20
    titles = [request.payload["text"].split(":")[0] for request in slack.requests]
    assert len(titles) == len(set(titles)) == 20
    assert len(attempts(acme)) == 20


def test_a_worker_that_died_after_sending_makes_it_sent_again_when_its_claim_ends(
    acme: Tenant, slack: SlackServer, now: datetime
) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    (job,) = claim(now)
    job.send(job.message)
    # Here it dies: nothing is recorded.
    assert run(now + LEASE - timedelta(seconds=1)) == 0
    assert (statuses(acme), len(slack.requests)) == (["sending"], 1)
    assert run(now + LEASE) == 1
    assert (statuses(acme), len(slack.requests)) == (["sent"], 2)


def test_a_worker_that_comes_back_late_changes_nothing(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    (late,) = claim(now)
    slack.answer = Answer(500)
    assert run(now + LEASE) == 1
    (waiting,) = deliveries(acme)
    assert (waiting.status, waiting.attempts) == ("pending", 2)
    slack.answer = Answer(200)
    record(late, late.send(late.message), now=now + LEASE + timedelta(seconds=1))
    assert statuses(acme) == ["pending"]
    assert [outcome for outcome, _ in attempts(acme)] == ["retry", "delivered"]


def test_workers_that_keep_dying_give_up_after_a_day(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    claim(now)
    run(now + timedelta(hours=25))
    assert (statuses(acme), slack.requests) == (["failed"], [])
    assert attempts(acme)[0] == ("failed", "Given up: the alert is a day old.")


def test_a_delivery_found_late_is_still_made(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    """All workers were down for two days: an alert that is late is better than none."""
    make_slack_channel(acme, slack.url)
    fired(acme, now)
    run(now + timedelta(days=2))
    assert statuses(acme) == ["sent"]


def test_a_delivery_deleted_with_its_channel_while_in_flight_stays_failed(
    acme: Tenant, slack: SlackServer, now: datetime
) -> None:
    channel = make_slack_channel(acme, slack.url)
    fired(acme, now)
    (job,) = claim(now)
    with organization_scope(acme.id):
        channel_delete(channel=channel, actor=acme.owner, now=now)
    record(job, job.send(job.message), now=now)
    assert statuses(acme) == ["failed"]
    assert [outcome for outcome, _ in attempts(acme)] == ["delivered"]


def test_one_that_breaks_does_not_lose_what_the_others_did(
    acme: Tenant, slack: SlackServer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_email_channel(acme)
    make_slack_channel(acme, slack.url)
    fired(acme, now)

    def broken(*_: object) -> Send:
        def send(_: object) -> Result:
            raise ZeroDivisionError

        return send

    monkeypatch.setattr(senders, "email", broken)
    with pytest.raises(BaseExceptionGroup):
        run(now)
    assert sorted(statuses(acme)) == ["sending", "sent"]


def test_a_busy_organization_does_not_keep_another_waiting(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    globex = make_tenant("globex")
    make_slack_channel(acme, slack.url)
    make_slack_channel(globex, slack.url)
    for number in range(30):
        fired(acme, now, key=f"alert {number}")
    fired(globex, now + timedelta(seconds=1))
    jobs = claim(now + timedelta(seconds=1))
    assert {job.organization_id for job in jobs} == {acme.id, globex.id}
    assert len(jobs) <= deliver.BATCH


def test_a_run_has_an_end(acme: Tenant, slack: SlackServer, now: datetime) -> None:
    make_slack_channel(acme, slack.url)
    for number in range(deliver.BATCH + 1):
        fired(acme, now, key=f"alert {number}")
    assert deliver_due(clock=lambda: now, run_s=0) == 0
    slack.answer = Answer(delay_s=0.3)
    assert deliver_due(clock=lambda: now, run_s=0.1) == deliver.BATCH
    assert statuses(acme).count("pending") == 1
