"""The first organization, and its settings."""

from datetime import UTC, datetime

import pytest
from django.core import mail
from django.test import Client

from alerts.models import Channel
from tenants.access import memberships_of, organization_scope
from tenants.models import AuditEntry, Organization, Team
from tenants.roles import Role
from tests.factories import Tenant, make_member, make_user
from tests.tenants.conftest import browser


def organization_of(tenant: Tenant) -> Organization:
    with organization_scope(tenant.id):
        return Organization.objects.get(id=tenant.id)


def test_the_first_organization_comes_with_a_team_and_a_channel(db: None) -> None:
    user = make_user("founder@people.example")
    client = browser(user)
    assert client.get("/")["Location"] == "/organizations/new"
    page = client.get("/organizations/new").content.decode()
    assert "data-browser-zone" in page
    answer = client.post("/organizations/new", {"name": " Big  Co ", "timezone": "Asia/Kolkata"})
    (membership,) = memberships_of(user)
    organization = membership.organization
    assert (organization.name, organization.timezone, membership.role) == ("Big Co", "Asia/Kolkata", "owner")
    assert answer["Location"] == f"/o/{organization.slug}/"
    with organization_scope(organization.id):
        assert [team.name for team in Team.objects.all()] == ["Default"]
        (channel,) = Channel.objects.all()
        assert (channel.kind, channel.recipients) == ("email", [user.email])
    assert mail.outbox == []


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "  "}, {"name": "x" * 101}, {"name": "a\nb"}, {"timezone": "Mars/Base"}, {"timezone": ""},
     {"timezone": "../../etc/passwd"}, {"timezone": "localtime"}],
)  # fmt: skip
def test_an_organization_of_nonsense_is_not_made(db: None, wrong: dict[str, str]) -> None:
    user = make_user("founder@people.example")
    answer = browser(user).post("/organizations/new", {"name": "Big Co", "timezone": "UTC", **wrong})
    assert answer.status_code == 422
    assert memberships_of(user) == []


def test_when_the_channel_cannot_be_made_there_is_no_organization(
    committed_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("no channel")

    monkeypatch.setattr("costhub.onboarding.default_channel_create", fail)
    user = make_user("founder@people.example")
    client = browser(user, raise_request_exception=False)
    assert client.post("/organizations/new", {"name": "Big Co", "timezone": "UTC"}).status_code == 500
    assert memberships_of(user) == []


def test_signed_out_makes_nothing(db: None) -> None:
    assert Client().post("/organizations/new", {"name": "x", "timezone": "UTC"}).status_code == 302


def test_settings_are_saved_and_told(tenant: Tenant, owner: Client) -> None:
    assert owner.post("/o/acme/settings", {"name": "Acme GmbH", "timezone": "Europe/Berlin"}).status_code == 302
    organization = organization_of(tenant)
    assert (organization.name, organization.timezone, organization.slug) == ("Acme GmbH", "Europe/Berlin", "acme")
    with organization_scope(tenant.id):
        entry = AuditEntry.objects.get(action="organization.updated")
    assert entry.facts == {"name": "Acme GmbH", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize("wrong", [{"name": ""}, {"name": "a\x00"}, {"timezone": "Mars/Base"}])
def test_settings_of_nonsense_are_not_saved(tenant: Tenant, owner: Client, wrong: dict[str, str]) -> None:
    assert owner.post("/o/acme/settings", {"name": "Renamed", "timezone": "UTC", **wrong}).status_code == 422
    assert organization_of(tenant).name == "Acme"


def test_who_may_not_change_settings_reads_them(tenant: Tenant) -> None:
    client = browser(make_member(tenant, Role.VIEWER))
    page = client.get("/o/acme/settings").content.decode()
    assert "UTC" in page
    assert 'name="timezone"' not in page
    assert client.post("/o/acme/settings", {"name": "Taken", "timezone": "UTC"}).status_code == 403
    assert organization_of(tenant).name == "Acme"


@pytest.mark.parametrize(
    ("before", "after", "rebuilds"),
    [
        ("UTC", "Asia/Kolkata", True), ("Asia/Kolkata", "UTC", True), ("UTC", "Europe/Berlin", True),
        ("Asia/Kolkata", "Asia/Kolkata", False),
    ],
)  # fmt: skip
def test_sums_are_kept_by_the_days_of_the_zone(
    tenant: Tenant, owner: Client, monkeypatch: pytest.MonkeyPatch, before: str, after: str, rebuilds: bool
) -> None:
    owner.post("/o/acme/settings", {"name": "Acme", "timezone": before})
    rebuilt: list[int] = []
    monkeypatch.setattr("costhub.onboarding.rebuild", rebuilt.append)
    owner.post("/o/acme/settings", {"name": "Acme", "timezone": after})
    assert rebuilt == ([tenant.id] if rebuilds else [])
    assert datetime.now(UTC) > tenant.organization.created_at
