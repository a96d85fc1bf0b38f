"""Pages of reconciliation for owner, finance, viewer and stranger. On a refusal nothing has changed."""

import re
from datetime import datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from reconciliation.models import AcceptedDifference, BilledDay
from tenants.access import organization_scope
from tenants.roles import Role
from tests.factories import Tenant, make_member
from tests.reconciliation.exports import OPENAI_COSTS, as_file, bucket, cost, page
from tests.reconciliation.support import COST, MODEL, bill, signed_in, use, yesterday
from usage.models import Adjustment

PAGE, UPLOAD = "/o/acme/reconciliation", "/o/acme/reconciliation/upload"


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", str(answer.content.decode()))


def send(client: Client, content: bytes) -> Any:
    return client.post(UPLOAD, {"file": SimpleUploadedFile("costs.json", content)})


def accepted(tenant: Tenant) -> list[AcceptedDifference]:
    with organization_scope(tenant.id):
        return list(AcceptedDifference.objects.order_by("id"))


def booked(tenant: Tenant) -> list[int]:
    with organization_scope(tenant.id):
        found = Adjustment.objects.filter(organization_id=tenant.id).order_by("id")
        return [int(cost) for cost in found.values_list("cost", flat=True)]


def versions(tenant: Tenant) -> int:
    with organization_scope(tenant.id):
        return BilledDay.objects.count()


def acceptance(tenant: Tenant, now: datetime, amount: int) -> dict[str, str]:
    return {"action": "accept", "team": str(tenant.team.id), "note": "", "day": f"{yesterday(now)}:{amount}"}


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.FINANCE])
def test_from_bill_to_booking_and_back(tenant: Tenant, prices: None, role: Role, now: datetime) -> None:
    client = signed_in(tenant.owner if role is Role.OWNER else make_member(tenant, role))
    assert "Put a bill beside your figures" in text(client.get(PAGE))
    day = yesterday(now)
    use(tenant, day, 2, now)
    answer = send(client, as_file(page(bucket(day, cost("1"), cost("2.5", "Image models")))))
    assert answer.status_code == 302
    listed = text(client.get(answer.headers["Location"]))
    assert "1 new" in listed
    assert "Image models" in listed
    assert "unrouted +$2.50" in listed
    address = f"{PAGE}?month={day:%Y-%m}&provider=openai&model={MODEL}"
    difference = 10**9 - 2 * COST
    assert f'value="{day}:{difference}"' in text(client.get(address))
    assert client.post(address, acceptance(tenant, now, difference)).status_code == 302
    assert booked(tenant) == [difference]
    listed = text(client.get(address))
    assert "Matched" in listed
    (entry,) = accepted(tenant)
    client.post(address, {"action": "undo", "accepted": str(entry.id)})
    client.post(address, {"action": "undo", "accepted": str(entry.id)})
    assert booked(tenant) == [difference, -difference]
    assert "Undone" in text(client.get(address))


@pytest.mark.parametrize("role", [Role.MANAGER, Role.VIEWER])
def test_others_look_on(tenant: Tenant, prices: None, role: Role, now: datetime) -> None:
    client = signed_in(make_member(tenant, role))
    bill(tenant, yesterday(now), "1", now)
    address = f"{PAGE}?model={MODEL}"
    listed = text(client.get(address))
    assert "unrouted +$1.00" in listed
    assert 'method="post"' not in listed.partition("<main")[2]
    assert client.post(address, acceptance(tenant, now, 10**9)).status_code == 403
    assert client.get(UPLOAD).status_code == 403
    assert send(client, as_file(OPENAI_COSTS)).status_code == 403
    assert (versions(tenant), accepted(tenant)) == (1, [])


def test_a_stranger_finds_nothing(tenant: Tenant, stranger: Tenant, prices: None, now: datetime) -> None:
    bill(tenant, yesterday(now), "1", now)
    owner, client = signed_in(tenant.owner), signed_in(stranger.owner)
    owner.post(f"{PAGE}?provider=openai&model={MODEL}", acceptance(tenant, now, 10**9))
    (entry,) = accepted(tenant)
    for path in (PAGE, UPLOAD):
        assert client.get(path).status_code == 404
        assert client.post(path, {"action": "undo", "accepted": str(entry.id)}).status_code == 404
    foreign = client.post("/o/globex/reconciliation", {"action": "undo", "accepted": str(entry.id)})
    assert foreign.status_code == 404
    assert booked(tenant) == [10**9]
    assert "Put a bill" in text(client.get("/o/globex/reconciliation"))


@pytest.mark.parametrize(
    "changes",
    [
        {"day": "2026-10-05:1"},
        {"day": "nonsense"},
        {"day": "2026-02-30:5"},
        {"team": "1"},
        {"team": ""},
        {"note": "x" * 201},
        {"day": f"9999-12-31:{10**9}"},
        {"day": f"0001-01-01:{10**9}"},
    ],
)
def test_an_acceptance_that_makes_no_sense(
    tenant: Tenant, prices: None, now: datetime, changes: dict[str, str]
) -> None:
    bill(tenant, yesterday(now), "1", now)
    form = acceptance(tenant, now, 10**9) | changes
    answer = signed_in(tenant.owner).post(f"{PAGE}?provider=openai&model={MODEL}", form)
    assert answer.status_code == 422
    assert (accepted(tenant), booked(tenant)) == ([], [])


def test_other_actions_and_addresses(tenant: Tenant, prices: None, now: datetime) -> None:
    client = signed_in(tenant.owner)
    bill(tenant, yesterday(now), "1", now)
    assert client.post(PAGE, {"action": "explode"}).status_code == 404
    assert client.post(PAGE, {"action": "undo", "accepted": "x"}).status_code == 404
    for query in ("month=2026-13", "month=0001-01", "provider=nobody", "model=nobody", "model=%00", "month=2099-12"):
        assert client.get(f"{PAGE}?{query}").status_code == 200


def test_bad_files_are_explained(tenant: Tenant, now: datetime) -> None:
    client = signed_in(tenant.owner)
    for content, words in (
        (b"{}", "must be an array"),
        (b"{", "cannot be read"),
        (b"PK\x03\x04", "must name the columns"),
        (b"x" * 1_100_000, "larger than"),
        (b"x" * 1_048_577, "larger than"),
    ):
        answer = send(client, content)
        assert answer.status_code in {413, 422}
        assert words in text(answer)
    assert client.post(UPLOAD, {}).status_code == 422
    assert versions(tenant) == 0


def test_the_form_needs_its_token(tenant: Tenant) -> None:
    assert send(signed_in(tenant.owner, enforce_csrf_checks=True), as_file(OPENAI_COSTS)).status_code == 403
    assert versions(tenant) == 0


def test_names_are_escaped(tenant: Tenant, now: datetime) -> None:
    bill(tenant, yesterday(now), "1", now, line_item="<script>alert(1)</script>")
    assert "<script>alert" not in text(signed_in(tenant.owner).get(PAGE))
