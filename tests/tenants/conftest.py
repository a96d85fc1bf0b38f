"""What tests of tenants share: browsers signed in as somebody, and one that no rate limit has met before."""

import secrets
from collections.abc import Callable

import pytest
from django.test import Client

from tenants.models import User
from tenants.roles import Role
from tests.factories import Tenant, make_member, make_team


def browser(user: User | None = None, **options: object) -> Client:
    client = Client(**options)  # type: ignore[arg-type]
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    return browser(tenant.owner)


@pytest.fixture
def outsider(stranger: Tenant) -> Client:
    """The owner of another organization."""
    return browser(stranger.owner)


@pytest.fixture
def as_role(tenant: Tenant) -> Callable[[Role], Client]:
    """A browser of a member of this role; a manager looks after a team of their own, "Managed"."""

    def make(role: Role) -> Client:
        if role is Role.OWNER:
            return browser(tenant.owner)
        teams = [make_team(tenant, "Managed")] if role is Role.MANAGER else None
        return browser(make_member(tenant, role, teams=teams))

    return make


@pytest.fixture
def fresh_address() -> str:
    """An IP address whose rate nobody has counted yet."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


@pytest.fixture
def fresh_email() -> str:
    return f"{secrets.token_hex(8)}@people.example"
