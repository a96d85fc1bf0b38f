"""Members and invitations: who may let whom in, and that an organization keeps an owner."""

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from tenants import tokens
from tenants.access import open_organization, organization_scope
from tenants.members import DAILY_INVITATIONS_PER_ADDRESS, member_change, member_invite
from tenants.models import AuditEntry, Invitation, Membership, User
from tenants.roles import Role
from tests.factories import Tenant, make_member, make_team, make_user
from tests.tenants.conftest import browser

ADDRESS = "new.hire@people.example"
Commit = Callable[..., object]


def membership_of(tenant: Tenant, user: User) -> Membership:
    with organization_scope(tenant.id):
        return Membership.objects.get(user=user)


def roles(tenant: Tenant) -> dict[str, str]:
    with organization_scope(tenant.id):
        return dict(Membership.objects.values_list("user__email", "role"))


def invited(tenant: Tenant, *, email: str = ADDRESS, role: Role = Role.VIEWER, by: User | None = None) -> str:
    """The path that the mail of a new invitation leads to."""
    access = open_organization(by or tenant.owner, tenant.organization.slug)
    with organization_scope(tenant.id):
        teams = [tenant.team.id] if role is Role.MANAGER else []
        _, token = member_invite(access=access, email=email, role=role, team_ids=teams, now=timezone.now())
    return f"/invitations/accept?token={token}"


def the_invitation(tenant: Tenant) -> Invitation:
    with organization_scope(tenant.id):
        return Invitation.objects.get()


def change(tenant: Tenant, **fields: object) -> None:
    with organization_scope(tenant.id):
        Invitation.objects.update(**fields)


def test_an_invitation_is_mailed_after_the_commit_and_let_in(
    tenant: Tenant, owner: Client, django_capture_on_commit_callbacks: Commit
) -> None:
    form = {"email": f" {ADDRESS.upper()} ", "role": "finance"}
    with django_capture_on_commit_callbacks(execute=False) as callbacks:  # type: ignore[attr-defined]
        assert owner.post("/o/acme/members/invite", form).status_code == 302
    assert mail.outbox == []
    for callback in callbacks:
        callback()
    (message,) = mail.outbox
    assert message.to == [ADDRESS]
    assert message.subject == "Join Acme on CostHub"
    (url,) = re.findall(r"http\S+token=\S+", str(message.body))
    assert url.replace("&", "&amp;") in str(message.alternatives[0].content)  # type: ignore[attr-defined]

    path = urlsplit(url)
    newcomer = browser(make_user(ADDRESS))
    page = f"{path.path}?{path.query}"
    assert b"invites you as finance" in newcomer.get(page).content
    assert ADDRESS not in roles(tenant)
    assert newcomer.post(page)["Location"] == "/o/acme/"
    assert roles(tenant)[ADDRESS] == "finance"
    assert newcomer.get("/o/acme/keys").status_code == 200


def test_a_dead_mail_server_is_said_and_breaks_nothing(
    tenant: Tenant, owner: Client, settings: object, django_capture_on_commit_callbacks: Commit
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # type: ignore[attr-defined]
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # type: ignore[attr-defined]
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        assert owner.post("/o/acme/members/invite", {"email": ADDRESS, "role": "viewer"}).status_code == 302
    assert ADDRESS in owner.get("/o/acme/members").content.decode()
    assert the_invitation(tenant).email == ADDRESS


def test_signed_out_signs_up_and_comes_back(tenant: Tenant, fresh_address: str) -> None:
    page = invited(tenant)
    client = Client(REMOTE_ADDR=fresh_address)
    content = client.get(page).content.decode()
    (signup,) = re.findall(r'href="(/accounts/signup/[^"]+)"', content)
    signup = signup.replace("&amp;", "&")
    form = client.get(signup).content.decode()
    assert f'value="{ADDRESS}"' in form
    (target,) = re.findall(r'name="next" value="([^"]+)"', form)
    assert client.post(page).status_code == 200
    data = {"email": ADDRESS, "password1": "tall ships 1838", "password2": "tall ships 1838", "next": target}
    answer = client.post("/accounts/signup/", data)
    assert answer["Location"] == page
    assert ADDRESS not in roles(tenant)
    assert client.post(page)["Location"] == "/o/acme/"
    assert roles(tenant)[ADDRESS] == "viewer"


def test_a_link_works_once(tenant: Tenant) -> None:
    page = invited(tenant)
    newcomer = make_user(ADDRESS)
    browser(newcomer).post(page)
    assert browser(newcomer).get(page)["Location"] == "/o/acme/"
    assert browser().get(page).status_code == 410
    with organization_scope(tenant.id):
        Membership.objects.filter(user=newcomer).delete()
    assert browser(newcomer).post(page).status_code == 410
    assert ADDRESS not in roles(tenant)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, b"has expired"),
        ({"revoked_at": timezone.now()}, b"was withdrawn"),
        ({"accepted_at": timezone.now()}, b"was used already"),
    ],
)
def test_links_that_ended(tenant: Tenant, fields: dict[str, object], words: bytes) -> None:
    page = invited(tenant)
    change(tenant, **fields)
    newcomer = browser(make_user(ADDRESS))
    for answer in (newcomer.get(page), newcomer.post(page), browser().get(page)):
        assert answer.status_code == 410
        assert words in answer.content
    assert ADDRESS not in roles(tenant)


