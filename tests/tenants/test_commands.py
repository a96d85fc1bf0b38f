"""`issue_key` and `issue_token`: one secret, alone on the last line."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tenants.access import organization_scope
from tenants.models import AccessToken, AuditEntry, VirtualKey
from tests.factories import Tenant, make_team
from tests.tenants.test_keys import proves


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_a_key_for_scripts(tenant: Tenant) -> None:
    make_team(tenant, "Search")
    said = run("issue_key", "--organization", "acme", "--team", "search", "--name", "nightly")
    secret = said.splitlines()[-1]
    assert proves(secret)
    with organization_scope(tenant.id):
        key = VirtualKey.objects.select_related("team").get(name="nightly")
        assert (key.team.slug, key.created_by) == ("search", None)
        assert AuditEntry.objects.get(facts__name="nightly").actor_type == "system"


def test_all_of_a_key_as_json(tenant: Tenant) -> None:
    said = run("issue_key", "--organization", "acme", "--team", "default", "--name", "nightly", "--json")
    made = json.loads(said)
    assert proves(made.pop("secret"))
    with organization_scope(tenant.id):
        key = VirtualKey.objects.get(name="nightly")
    assert made == {
        "id": str(key.id), "name": "nightly", "organization": "acme", "team": "default", "hint": key.hint
    }  # fmt: skip


def test_a_token_for_scripts(tenant: Tenant) -> None:
    said = run("issue_token", "--organization", "acme", "--scopes", "org:read, keys:write")
    assert proves(said.splitlines()[-1])
    with organization_scope(tenant.id):
        assert AccessToken.objects.get().scopes == ["keys:write", "org:read"]
    made = json.loads(run("issue_token", "--organization", "acme", "--scopes", "org:read", "--json"))
    assert proves(made["secret"])
    assert made["scopes"] == ["org:read"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["issue_key", "--organization", "nope", "--team", "default", "--name", "x"], "no organization"),
        (["issue_key", "--organization", "acme", "--team", "nope", "--name", "x"], "no team"),
        (["issue_key", "--organization", "acme", "--team", "default", "--name", ""], "required"),
        (["issue_key", "--organization", "acme", "--team", "default", "--name", "x" * 101], "100 characters"),
        (["issue_token", "--organization", "nope", "--scopes", "org:read"], "no organization"),
        (["issue_token", "--organization", "acme", "--scopes", "admin,org:read"], "Not a scope: admin"),
        (["issue_token", "--organization", "acme", "--scopes", " , "], "No scope"),
    ],
)
def test_what_cannot_be_issued_is_said_in_one_line(tenant: Tenant, arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words) as refusal:
        run(*arguments)
    assert refusal.value.returncode == 1
    assert "\n" not in str(refusal.value)
    with organization_scope(tenant.id):
        assert VirtualKey.objects.count() == 1
        assert not AccessToken.objects.exists()
