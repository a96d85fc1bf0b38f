"""Trouble with a channel reaches the owners, also where no other channel exists."""

from datetime import datetime

import pytest

from alerts.deliver import deliver_due
from alerts.models import Channel
from alerts.selectors import channel_list
from alerts.services import channel_create
from tenants.access import organization_scope
from tenants.models import Membership
from tenants.roles import Role
from tests.alerts.conftest import deliveries, fired, make_email_channel, make_slack_channel
from tests.factories import Tenant, make_member
from tests.servers import Answer, SlackServer, SmtpServer

pytestmark = pytest.mark.urls("tests.alerts.urls")


@pytest.fixture
def dead(tenant: Tenant, slack: SlackServer) -> Channel:
    slack.answer = Answer(410)
    return make_slack_channel(tenant, slack.url)


def test_the_only_channel_dies_and_every_owner_knows(
    tenant: Tenant, dead: Channel, smtp: SmtpServer, now: datetime
) -> None:
    make_member(tenant, Role.OWNER, email="second@acme.example")
    make_member(tenant, Role.ADMIN)
    fired(tenant, now)
    deliver_due(clock=lambda: now)
    assert sorted(smtp.recipients) == ["owner@acme.example", "second@acme.example"]
    assert {str(mail["Subject"]) for mail in smtp.mails} == {"Channel Slack was switched off · Acme"}


def test_an_owner_who_has_it_by_another_channel_has_it_once(
    tenant: Tenant, dead: Channel, smtp: SmtpServer, now: datetime
) -> None:
    make_email_channel(tenant, "owner@acme.example")
    fired(tenant, now, severity="critical")
    deliver_due(clock=lambda: now)
    assert [str(mail["Subject"]) for mail in smtp.mails].count("Channel Slack was switched off · Acme") == 1


def test_who_owns_it_counts_when_it_is_sent(tenant: Tenant, dead: Channel, smtp: SmtpServer, now: datetime) -> None:
    heir = make_member(tenant, Role.OWNER, email="heir@acme.example")
    with organization_scope(tenant.id):
        Membership.objects.exclude(user=heir).update(role=Role.VIEWER)
    fired(tenant, now)
    deliver_due(clock=lambda: now)
    assert smtp.recipients == ["heir@acme.example"]


def test_nobody_sees_or_changes_the_owners_channel(
    tenant: Tenant, dead: Channel, smtp: SmtpServer, now: datetime
) -> None:
    fired(tenant, now)
    deliver_due(clock=lambda: now)
    with organization_scope(tenant.id):
        assert [channel.name for channel in channel_list(organization_id=tenant.id)] == ["Slack"]
        assert Channel.objects.filter(kind="owners").count() == 1
    # It gets no alert but those of trouble, and takes no name away.
    fired(tenant, now, key="another")
    assert [each.alert.kind for each in deliveries(tenant) if each.channel.kind == "owners"] == ["channel_problem"]
    with organization_scope(tenant.id):
        named = channel_create(
            organization=tenant.organization, kind="email", name="Owners by email", recipients=["a@acme.example"],
            actor=tenant.owner, now=now,
        )  # fmt: skip
    assert named.enabled