def test_somebody_else_cannot_accept(tenant: Tenant, stranger: Tenant, outsider: Client) -> None:
    page = invited(tenant)
    for answer in (outsider.get(page), outsider.post(page)):
        assert answer.status_code == 403
        assert b"for another address" in answer.content
        assert ADDRESS.encode() not in answer.content
    assert stranger.owner.email not in roles(tenant)
    assert the_invitation(tenant).accepted_at is None


@pytest.mark.parametrize("text", ["", "x", "chi_", "cht_" + "0" * 50, "chi_" + "0" * 50, "%00", "é" * 54])
def test_tokens_that_are_none(tenant: Tenant, text: str) -> None:
    assert browser().get("/invitations/accept", {"token": text}).status_code == 404
    assert browser(tenant.owner).post(f"/invitations/accept?token={text}").status_code == 404


def test_the_right_public_id_with_another_secret_is_no_token(tenant: Tenant) -> None:
    page = invited(tenant)
    token = tokens.parse_token(page.partition("=")[2])
    assert token is not None
    forged = tokens.Token(token.prefix, token.public_id, "0" * 32).text
    assert browser(make_user(ADDRESS)).post(f"/invitations/accept?token={forged}").status_code == 404


def test_an_invitation_falls_with_the_rights_of_its_sender(tenant: Tenant, owner: Client) -> None:
    admin = make_member(tenant, Role.ADMIN)
    page = invited(tenant, role=Role.ADMIN, by=admin)
    with organization_scope(tenant.id):
        Membership.objects.filter(user=admin).update(role=Role.VIEWER)
    assert browser(make_user(ADDRESS)).post(page).status_code == 403
    assert ADDRESS not in roles(tenant)


def test_nobody_hands_out_more_than_they_hold(tenant: Tenant) -> None:
    admin = browser(make_member(tenant, Role.ADMIN))
    assert admin.post("/o/acme/members/invite", {"email": ADDRESS, "role": "owner"}).status_code == 403
    with organization_scope(tenant.id):
        mine = Membership.objects.get(role=Role.ADMIN)
    owner_row = membership_of(tenant, tenant.owner)
    before = roles(tenant)
    assert admin.post(f"/o/acme/members/{mine.id}", {"role": "owner"}).status_code == 403
    assert admin.post(f"/o/acme/members/{owner_row.id}", {"role": "viewer"}).status_code == 403
    assert admin.post(f"/o/acme/members/{owner_row.id}/remove").status_code == 403
    assert roles(tenant) == before
    with organization_scope(tenant.id):
        assert not Invitation.objects.exists()


@pytest.mark.parametrize("role", [Role.FINANCE, Role.MANAGER, Role.VIEWER])
def test_nobody_promotes_themselves(tenant: Tenant, role: Role) -> None:
    user = make_member(tenant, role, teams=[tenant.team])
    row = membership_of(tenant, user)
    assert browser(user).post(f"/o/acme/members/{row.id}", {"role": "owner"}).status_code == 403
    assert roles(tenant)[user.email] == role
    access = open_organization(user, "acme")
    with organization_scope(tenant.id), pytest.raises(PermissionDenied, match="cannot change"):
        member_change(access=access, membership=row, role=Role.OWNER, team_ids=[], now=timezone.now())


