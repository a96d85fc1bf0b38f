"""Channels: what may be saved as one, that its secret stays one, and that changes leave a trace."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from alerts.addresses import RECIPIENTS_LIMIT
from alerts.enabling import channel_enable
from alerts.models import Channel, Delivery
from alerts.services import (
    CHANNELS_LIMIT,
    channel_create,
    channel_delete,
    channel_disable,
    channel_test,
    channel_update,
    default_channel_create,
)
from common.problems import Problem
from common.secrets import UnsealError, unseal
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.alerts.conftest import deliveries, fired, make_email_channel, make_slack_channel, statuses
from tests.factories import Tenant

SLACK_URL = "https://hooks.slack.com/services/T000/B000/secretsecret"


def create(tenant: Tenant, now: datetime, **given: Any) -> Channel:
    with organization_scope(tenant.id):
        return channel_create(
            **{"organization": tenant.organization, "name": "New", "actor": tenant.owner, "now": now, **given}
        )


def saved(tenant: Tenant) -> list[Channel]:
    with organization_scope(tenant.id):
        return list(Channel.objects.order_by("id"))


def actions(tenant: Tenant) -> list[str]:
    with organization_scope(tenant.id):
        trail = AuditEntry.objects.filter(action__startswith="channel.").order_by("id")
        return list(trail.values_list("action", flat=True))


def test_recipients_are_kept_once_and_in_lower_case(tenant: Tenant, now: datetime) -> None:
    channel = create(
        tenant, now, kind="email", recipients=[" Ann@Acme.example ", "ann@acme.example", "bob@acme.example"]
    )
    assert channel.recipients == ["ann@acme.example", "bob@acme.example"]
    assert actions(tenant) == ["channel.created"]


@pytest.mark.parametrize(
    "recipients",
    [
        [],
        [""],
        ["nobody"],
        ["a@b"],
        ["a@acme.example\r\nBcc: x@evil.example"],
        ["a@acme.example, b@acme.example"],
        ["ann <ann@acme.example>"],
        ["a" * 250 + "@acme.example"],
        ["änn@acme.example"],
        ["ann@äcme.example"],
        ["ann@acme.example\x00"],
        [f"u{number}@acme.example" for number in range(RECIPIENTS_LIMIT + 1)],
    ],
)
def test_what_is_no_list_of_addresses_is_refused(tenant: Tenant, now: datetime, recipients: list[str]) -> None:
    with pytest.raises(ValidationError) as refusal:
        create(tenant, now, kind="email", recipients=recipients)
    assert list(refusal.value.error_dict) == ["recipients"]
    assert saved(tenant) == []


def test_a_webhook_is_sealed_for_its_row_and_organization(tenant: Tenant, now: datetime) -> None:
    create(tenant, now, kind="slack", url=SLACK_URL)
    (channel,) = saved(tenant)
    assert channel.url_host == "hooks.slack.com"
    sealed = bytes(channel.sealed_url or b"")
    assert b"secretsecret" not in sealed
    assert unseal(sealed, purpose=channel.seal_purpose, organization_id=tenant.id) == SLACK_URL
    with pytest.raises(UnsealError):
        unseal(sealed, purpose=channel.seal_purpose, organization_id=tenant.id + 1)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/T0/B0/x",
        "https://hooks.slack.com.evil.example/services/T0/B0/x",
        "https://hooks.slack.com@evil.example/services/T0/B0/x",
        "https://user:pass@hooks.slack.com/services/T0/B0/x",
        "https://evil.example/services/T0/B0/x",
        "https://hooks.slack.com:8443/services/T0/B0/x",
        "https://hооks.slack.com/services/T0/B0/x",
        "https://127.0.0.1/services/T0/B0/x",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "https://hooks.slack.com/" + "a" * 5_000,
        "https://hooks.slack.com/a\r\nX: y",
    ],
)
def test_a_webhook_is_slacks_or_refused_with_the_one_answer(tenant: Tenant, now: datetime, url: str) -> None:
    with pytest.raises(Problem) as refusal:
        create(tenant, now, kind="slack", url=url)
    assert refusal.value.slug == "url-not-allowed"
    assert refusal.value.detail == "Give the https address of a public server, without user name or port."
    assert saved(tenant) == []


def test_the_operator_may_allow_another_origin(tenant: Tenant, now: datetime, settings: Settings) -> None:
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({"http://127.0.0.1:9000"})
    assert create(tenant, now, kind="slack", url="http://127.0.0.1:9000/services/x").url_host == "127.0.0.1:9000"
    with pytest.raises(Problem):
        create(tenant, now, kind="slack", url="http://127.0.0.1:9001/services/x", name="Other")


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "slack"},
        {"kind": "email", "url": SLACK_URL},
        {"kind": "slack", "url": SLACK_URL, "recipients": ["a@acme.example"]},
    ],
)
def test_a_kind_takes_its_own_address_only(tenant: Tenant, now: datetime, given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        create(tenant, now, **given)


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\x00", "n" * 101])
def test_a_channel_has_a_readable_name(tenant: Tenant, now: datetime, name: str) -> None:
    with pytest.raises(ValidationError):
        create(tenant, now, kind="email", recipients=["a@acme.example"], name=name)


def test_two_channels_do_not_share_a_name_until_one_is_deleted(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    first = make_email_channel(tenant)
    make_email_channel(stranger)
    with pytest.raises(ValidationError, match="Another channel has this name"):
        create(tenant, now, kind="slack", url=SLACK_URL, name="Finance")
    with organization_scope(tenant.id):
        channel_delete(channel=first, actor=tenant.owner, now=now)
    create(tenant, now, kind="slack", url=SLACK_URL, name="Finance")


def test_there_is_an_end_to_channels(tenant: Tenant, now: datetime) -> None:
    for number in range(CHANNELS_LIMIT):
        make_email_channel(tenant, name=f"Channel {number}")
    with pytest.raises(ValidationError, match="at most"):
        create(tenant, now, kind="email", recipients=["a@acme.example"])


def test_every_organization_can_start_with_mail_to_its_owner(tenant: Tenant, now: datetime) -> None:
    with organization_scope(tenant.id):
        channel = default_channel_create(organization=tenant.organization, owner=tenant.owner, now=now)
    assert (channel.kind, channel.recipients, channel.enabled) == ("email", [tenant.owner.email], True)


def test_a_new_address_clears_the_old_trouble(tenant: Tenant, now: datetime) -> None:
    channel = make_slack_channel(tenant, SLACK_URL)
    with organization_scope(tenant.id):
        Channel.objects.update(last_error="Slack no longer knows this webhook (4xx).", last_error_at=now)
        channel.refresh_from_db()
        channel_update(channel=channel, actor=tenant.owner, now=now, name="Renamed")
        assert Channel.objects.get().last_error
        before = bytes(Channel.objects.get().sealed_url or b"")
        channel_update(channel=channel, actor=tenant.owner, now=now, url=SLACK_URL + "2")
        assert (Channel.objects.get().last_error, Channel.objects.get().name) == ("", "Renamed")
        assert bytes(Channel.objects.get().sealed_url or b"") != before


def test_off_and_on_again(tenant: Tenant, now: datetime) -> None:
    channel = make_email_channel(tenant)
    with organization_scope(tenant.id):
        assert channel_disable(channel=channel, reason="holidays", actor=tenant.owner, now=now)
        assert not channel_disable(channel=channel, reason="again", actor=tenant.owner, now=now)
        assert (Channel.objects.get().enabled, Channel.objects.get().disabled_reason) == (False, "holidays")
        channel_enable(channel=channel, actor=tenant.owner, now=now)
        assert (Channel.objects.get().enabled, Channel.objects.get().disabled_reason) == (True, "")
    assert actions(tenant) == ["channel.created", "channel.disabled", "channel.enabled"]


def test_a_deleted_channel_loses_its_address_and_its_waiting_deliveries(tenant: Tenant, now: datetime) -> None:
    channel = make_slack_channel(tenant, SLACK_URL)
    fired(tenant, now)
    with organization_scope(tenant.id):
        channel_delete(channel=channel, actor=tenant.owner, now=now)
        channel.refresh_from_db()
        assert (channel.sealed_url, channel.url_host, channel.recipients, channel.enabled) == (None, "", [], False)
        assert not Channel.objects.present().exists()
    assert statuses(tenant) == ["failed"]
    assert deliveries(tenant)[0].channel.name == "Slack"


def test_a_test_goes_to_its_channel_alone_and_not_twice_at_once(tenant: Tenant, now: datetime) -> None:
    channel, _ = make_email_channel(tenant), make_email_channel(tenant, name="Other")
    with organization_scope(tenant.id):
        alert = channel_test(channel=channel, actor=tenant.owner, now=now)
        assert alert is not None
        assert list(Delivery.objects.values_list("channel_id", flat=True)) == [channel.id]
        assert channel_test(channel=channel, actor=tenant.owner, now=now) is None
        assert channel_test(channel=channel, actor=tenant.owner, now=now + timedelta(minutes=1)) is not None
        channel_disable(channel=channel, reason="off", actor=tenant.owner, now=now)
        assert channel_test(channel=channel, actor=tenant.owner, now=now + timedelta(minutes=2)) is None


def test_the_trail_never_holds_the_url(tenant: Tenant, now: datetime) -> None:
    channel = make_slack_channel(tenant, SLACK_URL)
    with organization_scope(tenant.id):
        channel_update(channel=channel, actor=tenant.owner, now=now, url=SLACK_URL + "2")
        trail = list(AuditEntry.objects.values_list("actor", "action", "target", "facts"))
    assert "secretsecret" not in str(trail)
    assert "services" not in str(trail)
