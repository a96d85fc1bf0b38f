"""Every page of tenants as every kind of visitor: who sees it, who may change something, what a refusal leaves."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tenants.access import organization_scope
from tenants.models import AccessToken, AuditEntry, Invitation, Membership, Organization, Team, VirtualKey
from tenants.roles import Role
from tests.factories import Tenant, make_key, make_member, make_team
from tests.tenants.conftest import browser

SEEN_BY_ALL = ["keys", "teams", "members", "settings"]
# Page → the roles that may open it.
FORMS = {
    "keys/new": {Role.OWNER, Role.ADMIN, Role.MANAGER},
    "teams/new": {Role.OWNER, Role.ADMIN},
    "members/invite": {Role.OWNER, Role.ADMIN},
    "settings/tokens": {Role.OWNER, Role.ADMIN},
    "settings/tokens/new": {Role.OWNER, Role.ADMIN},
    "settings/audit": {Role.OWNER, Role.ADMIN},
}
POSTS = {
    "keys/new": {"name": "minted", "mode": "live"},
    "teams/new": {"name": "Trojan"},
    "members/invite": {"email": "friend@globex.example", "role": "viewer"},
    "settings/tokens/new": {"name": "minted", "scopes": "org:read"},
    "settings": {"name": "Taken over", "timezone": "UTC"},
}
NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "javascript:alert(1)",
    "=HYPERLINK(1)",
]


def snapshot(tenant: Tenant) -> list[Any]:
    with organization_scope(tenant.id):
        return [
            list(model.objects.order_by("id").values_list())
            for model in (Organization, Team, VirtualKey, AccessToken, Membership, Invitation)
        ]


def pages_of(tenant: Tenant) -> list[str]:
    with organization_scope(tenant.id):
        member = Membership.objects.get(organization=tenant.organization, role=Role.OWNER)
    return [
        *SEEN_BY_ALL, *FORMS, f"keys/{tenant.key.id}/rotate", f"keys/{tenant.key.id}/revoke", f"teams/{tenant.team.id}",
        f"members/{member.id}", f"members/{member.id}/remove",
    ]  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
def test_who_sees_what(tenant: Tenant, as_role: Callable[[Role], Client], role: Role) -> None:
    client = as_role(role)
    for page in SEEN_BY_ALL:
        assert client.get(f"/o/acme/{page}").status_code == 200, page
    for page, roles in FORMS.items():
        assert client.get(f"/o/acme/{page}").status_code == (200 if role in roles else 403), page


@pytest.mark.parametrize("role", [Role.FINANCE, Role.MANAGER, Role.VIEWER])
def test_a_role_that_may_not_changes_nothing(tenant: Tenant, as_role: Callable[[Role], Client], role: Role) -> None:
    client, before = as_role(role), snapshot(tenant)
    with organization_scope(tenant.id):
        owner = Membership.objects.get(organization=tenant.organization, role=Role.OWNER)
    posts = {
        **{page: data for page, data in POSTS.items() if role not in FORMS.get(page, set())},
        f"keys/{tenant.key.id}/revoke": {},
        f"keys/{tenant.key.id}/rotate": {"grace_hours": "0"},
        f"teams/{tenant.team.id}": {"name": "Renamed"},
        f"members/{owner.id}": {"role": "viewer"},
        f"members/{owner.id}/remove": {},
    }
    before = snapshot(tenant)
    for page, data in posts.items():
        assert client.post(f"/o/acme/{page}", data).status_code == 403, page
    assert snapshot(tenant) == before


def test_a_stranger_finds_nothing_and_is_noticed_once(tenant: Tenant, outsider: Client) -> None:
    before = snapshot(tenant)
    missing = outsider.get("/o/no-such-organization/keys")
    for page in pages_of(tenant):
        answer = outsider.get(f"/o/acme/{page}", headers={"HX-Request": "true"})
        assert answer.status_code == 404, page
        assert_same_but_for_request_id(answer, missing)
        assert outsider.post(f"/o/acme/{page}", POSTS.get(page, {})).status_code in {404, 405}, page
    assert snapshot(tenant) == before
    with organization_scope(tenant.id):
        refused = AuditEntry.objects.filter(action="organization.refused")
        assert [entry.actor for entry in refused] == ["owner@globex.example"]


def assert_same_but_for_request_id(answer: Any, other: Any) -> None:
    texts = [each.content.decode().replace(each["X-Request-Id"], "") for each in (answer, other)]
    assert texts[0] == texts[1]


def test_objects_of_another_organization_are_not_there(tenant: Tenant, stranger: Tenant, owner: Client) -> None:
    before = snapshot(stranger)
    for page in (f"keys/{stranger.key.id}/revoke", f"keys/{stranger.key.id}/rotate", f"teams/{stranger.team.id}"):
        assert owner.get(f"/o/acme/{page}").status_code == 404, page
        assert owner.post(f"/o/acme/{page}", {"grace_hours": "0", "name": "mine"}).status_code == 404, page
    assert owner.post(
        "/o/acme/teams/new", {"name": "Trojan", "parent": stranger.team.id}
    ).status_code == 422  # fmt: skip
    assert snapshot(stranger) == before


def test_signed_out_is_sent_to_sign_in_and_back(tenant: Tenant) -> None:
    before = snapshot(tenant)
    for page in pages_of(tenant):
        answer = browser().get(f"/o/acme/{page}")
        assert answer.status_code == 302, page
        assert answer["Location"] == f"/accounts/login/?next=/o/acme/{page}"
        answer = browser().post(f"/o/acme/{page}", POSTS.get(page, {}))
        assert answer.status_code in {302, 405}, page
    assert snapshot(tenant) == before


def test_only_a_post_changes_anything(tenant: Tenant, owner: Client) -> None:
    team = make_team(tenant, "Below", parent=tenant.team)
    member = make_member(tenant, Role.VIEWER)
    before = snapshot(tenant)
    with organization_scope(tenant.id):
        membership = Membership.objects.get(user=member)
    for page in (
        *pages_of(tenant), f"teams/{team.id}?name=x", f"members/{membership.id}/remove", "settings?name=x&timezone=UTC",
        f"keys/{tenant.key.id}/revoke?confirm=yes", "keys/new?name=x&mode=live",
    ):  # fmt: skip
        assert owner.get(f"/o/acme/{page}").status_code == 200, page
    assert owner.get("/o/acme/invitations/1/withdraw").status_code == 405
    assert owner.post("/o/acme/keys", {"name": "x"}).status_code == 405
    assert owner.put(f"/o/acme/keys/{tenant.key.id}/revoke").status_code == 405
    assert snapshot(tenant) == before


def test_a_post_from_elsewhere_is_refused(tenant: Tenant) -> None:
    client, before = browser(tenant.owner, enforce_csrf_checks=True), snapshot(tenant)
    for page, data in {**POSTS, f"keys/{tenant.key.id}/revoke": {}}.items():
        answer = client.post(f"/o/acme/{page}", data)
        assert answer.status_code == 403, page
        assert b"came from another site" in answer.content
    client.get("/o/acme/keys/new")
    token = client.cookies["csrftoken"].value
    forged = client.post(
        f"/o/acme/keys/{tenant.key.id}/revoke", headers={"X-CSRFToken": token, "Origin": "https://evil.example"}
    )
    assert forged.status_code == 403
    assert snapshot(tenant) == before


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_as_text(tenant: Tenant, owner: Client, name: str) -> None:
    make_key(tenant, name, make_team(tenant, name, parent=tenant.team))
    assert owner.post("/o/acme/settings", {"name": name, "timezone": "UTC"}).status_code == 302
    for page in pages_of(tenant):
        text = owner.get(f"/o/acme/{page}").content.decode()
        assert "<script>alert" not in text, page
        assert "<img src=x" not in text, page
        assert 'href="javascript:' not in text, page
        assert ">49<" not in text, page


@pytest.mark.parametrize(
    "query", ["cursor=0", "cursor=x", "cursor=9999999999999999999999", "team=1&state=nope", "team=x"]
)
def test_filters_that_make_no_sense_are_as_good_as_not_given(owner: Client, query: str) -> None:
    assert b"first key" in owner.get(f"/o/acme/keys?{query}").content


def test_keys_are_filtered_by_team_with_everything_below_it_and_by_state(tenant: Tenant, owner: Client) -> None:
    parent = make_team(tenant, "Engineering")
    make_key(tenant, "deep-key", make_team(tenant, "Search", parent=parent))
    page = owner.get(f"/o/acme/keys?team={parent.id}").content
    assert b"deep-key" in page
    assert b"first key" not in page
    assert b"deep-key" not in owner.get("/o/acme/keys?state=revoked").content


def test_long_lists_are_paged(tenant: Tenant, owner: Client) -> None:
    for number in range(51):
        make_key(tenant, f"key-{number:02}")
    first = owner.get("/o/acme/keys").content.decode()
    assert "key-50" in first
    assert "first key" not in first
    (following,) = [part.split('"')[0] for part in first.split('href="')[1:] if part.startswith("/o/acme/keys?cursor=")]
    second = owner.get(following).content.decode()
    assert "first key" in second
    assert "key-50" not in second
    assert "52 entries" not in owner.get("/o/acme/settings/audit").content.decode()


def test_a_newly_signed_in_member_of_two_organizations_lands_where_they_were(tenant: Tenant, stranger: Tenant) -> None:
    with organization_scope(stranger.id):
        Membership.objects.create(organization=stranger.organization, user=tenant.owner, role=Role.VIEWER)
    client = browser(tenant.owner)
    assert client.get("/")["Location"] == "/o/acme/"
    page = client.get("/o/globex/teams").content.decode()
    assert 'href="/o/acme/"' in page
    assert client.get("/")["Location"] == "/o/globex/"


def test_a_member_who_was_removed_is_out_at_once(tenant: Tenant, owner: Client) -> None:
    user = make_member(tenant, Role.ADMIN)
    client = browser(user)
    assert client.get("/o/acme/keys").status_code == 200
    with organization_scope(tenant.id):
        membership = Membership.objects.get(user=user)
    assert owner.post(f"/o/acme/members/{membership.id}/remove").status_code == 302
    assert client.get("/o/acme/keys").status_code == 404