def test_the_last_owner_stays(tenant: Tenant, owner: Client) -> None:
    row = membership_of(tenant, tenant.owner)
    assert owner.post(f"/o/acme/members/{row.id}", {"role": "viewer"}).status_code == 422
    assert b"at least one owner" in owner.post(f"/o/acme/members/{row.id}/remove", follow=True).content
    assert roles(tenant) == {tenant.owner.email: "owner"}
    make_member(tenant, Role.OWNER, email="second@acme.example")
    assert owner.post(f"/o/acme/members/{row.id}", {"role": "viewer"}).status_code == 302
    assert roles(tenant) == {tenant.owner.email: "viewer", "second@acme.example": "owner"}


def test_a_role_is_changed_and_told(tenant: Tenant, owner: Client) -> None:
    row = membership_of(tenant, make_member(tenant, Role.VIEWER))
    team = make_team(tenant, "Search")
    assert owner.post(f"/o/acme/members/{row.id}", {"role": "manager"}).status_code == 422
    assert owner.post(f"/o/acme/members/{row.id}", {"role": "manager", "team_ids": [team.id]}).status_code == 302
    with organization_scope(tenant.id):
        row.refresh_from_db()
        assert (row.role, row.team_ids) == ("manager", [team.id])
        assert AuditEntry.objects.get(action="member.changed").facts == {
            "email": "viewer@acme.example", "role": "manager", "before": "viewer",
        }  # fmt: skip
    assert b"Search" in owner.get("/o/acme/members").content


def test_a_team_of_another_organization_cannot_be_looked_after(tenant: Tenant, stranger: Tenant, owner: Client) -> None:
    form = {"email": ADDRESS, "role": "manager", "team_ids": [stranger.team.id]}
    assert owner.post("/o/acme/members/invite", form).status_code == 422
    with organization_scope(tenant.id):
        assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    "email",
    [
        "", "x", "a@b", "a@b.example\r\nBcc: c@d.example", "x" * 100_000 + "@b.example", "раураl@people.example",
        "a@реоple.example", "owner@acme.example",
    ],
)  # fmt: skip
def test_addresses_that_are_not_invited(tenant: Tenant, owner: Client, email: str) -> None:
    assert owner.post("/o/acme/members/invite", {"email": email, "role": "viewer"}).status_code == 422
    with organization_scope(tenant.id):
        assert not Invitation.objects.exists()
    assert mail.outbox == []


def test_inviting_again_ends_the_link_before(tenant: Tenant) -> None:
    first, second = invited(tenant), invited(tenant)
    assert browser().get(first).status_code == 410
    assert browser().get(second).status_code == 200


def test_one_address_is_not_flooded(tenant: Tenant, owner: Client) -> None:
    for _ in range(DAILY_INVITATIONS_PER_ADDRESS):
        assert owner.post("/o/acme/members/invite", {"email": ADDRESS, "role": "viewer"}).status_code == 302
    assert owner.post("/o/acme/members/invite", {"email": ADDRESS, "role": "viewer"}).status_code == 429
    with organization_scope(tenant.id):
        assert Invitation.objects.count() == DAILY_INVITATIONS_PER_ADDRESS
        assert Invitation.objects.filter(revoked_at__isnull=True).count() == 1


def test_an_organization_sends_so_many_invitations_a_day(
    tenant: Tenant, owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenants.members.DAILY_INVITATIONS", 3)
    answers = [
        owner.post("/o/acme/members/invite", {"email": f"p{n}@people.example", "role": "viewer"}).status_code
        for n in range(5)
    ]
    assert answers == [302, 302, 302, 429, 429]


def test_withdrawing(tenant: Tenant, owner: Client) -> None:
    page = invited(tenant)
    invitation = the_invitation(tenant)
    url = f"/o/acme/invitations/{invitation.id}/withdraw"
    assert b"is withdrawn" in owner.post(url, follow=True).content
    assert b"used or withdrawn already" in owner.post(url, follow=True).content
    assert browser().get(page).status_code == 410


def test_an_admin_does_not_withdraw_an_owners_invitation(tenant: Tenant) -> None:
    invited(tenant, role=Role.OWNER)
    admin = browser(make_member(tenant, Role.ADMIN))
    assert admin.post(f"/o/acme/invitations/{the_invitation(tenant).id}/withdraw").status_code == 403
    assert the_invitation(tenant).revoked_at is None
