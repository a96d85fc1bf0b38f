"""Virtual keys on their pages: the secret is shown once, and a key ends when it is said to."""

import html
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client, RequestFactory
from django.utils import timezone

from common.problems import Problem
from tenants import tokens
from tenants.access import organization_scope
from tenants.authentication import authenticate
from tenants.models import AccessToken, AuditEntry, RetiredSecret, VirtualKey
from tenants.roles import Role
from tenants.services import credential_revoke, virtual_key_issue, virtual_key_rotate
from tests.factories import PASSWORD, Tenant, make_key, make_member, make_team
from tests.tenants.conftest import browser

SECRET = re.compile(rb"ch(?:k_live|k_test|t)_[0-9A-Za-z]{50}")


def proves(secret: str, now: datetime | None = None) -> bool:
    """Whether a request with this secret is let in."""
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {secret}"})
    try:
        authenticate(request, now or timezone.now())
    except Problem:
        return False
    return True


def rotated(tenant: Tenant, grace: timedelta, now: datetime) -> str:
    with organization_scope(tenant.id):
        return virtual_key_rotate(key=tenant.key, grace=grace, actor=tenant.owner, now=now)[1]


def attempt(client: Client, page: str) -> str:
    (value,) = re.findall(rb'name="attempt" value="([^"]+)"', client.get(page).content)
    return str(value.decode())


def test_a_key_is_issued_and_its_secret_shown_in_that_answer_alone(tenant: Tenant, owner: Client) -> None:
    page = "/o/acme/keys/new"
    form = {"name": "support-bot", "team": tenant.team.id, "mode": "live", "attempt": attempt(owner, page)}
    answer = owner.post(page, form)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    secret = SECRET.search(answer.content)
    assert secret is not None
    assert proves(secret[0].decode())
    assert secret[0] not in answer.serialize_headers()

    # The command on the page does what the page says.
    (shown,) = re.findall(r"-d &#x27;(.*?)&#x27;</pre>", answer.content.decode(), re.DOTALL)
    event, bearer = html.unescape(shown), {"Authorization": f"Bearer {secret[0].decode()}"}
    assert owner.post("/api/v1/events", event, "application/json", headers=bearer).status_code == 202

    # Reloading sends the form again: nothing is issued, and nothing can be shown.
    again = owner.post(page, form, follow=True)
    assert b"sent already" in again.content
    with organization_scope(tenant.id):
        assert VirtualKey.objects.filter(name="support-bot").count() == 1
        assert AuditEntry.objects.filter(action="virtualkey.issued", facts__name="support-bot").count() == 1
    for each in ("keys", "settings/audit", "teams"):
        assert not SECRET.search(owner.get(f"/o/acme/{each}").content), each
    for session in Session.objects.all():
        assert secret[0].decode() not in str(session.get_decoded())
    assert all(secret[0].decode() not in cookie.value for cookie in owner.cookies.values())
    with connection.cursor() as cursor, organization_scope(tenant.id):
        cursor.execute("SELECT k::text, a::text FROM tenants_virtualkey k, tenants_auditentry a")
        assert secret[0].decode()[-38:] not in str(cursor.fetchall())


def test_signing_in_shows_no_key(tenant: Tenant, fresh_address: str) -> None:
    client = Client(REMOTE_ADDR=fresh_address)
    answer = client.post("/accounts/login/", {"login": tenant.owner.email, "password": PASSWORD}, follow=True)
    assert answer.redirect_chain
    assert not SECRET.search(answer.content + answer.serialize_headers() + str(client.cookies).encode())


