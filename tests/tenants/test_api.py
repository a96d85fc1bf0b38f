"""Keys, teams, members and audit over the API: shapes, scopes, other tenants, and what makes no sense."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from tenants.access import organization_scope
from tenants.models import AuditEntry, Membership, Team, VirtualKey
from tenants.roles import SCOPES, Role
from tests.factories import Tenant, make_key, make_member, make_team, make_token
from tests.tenants.test_keys import SECRET, proves

Call = Callable[..., Any]
READS = {"keys": "keys:read", "teams": "org:read", "members": "org:read", "audit": "org:read"}


@pytest.fixture
def call(tenant: Tenant, client: Client) -> Call:
    """Calls the API with a token of every scope of these organizations, or with the headers given."""
    token = make_token(tenant, *SCOPES)

    def send(method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Any:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        credentials = token if headers is None else headers
        return client.generic(method, f"/api/v1/{path}", data, "application/json", headers=credentials)

    return send


def keys_of(tenant: Tenant) -> list[Any]:
    with organization_scope(tenant.id):
        return list(VirtualKey.objects.order_by("id").values_list())


def assert_problem(response: Any, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"https://costhub.dev/problems/{slug}"
    return problem


def faults(response: Any) -> dict[str, str]:
    problem = assert_problem(response, 422, "validation-error")
    return {fault["pointer"]: fault["code"] for fault in problem["errors"]}


def test_a_key_is_made_and_its_secret_shown_once(tenant: Tenant, call: Call) -> None:
    answer = call(
        "POST", "keys", {"name": "nightly", "team": str(tenant.team.id), "expires_at": "2030-01-01T00:00:00Z"}
    )
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    made = answer.json()
    secret = made.pop("secret")
    assert proves(secret)
    assert made == {
        "id": made["id"], "name": "nightly", "team": str(tenant.team.id), "team_name": "Default", "mode": "live",
        "hint": secret[:13] + "…", "state": "active", "created_at": made["created_at"], "created_by": None,
        "expires_at": "2030-01-01T00:00:00Z", "revoked_at": None, "previous_secret_ends_at": None,
    }  # fmt: skip
    assert call("GET", f"keys/{made['id']}").json() == made
    listed = call("GET", "keys")
    assert listed.json()["data"][0] == made
    assert not SECRET.search(listed.content + call("GET", "audit").content)
    with organization_scope(tenant.id):
        assert AuditEntry.objects.get(facts__name="nightly").actor_type == "token"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/name", "required"),
        ({"name": ""}, "/name", "blank"),
        ({"name": "   "}, "/name", "invalid"),
        ({"name": "x" * 101}, "/name", "max_length"),
        ({"name": "a\r\nb"}, "/name", "invalid"),
        ({"name": "a\x00b"}, "/name", "null_characters_not_allowed"),
        ({"name": 7}, "/name", "invalid"),
        ({"name": None}, "/name", "null"),
        ({"team": "1"}, "/team", "unknown_reference"),
        ({"team": "x"}, "/team", "unknown_reference"),
        ({"team": 1}, "/team", "invalid"),
        ({"team": ["1"]}, "/team", "invalid"),
        ({"mode": "root"}, "/mode", "invalid_choice"),
        ({"expires_at": "2126-01-01T00:00:00Z"}, "/expires_at", "invalid"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at", "invalid"),
        ({"expires_at": "2030-01-01T00:00:00"}, "/expires_at", "timezone_required"),
        ({"expires_at": "2030-01-01"}, "/expires_at", "timezone_required"),
        ({"expires_at": "0001-01-01T00:00:00+23:59"}, "/expires_at", "overflow"),
        ({"expires_at": 1}, "/expires_at", "invalid"),
        ({"expires_at": "soon"}, "/expires_at", "invalid"),
        ({"scopes": ["admin"]}, "/scopes", "unknown_field"),
        ({"allowed_routes": ["/*"]}, "/allowed_routes", "unknown_field"),
        ({"organization": "1"}, "/organization", "unknown_field"),
        ({"budget": "1000000"}, "/budget", "unknown_field"),
    ],
)
def test_a_key_of_nonsense_is_not_made(
    tenant: Tenant, call: Call, body: dict[str, Any], pointer: str, code: str
) -> None:
    before = keys_of(tenant)
    given = {"name": "x", "team": str(tenant.team.id), **body} if body else {}
    assert faults(call("POST", "keys", given)).get(pointer) == code
    assert keys_of(tenant) == before


@pytest.mark.parametrize("body", [[], "x", 7, None, True])
def test_a_body_that_is_no_object(tenant: Tenant, call: Call, body: Any) -> None:
    assert "" in faults(call("POST", "keys", json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"{", 400, "malformed-json"),
        (b'{"name":"a","name":"b"}', 400, "malformed-json"),
        (b'{"name":NaN}', 400, "malformed-json"),
        (b'{"name":' + b"[" * 100_000, 400, "too-deep"),
        (b'{"name":"' + b"x" * 1_100_000 + b'"}', 413, "body-too-large"),
    ],
)
def test_bodies_that_cannot_be_read(tenant: Tenant, call: Call, body: bytes, status: int, slug: str) -> None:
    before = keys_of(tenant)
    assert_problem(call("POST", "keys", body), status, slug)
    assert keys_of(tenant) == before


def test_another_organizations_team_is_answered_like_a_random_one(tenant: Tenant, stranger: Tenant, call: Call) -> None:
    for path, field in (("keys", "team"), ("teams", "parent")):
        foreign = call("POST", path, {"name": "x", field: str(stranger.team.id)}).json()
        random = call("POST", path, {"name": "x", field: "123456789"}).json()
        for each in (foreign, random):
            del each["instance"], each["request_id"]
        assert foreign == random
    assert len(keys_of(stranger)) == 1


def test_keys_of_others_are_not_there(tenant: Tenant, stranger: Tenant, call: Call) -> None:
    before = keys_of(stranger)
    missing = call("GET", "keys/123456789").json()
    for path in (f"keys/{stranger.key.id}", "keys/x", "keys/%2e%2e", "keys/99999999999999999999999"):
        found = assert_problem(call("GET", path), 404, "not-found")
        assert found["detail"] == missing["detail"]
    for action in ("revoke", "rotate"):
        assert_problem(call("POST", f"keys/{stranger.key.id}/{action}", {}), 404, "not-found")
    assert_problem(call("PATCH", f"teams/{stranger.team.id}", {"name": "taken"}), 404, "not-found")
    assert keys_of(stranger) == before


def test_keys_are_revoked_once_and_for_all(tenant: Tenant, call: Call) -> None:
    first = call("POST", f"keys/{tenant.key.id}/revoke").json()
    assert first["state"] == "revoked"
    assert not proves(tenant.secret)
    assert call("POST", f"keys/{tenant.key.id}/revoke").json() == first
    assert_problem(call("POST", f"keys/{tenant.key.id}/rotate", {}), 409, "conflict")


def test_keys_are_rotated(tenant: Tenant, call: Call, now: datetime) -> None:
    answer = call("POST", f"keys/{tenant.key.id}/rotate", {"grace_hours": 2})
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    made = answer.json()
    assert made["id"] == str(tenant.key.id)
    assert proves(made["secret"])
    ends = datetime.fromisoformat(made["previous_secret_ends_at"])
    assert timedelta(hours=1, minutes=59) < ends - now < timedelta(hours=2, minutes=1)
    assert proves(tenant.secret)
    assert not proves(tenant.secret, ends)
    assert call("POST", f"keys/{tenant.key.id}/rotate", {"grace_hours": 0}).status_code == 200
    assert not proves(tenant.secret)
    assert not proves(made["secret"])


@pytest.mark.parametrize("grace", [-1, 169, "24", 1.5, 10**30, True, None])
def test_a_grace_of_nonsense_rotates_nothing(tenant: Tenant, call: Call, grace: Any) -> None:
    before = keys_of(tenant)
    assert "/grace_hours" in faults(call("POST", f"keys/{tenant.key.id}/rotate", {"grace_hours": grace}))
    assert keys_of(tenant) == before


def test_keys_are_listed_page_by_page_newest_first(tenant: Tenant, call: Call) -> None:
    for number in range(4):
        make_key(tenant, f"key-{number}")
    seen, path = [], "keys?limit=2"
    for _ in range(3):
        page = call("GET", path).json()
        seen += [key["name"] for key in page["data"]]
        path = f"keys?limit=2&cursor={page['next']}"
    assert page["next"] is None
    assert seen == ["key-3", "key-2", "key-1", "key-0", "first key"]


def test_keys_are_filtered(tenant: Tenant, call: Call, now: datetime) -> None:
    parent = make_team(tenant, "Engineering")
    make_key(tenant, "deep", make_team(tenant, "Search", parent=parent), expires_at=now + timedelta(days=1))
    call("POST", f"keys/{tenant.key.id}/revoke")

    def names(query: str) -> list[str]:
        return [key["name"] for key in call("GET", f"keys?{query}").json()["data"]]

    assert names(f"team={parent.id}") == ["deep"]
    assert names("state=active") == ["deep"]
    assert names("state=revoked") == ["first key"]
    assert names("state=expired") == []
    assert names(f"state=revoked&team={parent.id}") == []


@pytest.mark.parametrize(
    "query",
    [
        "page_size=1000000000", "limit=101", "limit=0", "limit=-1", "limit=1e3", "limit=", "order=password",
        "fields=digest", "created__gte=x", "cursor=x", "cursor=WzBd", "cursor=WyJ4Il0", "cursor=Wy0xXQ",
        "limit=1&limit=2",
        "cursor=WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMF0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", list(READS))
def test_lists_take_the_parameters_they_know(call: Call, path: str, query: str) -> None:
    assert faults(call("GET", f"{path}?{query}"))


@pytest.mark.parametrize("query", ["state=dead", "team=x", "team=1", "state=active&state=revoked"])
def test_filters_of_keys_that_make_no_sense(call: Call, query: str) -> None:
    assert faults(call("GET", f"keys?{query}"))


def test_teams_are_made_and_renamed(tenant: Tenant, call: Call) -> None:
    parent = call("POST", "teams", {"name": "Engineering"}).json()
    assert (parent["slug"], parent["parent"]) == ("engineering", None)
    child = call("POST", "teams", {"name": "Search", "parent": parent["id"]}).json()
    assert child["parent"] == parent["id"]
    renamed = call("PATCH", f"teams/{child['id']}", {"name": "Search & Ads"}).json()
    assert renamed == {**child, "name": "Search & Ads"}
    assert call("GET", f"teams/{child['id']}").json() == renamed
    assert [team["name"] for team in call("GET", "teams").json()["data"]] == ["Default", "Engineering", "Search & Ads"]
    assert call("POST", "teams", {"name": "Engineering"}).json()["slug"] == "engineering-2"
    with organization_scope(tenant.id):
        assert AuditEntry.objects.get(action="team.renamed").facts == {"name": "Search & Ads", "before": "Search"}


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "\u202e"}, {"name": "x", "slug": "x"}, {"name": "x", "parent": 7}, {"name": ["x"]}],
)
def test_teams_of_nonsense_are_not_made(tenant: Tenant, call: Call, body: dict[str, Any]) -> None:
    assert faults(call("POST", "teams", body))
    assert faults(call("PATCH", f"teams/{tenant.team.id}", {**body, "parent": str(tenant.team.id)}))
    with organization_scope(tenant.id):
        assert [team.name for team in Team.objects.all()] == ["Default"]


def test_the_tree_stays_of_a_size_that_can_be_added_up(
    tenant: Tenant, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = str(tenant.team.id)
    for level in range(2, 9):
        parent = call("POST", "teams", {"name": f"Level {level}", "parent": parent}).json()["id"]
    assert faults(call("POST", "teams", {"name": "Too deep", "parent": parent})) == {"/parent": "invalid"}
    monkeypatch.setattr("tenants.services.TEAMS_LIMIT", 8)
    assert faults(call("POST", "teams", {"name": "Too many"})) == {"": "invalid"}


def test_members_are_listed(tenant: Tenant, call: Call) -> None:
    make_member(tenant, Role.MANAGER, teams=[tenant.team])
    first, second = call("GET", "members").json()["data"]
    assert (first["email"], first["role"], first["teams"]) == ("owner@acme.example", "owner", [])
    assert (second["email"], second["role"], second["teams"]) == (
        "manager@acme.example",
        "manager",
        [str(tenant.team.id)],
    )
    assert call("GET", "members?limit=1").json()["next"] is not None


def test_nobody_becomes_owner_over_the_api(tenant: Tenant, call: Call) -> None:
    with organization_scope(tenant.id):
        row = Membership.objects.get()
    for method, path in (
        ("POST", "members"),
        ("PATCH", "members"),
        ("PATCH", f"members/{row.id}"),
        ("DELETE", "members"),
    ):
        assert call(method, path, {"role": "owner"}).status_code == (404 if "/" in path else 405)
    with organization_scope(tenant.id):
        assert list(Membership.objects.values_list("user__email", "role")) == [("owner@acme.example", "owner")]


def test_the_audit_trail_is_read_newest_first_and_never_written(tenant: Tenant, call: Call) -> None:
    call("POST", f"keys/{tenant.key.id}/revoke")
    entries = call("GET", "audit").json()["data"]
    assert entries[0]["action"] == "virtualkey.revoked"
    assert entries[0]["actor_type"] == "token"
    assert entries[0]["facts"] == {"name": "first key", "hint": tenant.key.hint}
    assert [int(entry["id"]) for entry in entries] == sorted((int(entry["id"]) for entry in entries), reverse=True)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert_problem(call(method, "audit", {}), 405, "method-not-allowed")


WRITES = [
    ("POST", "keys", "keys:write"), ("POST", "keys/{key}/revoke", "keys:write"),
    ("POST", "keys/{key}/rotate", "keys:write"),
    ("POST", "teams", "org:write"), ("PATCH", "teams/{team}", "org:write"),
    ("GET", "keys/{key}", "keys:read"), ("GET", "teams/{team}", "org:read"),
    *(("GET", path, scope) for path, scope in READS.items()),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "scope"), WRITES)
def test_each_endpoint_takes_its_scope_and_nothing_else_opens_it(
    tenant: Tenant, stranger: Tenant, call: Call, client: Client, method: str, path: str, scope: str
) -> None:
    path = path.format(key=tenant.key.id, team=tenant.team.id)
    body = None if method == "GET" else {"name": "x"}
    before = keys_of(tenant)
    all_but_one = make_token(tenant, *(SCOPES - {scope}))
    assert_problem(call(method, path, body, headers=all_but_one), 403, "insufficient-scope")
    assert_problem(call(method, path, body, headers=tenant.bearer), 403, "insufficient-scope")
    assert_problem(call(method, path, body, headers={}), 401, "unauthenticated")
    client.force_login(tenant.owner)
    assert_problem(call(method, path, body, headers={}), 401, "unauthenticated")
    assert keys_of(tenant) == before
    just_right = make_token(tenant, scope)
    assert call(method, path, body, headers=just_right).status_code not in {401, 403}


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer  ", "Basic eDp4", "Bearer x' OR '1'='1", "Bearer '; SELECT pg_sleep(10)--", "Bearer cht_",
        "Bearer cht_" + "0" * 50, "Bearer chi_" + "0" * 50, "Bearer \x00", "Token x",
    ],
)  # fmt: skip
def test_what_is_no_credential_gets_the_one_401(call: Call, header: str) -> None:
    answer = call("GET", "keys", headers={"Authorization": header})
    problem = assert_problem(answer, 401, "unauthenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert problem["detail"] == "A valid bearer token is needed"


def test_a_token_in_the_address_is_none(call: Call, tenant: Tenant) -> None:
    text = make_token(tenant, "keys:read")["Authorization"].partition(" ")[2]
    assert_problem(call("GET", f"keys?api_key={text}&access_token={text}", headers={}), 401, "unauthenticated")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_only_json_is_read(tenant: Tenant, client: Client, content_type: str) -> None:
    token = make_token(tenant, "keys:write")
    answer = client.generic("POST", "/api/v1/keys", b"name=x", content_type, headers=token)
    assert_problem(answer, 415, "unsupported-media-type")
    assert len(keys_of(tenant)) == 1
