"""What tests of alerts share: real servers to deliver to, and organizations with channels that lead there."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from pytest_django import Settings

from alerts.facts import Fact
from alerts.models import Alert, Channel, ChannelKind, Delivery
from alerts.services import alert_raise, channel_create
from tenants.access import organization_scope
from tests.factories import Tenant
from tests.servers import SlackServer, SmtpServer

FACTS: dict[str, Fact] = {
    "budget": "Search team, monthly",
    "threshold": 80,
    "percent": "81.2",
    "spent": "812.345678901",
    "limit": "1000.000000000",
    "period_start": "2026-11-01T00:00:00+00:00",
    "period_end": "2026-12-01T00:00:00+00:00",
    "timezone": "Europe/Berlin",
    "link": "/o/acme/budgets/1",
}


@pytest.fixture
def slack(settings: Settings) -> Iterator[SlackServer]:
    with SlackServer() as server:
        settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({server.origin})
        yield server


@pytest.fixture
def smtp(settings: Settings) -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        yield server


def make_email_channel(tenant: Tenant, *recipients: str, name: str = "Finance") -> Channel:
    with organization_scope(tenant.id):
        return channel_create(
            organization=tenant.organization, kind=ChannelKind.EMAIL, name=name, actor=tenant.owner,
            recipients=recipients or ("finance@acme.example",), now=tenant.organization.created_at,
        )  # fmt: skip


def make_slack_channel(tenant: Tenant, url: str, *, name: str = "Slack") -> Channel:
    with organization_scope(tenant.id):
        return channel_create(
            organization=tenant.organization, kind=ChannelKind.SLACK, name=name, actor=tenant.owner, url=url,
            now=tenant.organization.created_at,
        )  # fmt: skip


def fire(tenant: Tenant, now: datetime, *, key: str = "budget:1", **changes: Any) -> Alert | None:
    """Raises an alert the way a budget does, in a transaction of its own."""
    given: dict[str, Any] = {
        "kind": "budget_threshold", "severity": "warning", "title": "Search team: 80 % is spent", "facts": FACTS,
        **changes,
    }  # fmt: skip
    with organization_scope(tenant.id):
        return alert_raise(organization_id=tenant.id, dedup_key=key, now=now, **given)


def fired(tenant: Tenant, now: datetime, **options: Any) -> Alert:
    alert = fire(tenant, now, **options)
    assert alert is not None
    return alert


def deliveries(tenant: Tenant) -> list[Delivery]:
    with organization_scope(tenant.id):
        return list(Delivery.objects.select_related("channel", "alert").order_by("id"))


def statuses(tenant: Tenant) -> list[str]:
    """Of the channels that people set up; of the one to the owners see `test_owners`."""
    return [
        each.status for each in deliveries(tenant) if each.channel is None or each.channel.kind != ChannelKind.OWNERS
    ]