def test_an_attempt_that_was_made_up_is_refused(tenant: Tenant, owner: Client) -> None:
    form = {"name": "x", "team": tenant.team.id, "mode": "live", "attempt": str(tenant.key.id)}
    assert owner.post("/o/acme/keys/new", form).status_code == 422
    with organization_scope(tenant.id):
        assert VirtualKey.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": "x" * 101}, {"name": "a\r\nb"}, {"name": "a\x00b"}, {"team": ""}, {"team": "1"},
        {"team": "x"}, {"mode": "root"}, {"expires_at": "2020-01-01"}, {"expires_at": "2126-01-01"},
        {"expires_at": "2026-02-30"}, {"expires_at": "soon"},
    ],
)  # fmt: skip
def test_a_form_that_makes_no_sense_issues_nothing(tenant: Tenant, owner: Client, wrong: dict[str, str]) -> None:
    form = {"name": "x", "team": tenant.team.id, "mode": "live", "attempt": attempt(owner, "/o/acme/keys/new"), **wrong}
    answer = owner.post("/o/acme/keys/new", form)
    assert answer.status_code == 422
    assert b"field__errors" in answer.content
    with organization_scope(tenant.id):
        assert VirtualKey.objects.count() == 1


def test_a_manager_acts_on_keys_of_their_own_teams_only(tenant: Tenant) -> None:
    own = make_team(tenant, "Search")
    below = make_team(tenant, "Ranking", parent=own)
    mine, _ = make_key(tenant, "mine", below)
    client = browser(make_member(tenant, Role.MANAGER, teams=[own]))
    page = client.get("/o/acme/keys/new").content.decode()
    assert f'value="{below.id}"' in page
    assert f'value="{tenant.team.id}"' not in page
    form = {"name": "x", "mode": "live", "attempt": attempt(client, "/o/acme/keys/new")}
    assert client.post("/o/acme/keys/new", {**form, "team": tenant.team.id}).status_code == 422
    assert client.post(f"/o/acme/keys/{tenant.key.id}/revoke").status_code == 403
    assert client.post(f"/o/acme/keys/{tenant.key.id}/rotate", {"grace_hours": "0"}).status_code == 403
    with organization_scope(tenant.id):
        assert VirtualKey.objects.count() == 2
        assert RetiredSecret.objects.count() == 0
    assert client.post("/o/acme/keys/new", {**form, "team": below.id}).status_code == 200
    assert client.post(f"/o/acme/keys/{mine.id}/revoke").status_code == 302
    listed = client.get("/o/acme/keys").content.decode()
    assert f"/o/acme/keys/{tenant.key.id}/revoke" not in listed
    assert "first key" in listed


def test_revoking_ends_a_key_at_once_and_says_so_once(tenant: Tenant, owner: Client) -> None:
    page = f"/o/acme/keys/{tenant.key.id}/revoke"
    assert b"cannot be brought back" in owner.get(page).content
    assert proves(tenant.secret)
    assert b"is revoked" in owner.post(page, follow=True).content
    assert not proves(tenant.secret)
    assert b"had been revoked already" in owner.post(page, follow=True).content
    with organization_scope(tenant.id):
        assert AuditEntry.objects.filter(action="virtualkey.revoked").count() == 1


def test_rotating_on_the_page_shows_the_new_secret_once(tenant: Tenant, owner: Client) -> None:
    page = f"/o/acme/keys/{tenant.key.id}/rotate"
    form = {"grace_hours": "24", "attempt": attempt(owner, page)}
    answer = owner.post(page, form)
    assert "no-store" in answer["Cache-Control"]
    secret = SECRET.search(answer.content)
    assert secret is not None
    assert proves(secret[0].decode())
    assert proves(tenant.secret)
    assert b"sent already" in owner.post(page, form, follow=True).content
    assert proves(secret[0].decode())
    assert b"Old secret ends" in owner.get("/o/acme/keys").content


def test_the_secret_before_works_for_the_grace_and_not_longer(tenant: Tenant, now: datetime) -> None:
    secret = rotated(tenant, timedelta(hours=1), now)
    assert proves(secret, now + timedelta(days=300))
    assert proves(tenant.secret, now + timedelta(minutes=59))
    assert not proves(tenant.secret, now + timedelta(hours=1))


def test_no_older_secret_outlives_the_grace_of_a_later_rotation(tenant: Tenant, now: datetime) -> None:
    second = rotated(tenant, timedelta(days=7), now)
    third = rotated(tenant, timedelta(0), now)
    assert not proves(tenant.secret, now)
    assert not proves(second, now)
    assert proves(third, now)


