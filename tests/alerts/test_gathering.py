"""Digest instead of flood: what is above a channel's limit is told once, late, and never lost."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerts.deliver import deliver_due
from alerts.models import Alert, Delivery, DeliveryStatus, Severity
from alerts.selectors import AlertFilter, alert_list, open_alert_count, with_attempts
from alerts.services import channel_delete, channel_disable, channel_test, channel_update
from tenants.access import organization_scope
from tests.alerts.conftest import deliveries, fired, make_email_channel, make_slack_channel, statuses
from tests.alerts.test_deliver import side_by_side
from tests.factories import Tenant, make_token
from tests.servers import Answer, SlackServer, SmtpServer, text_of

pytestmark = pytest.mark.urls("tests.alerts.urls")

HOUR = timedelta(hours=1)


def run(now: datetime) -> int:
    return deliver_due(clock=lambda: now)


def limited(tenant: Tenant, channel: Any, limit: int) -> None:
    with organization_scope(tenant.id):
        channel_update(channel=channel, actor=tenant.owner, now=tenant.organization.created_at, hourly_limit=limit)


def flood(tenant: Tenant, now: datetime, count: int, *, start: int = 0, **given: Any) -> list[Alert]:
    return [
        fired(tenant, now, key=f"alert {number}", title=f"Alert no. {number}.", **given)
        for number in range(start, start + count)
    ]


def titles(slack: SlackServer) -> list[str]:
    return [request.payload["blocks"][0]["text"]["text"].split(" ", 1)[1] for request in slack.requests]


def test_a_flood_comes_as_so_many_and_one_digest(tenant: Tenant, slack: SlackServer, now: datetime) -> None:
    limited(tenant, make_slack_channel(tenant, slack.url), 3)
    flood(tenant, now, 10)
    assert run(now) == 3
    assert sorted(statuses(tenant)) == sorted(["sent"] * 3 + ["gathered"] * 7 + ["pending"])
    flood(tenant, now, 2, start=10)
    assert run(now + HOUR - timedelta(seconds=1)) == 0
    assert run(now + HOUR) == 1
    # What is sent side by side may come in any order.
    assert sorted(titles(slack)[:3]) == [f"Alert no. {number}." for number in range(3)]
    assert titles(slack)[3:] == ["9 alerts in one message"]
    told = [field["text"] for block in slack.requests[-1].payload["blocks"] for field in block.get("fields", [])]
    assert [text.split("\n")[1] for text in told] == [f"Alert no. {number}." for number in range(3, 12)]
    assert run(now + 5 * HOUR) == 0
    assert statuses(tenant).count("gathered") == 9


def test_every_alert_says_in_which_digest_it_went(tenant: Tenant, slack: SlackServer, now: datetime) -> None:
    limited(tenant, make_slack_channel(tenant, slack.url), 1)
    alerts = flood(tenant, now, 3)
    run(now)
    client = Client()
    client.force_login(tenant.owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(f"/o/acme/alerts/{alerts[2].id}").content.decode()
    (digest_id,) = [each.alert_id for each in deliveries(tenant) if each.alert.kind == "digest"]
    assert f'href="/o/acme/alerts/{digest_id}"' in page
    assert "in a digest" in page
    digest = client.get(f"/o/acme/alerts/{digest_id}").content.decode()
    assert [f"Alert no. {number}." in digest for number in range(3)] == [False, True, True]
    of_api = client.get(f"/api/v1/alerts/{alerts[2].id}", headers=make_token(tenant, "alerts:read")).json()
    (delivery,) = of_api["deliveries"]
    assert (delivery["status"], delivery["digest_alert_id"]) == ("gathered", str(digest_id))
    listed = client.get("/o/acme/alerts").content.decode()
    assert "Digest for Slack" not in listed
    assert "1 waiting" in listed
    run(now + HOUR)
    assert "1 waiting" not in client.get("/o/acme/alerts").content.decode()


def test_what_cannot_wait_goes_at_once(tenant: Tenant, slack: SlackServer, now: datetime) -> None:
    channel = make_slack_channel(tenant, slack.url)
    limited(tenant, channel, 1)
    flood(tenant, now, 2)
    flood(tenant, now, 3, start=2, severity="critical")
    with organization_scope(tenant.id):
        channel_test(channel=channel, actor=tenant.owner, now=now)
    assert run(now) == 5
    assert sorted(titles(slack)) == [
        "Alert no. 0.", "Alert no. 2.", "Alert no. 3.", "Alert no. 4.", "This is a test from CostHub",
    ]  # fmt: skip


def test_each_channel_counts_for_itself(tenant: Tenant, slack: SlackServer, smtp: SmtpServer, now: datetime) -> None:
    limited(tenant, make_slack_channel(tenant, slack.url), 1)
    make_email_channel(tenant)
    flood(tenant, now, 5)
    assert run(now) == 6
    assert (len(slack.requests), len(smtp.mails)) == (1, 5)


def test_a_digest_that_fails_is_tried_again_with_the_same_alerts(
    tenant: Tenant, slack: SlackServer, now: datetime
) -> None:
    limited(tenant, make_slack_channel(tenant, slack.url), 1)
    flood(tenant, now, 3)
    run(now)
    slack.answers.append(Answer(500))
    run(now + HOUR)
    flood(tenant, now + HOUR, 1, start=3)
    run(now + HOUR + timedelta(seconds=12))
    assert titles(slack)[1:3] == ["2 alerts in one message"] * 2
    assert "Alert no. 3." not in str(slack.requests[2].payload)
    run(now + 3 * HOUR)
    assert "Alert no. 3." in titles(slack)


@pytest.mark.parametrize("end", [channel_delete, channel_disable])
def test_a_digest_ends_with_its_channel_and_says_so(
    tenant: Tenant, slack: SlackServer, now: datetime, end: Any
) -> None:
    channel = make_slack_channel(tenant, slack.url)
    limited(tenant, channel, 1)
    (_, second) = flood(tenant, now, 2)
    run(now)
    with organization_scope(tenant.id):
        end(channel=channel, actor=tenant.owner, now=now, **({"reason": "off"} if end is channel_disable else {}))
    run(now + HOUR)
    with organization_scope(tenant.id):
        (told,) = with_attempts(second).deliveries
    assert (told.told, len(slack.requests)) == (DeliveryStatus.FAILED, 1)


def test_a_mail_that_some_have_is_not_gathered(tenant: Tenant, smtp: SmtpServer, now: datetime) -> None:
    limited(tenant, make_email_channel(tenant, "ann@acme.example", "bob@acme.example"), 1)
    smtp.refuse["bob@acme.example"] = "451 later"
    flood(tenant, now, 1)
    run(now)
    smtp.refuse.clear()
    flood(tenant, now, 2, start=1)
    run(now + timedelta(seconds=1))
    run(now + timedelta(seconds=12))
    assert smtp.recipients.count("bob@acme.example") == 2


def test_a_digest_in_the_mail_lists_and_links(tenant: Tenant, smtp: SmtpServer, now: datetime) -> None:
    limited(tenant, make_email_channel(tenant), 1)
    flood(tenant, now, 4, severity=Severity.WARNING)
    run(now)
    run(now + HOUR)
    digest = smtp.mails[-1]
    assert digest["Subject"] == "3 alerts in one message · Acme"
    for kind in ("plain", "html"):
        assert all(f"Alert no. {number}." in text_of(digest, kind) for number in (1, 2, 3))


def test_digests_are_nobodys_to_acknowledge(tenant: Tenant, slack: SlackServer, now: datetime) -> None:
    limited(tenant, make_slack_channel(tenant, slack.url), 1)
    flood(tenant, now, 3)
    run(now)
    with organization_scope(tenant.id):
        assert open_alert_count(organization_id=tenant.id) == 3
        asked = alert_list(organization_id=tenant.id, narrowed=AlertFilter(kind="digest"), after=None, limit=10)
    assert [alert.title for alert in asked] == ["Digest for Slack"]


def test_workers_side_by_side_keep_the_limit(committed_tenant: Tenant, slack: SlackServer, now: datetime) -> None:
    limited(committed_tenant, make_slack_channel(committed_tenant, slack.url), 5)
    flood(committed_tenant, now, 20)
    side_by_side(4, lambda: run(now))
    assert len(slack.requests) == 5
    with organization_scope(committed_tenant.id):
        assert Delivery.objects.filter(status=DeliveryStatus.GATHERED).count() == 15
        assert Alert.objects.filter(kind="digest").count() == 1
