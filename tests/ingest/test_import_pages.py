"""Pages of imports for owner, finance, viewer and stranger."""

from datetime import datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from ingest.imports.services import import_advance
from ingest.models import UsageImport
from tenants.access import organization_scope
from tenants.models import User
from tenants.roles import Role
from tests.factories import Tenant, make_member
from tests.ingest.files import usage_csv

PAGE = "/o/acme/imports"


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def upload(client: Client, content: bytes, **extra: Any) -> Any:
    return client.post(PAGE, {"file": SimpleUploadedFile("q3.csv", content)}, **extra)


def imports(tenant: Tenant) -> list[UsageImport]:
    with organization_scope(tenant.id):
        return list(UsageImport.objects.order_by("id"))


def mapping(tenant: Tenant, **changes: str) -> dict[str, str]:
    (found,) = imports(tenant)
    columns = {f"column-{number}": field for number, field in enumerate(found.fields)}
    return {"action": "check", "virtual_key": str(tenant.key.id)} | columns | changes


def work(tenant: Tenant, now: datetime) -> None:
    while import_advance(tenant.id, now):
        pass


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.FINANCE])
def test_from_upload_to_done(tenant: Tenant, role: Role, now: datetime) -> None:
    client = signed_in(tenant.owner if role is Role.OWNER else make_member(tenant, role))
    assert "Nothing imported yet" in client.get(PAGE).content.decode()
    address = upload(client, usage_csv(now)).headers["Location"]
    page = client.get(address).content.decode()
    assert "What the columns mean" in page
    assert '<option value="input_tokens" selected>' in page
    assert client.post(address, mapping(tenant)).status_code == 302
    assert "every 1s" in client.get(address).content.decode()
    part = client.get(address, headers={"HX-Request": "true"})
    assert "0 of 3" in part.content.decode()
    assert "HX-Refresh" not in part.headers
    work(tenant, now)
    assert client.get(address, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert "Import 3 rows" in client.get(address).content.decode()
    client.post(address, {"action": "start"})
    work(tenant, now)
    page = client.get(address).content.decode()
    assert "What happened" in page
    assert "Cancel import" not in page
    assert "Imported" in client.get(PAGE).content.decode()


@pytest.mark.parametrize("role", [Role.MANAGER, Role.VIEWER])
def test_others_look_on(tenant: Tenant, role: Role, now: datetime) -> None:
    owner, client = signed_in(tenant.owner), signed_in(make_member(tenant, role))
    assert upload(client, usage_csv(now)).status_code == 403
    assert imports(tenant) == []
    address = upload(owner, usage_csv(now)).headers["Location"]
    assert client.get(address).status_code == 200
    assert "<form" not in client.get(PAGE).content.decode().partition("<main")[2]
    for action in ("check", "start", "cancel"):
        assert client.post(address, mapping(tenant) | {"action": action}).status_code == 403
    assert [each.state for each in imports(tenant)] == ["draft"]


def test_a_stranger_finds_nothing(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    address = upload(signed_in(tenant.owner), usage_csv(now)).headers["Location"]
    foreign = address.replace("acme", "globex")
    client = signed_in(stranger.owner)
    assert {client.get(each).status_code for each in (PAGE, address, foreign)} == {404}
    assert client.post(address, {"action": "cancel"}).status_code == 404
    assert client.post(foreign, {"action": "cancel"}).status_code == 404
    assert upload(client, usage_csv(now)).status_code == 404
    assert [each.state for each in imports(tenant)] == ["draft"]


def test_a_key_of_another_organization_is_no_choice(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    client = signed_in(tenant.owner)
    address = upload(client, usage_csv(now)).headers["Location"]
    answer = client.post(address, mapping(tenant, virtual_key=str(stranger.key.id)))
    assert answer.status_code == 422
    assert [each.state for each in imports(tenant)] == ["draft"]


@pytest.mark.parametrize(
    "changes", [{"column-0": ""}, {"column-0": "nonsense"}, {"virtual_key": ""}, {"column-5": "model"}]
)
def test_a_bad_mapping_changes_nothing(tenant: Tenant, now: datetime, changes: dict[str, str]) -> None:
    client = signed_in(tenant.owner)
    address = upload(client, usage_csv(now)).headers["Location"]
    assert client.post(address, mapping(tenant, **changes)).status_code == 422
    assert [each.state for each in imports(tenant)] == ["draft"]


def test_an_action_out_of_turn_or_unknown(tenant: Tenant, now: datetime) -> None:
    client = signed_in(tenant.owner)
    address = upload(client, usage_csv(now)).headers["Location"]
    assert client.post(address, {"action": "explode"}).status_code == 404
    assert "moved on" in client.post(address, {"action": "start"}, follow=True).content.decode()
    client.post(address, {"action": "cancel"})
    assert "moved on" in client.post(address, {"action": "cancel"}, follow=True).content.decode()
    assert [each.state for each in imports(tenant)] == ["cancelled"]


def test_bad_files_are_explained(tenant: Tenant, settings: Any, now: datetime) -> None:
    client = signed_in(tenant.owner)
    answer = upload(client, b"PK\x03\x04")
    assert answer.status_code == 422
    assert "save it as CSV" in answer.content.decode()
    assert client.post(PAGE, {}).status_code == 422
    settings.IMPORT_FILE_LIMIT = 10
    answer = upload(client, usage_csv(now))
    assert answer.status_code == 413
    assert "larger than" in answer.content.decode()
    settings.IMPORT_FILE_LIMIT = -100_000
    answer = upload(client, usage_csv(now))
    assert answer.status_code == 413
    assert "larger than" in answer.content.decode()
    assert imports(tenant) == []


def test_the_form_needs_its_token(tenant: Tenant, now: datetime) -> None:
    assert upload(signed_in(tenant.owner, enforce_csrf_checks=True), usage_csv(now)).status_code == 403
    assert imports(tenant) == []


def test_names_are_escaped(tenant: Tenant, now: datetime) -> None:
    client = signed_in(tenant.owner)
    content = usage_csv(now).replace(b"customer", b"<script>alert(1)</script>")
    client.post(PAGE, {"file": SimpleUploadedFile("<img onerror>.csv", content)})
    (found,) = imports(tenant)
    page = client.get(f"{PAGE}/{found.id}").content.decode()
    assert "<script>alert" not in page
    assert "<img onerror" not in page