def test_revoking_ends_retired_secrets_too(tenant: Tenant, now: datetime) -> None:
    secret = rotated(tenant, timedelta(days=7), now)
    with organization_scope(tenant.id):
        assert credential_revoke(credential=tenant.key, actor=tenant.owner, now=now)
    assert not proves(tenant.secret)
    assert not proves(secret)
    with pytest.raises(Problem, match="conflict"):
        rotated(tenant, timedelta(0), now)


def test_an_expired_key_is_refused_with_its_retired_secrets(tenant: Tenant, now: datetime) -> None:
    key, first = make_key(tenant, "short", expires_at=now + timedelta(hours=1))
    with organization_scope(tenant.id):
        _, second = virtual_key_rotate(key=key, grace=timedelta(days=7), actor=None, now=now)
    assert proves(first, now)
    assert not proves(first, now + timedelta(hours=1))
    assert not proves(second, now + timedelta(hours=1))


def test_a_rotated_key_stays_itself(tenant: Tenant, now: datetime) -> None:
    rotated(tenant, timedelta(hours=1), now)
    with organization_scope(tenant.id):
        key = VirtualKey.objects.get(id=tenant.key.id)
        entry = AuditEntry.objects.get(action="virtualkey.rotated")
    assert (key.team_id, key.name, key.created_at) == (tenant.team.id, "first key", tenant.key.created_at)
    assert entry.facts["before"] == tenant.key.hint
    assert key.hint != tenant.key.hint


def test_the_digest_itself_is_no_key(tenant: Tenant) -> None:
    with organization_scope(tenant.id):
        digest = bytes(VirtualKey.objects.get(id=tenant.key.id).digest).hex()
    assert not proves(digest)
    forged = tokens.Token("chk_live_", tenant.key.public_id, digest[:32])
    assert not proves(forged.text)


def test_another_organizations_team_is_no_team_for_a_key(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    with organization_scope(tenant.id), pytest.raises(ValidationError):
        virtual_key_issue(team=stranger.team, name="x", actor=tenant.owner, now=now)


@pytest.mark.parametrize(
    "wrong",
    [{"scopes": []}, {"scopes": ["admin"]}, {"scopes": ["org:read", "*"]}, {"name": ""}, {"expires_at": "2126-01-01"}],
)
def test_an_access_token_of_nonsense_is_not_issued(tenant: Tenant, owner: Client, wrong: dict[str, object]) -> None:
    page = "/o/acme/settings/tokens/new"
    form = {"name": "terraform", "scopes": ["org:read"], "attempt": attempt(owner, page), **wrong}
    assert owner.post(page, form).status_code == 422
    with organization_scope(tenant.id):
        assert not AccessToken.objects.exists()


def test_an_access_token_is_shown_once_and_revoked(tenant: Tenant, owner: Client) -> None:
    page = "/o/acme/settings/tokens/new"
    form = {"name": "terraform", "scopes": ["org:read", "keys:read"], "attempt": attempt(owner, page)}
    answer = owner.post(page, form)
    assert "no-store" in answer["Cache-Control"]
    secret = SECRET.search(answer.content)
    assert secret is not None
    assert proves(secret[0].decode())
    assert b"sent already" in owner.post(page, form, follow=True).content
    assert not SECRET.search(owner.get("/o/acme/settings/tokens").content)
    with organization_scope(tenant.id):
        token = AccessToken.objects.get()
    assert token.scopes == ["keys:read", "org:read"]
    assert owner.post(f"/o/acme/settings/tokens/{token.id}/revoke").status_code == 302
    assert not proves(secret[0].decode())


def test_the_pages_ask_the_database_a_fixed_number_of_times(
    tenant: Tenant, owner: Client, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(20):
        make_key(tenant, f"key-{number}", make_team(tenant, f"team-{number}"))
    for page in ("keys", "teams", "members", "settings/audit"):
        with django_assert_max_num_queries(40):  # type: ignore[attr-defined]
            owner.get(f"/o/acme/{page}")
