"""The pages that explain, for owner, viewer and stranger."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from budgets.models import BudgetAction, Enforcement
from budgets.reservations.models import RateLimit, Reason
from tenants.access import organization_scope
from tenants.roles import Role
from tests.budgets.support import make_budget, use
from tests.budgets.test_explain import NOW, change, refuse
from tests.budgets.test_pages import as_role, signed_in, text
from tests.factories import Tenant, utc_now
from tests.ingest.payloads import event

COST = 227_500
PAGE, LIST = "/o/acme/budgets/explain", "/o/acme/budgets/refusals"


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    return signed_in(tenant.owner)


def main_of(response: Any) -> str:
    """The page without its head, whose token is another every time."""
    return text(response).partition("<main")[2]


def test_a_key_now(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, "<b>Tight</b>", limit=COST)
    change(tenant, budget, enforcement=Enforcement.HARD)
    with organization_scope(tenant.id):
        BudgetAction.objects.create(organization=tenant.organization, budget=budget, at_percent=90, action="degrade")
        RateLimit.objects.create(
            organization=tenant.organization, team=tenant.team, tokens_per_minute=5000, changed_at=NOW
        )
    use(tenant, event())
    viewer = as_role(tenant, Role.VIEWER)
    page = text(viewer.get(PAGE, {"virtual_key": str(tenant.key.id), "provider": "openai", "model": "gpt-4.1-nano"}))
    assert "A call would be refused" in page
    assert "&lt;b&gt;Tight&lt;/b&gt; has nothing left of $0.0002275" in page
    assert "suggests cheaper models from 90%" in page
    assert "5,000 tokens" in page
    assert "owner@acme.example" in page
    assert "<b>Tight" not in page


def test_a_moment_is_on_the_clock_of_the_organization(tenant: Tenant, owner: Client) -> None:
    with organization_scope(tenant.id):
        tenant.organization.timezone = "Asia/Tokyo"
        tenant.organization.save()
    page = text(owner.get(PAGE, {"virtual_key": str(tenant.key.id), "at": "2026-11-01T08:00"}))
    assert "1 Nov 2026, 08:00 JST" in page
    assert "What is not known" in page
    assert "No budget applies to this key, or none did then" in page


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"virtual_key": ""}, "This field is required"),
        ({"virtual_key": "77"}, "Select a valid choice"),
        ({"at": "soon"}, "Enter a valid date/time"),
        ({"at": "{tomorrow}"}, "A moment up to now"),
        ({"input_tokens": "-1"}, "greater than or equal to 0"),
        ({"tag": "Env prod"}, "Write a tag as name=value"),
    ],
)
def test_what_cannot_be_asked(tenant: Tenant, owner: Client, asked: dict[str, str], error: str) -> None:
    tomorrow = f"{utc_now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    given = {"virtual_key": str(tenant.key.id)} | {
        name: value.format(tomorrow=tomorrow) for name, value in asked.items()
    }
    response = owner.get(PAGE, given)
    assert response.status_code == 422
    assert error in text(response)


def test_a_request_by_its_id(tenant: Tenant, stranger: Tenant, owner: Client) -> None:
    budget = make_budget(tenant, "Tight")
    numbers = {"limit": "10000000000", "spent": "9000000000", "reserved": "0", "requested": "2000000000"}
    refuse(tenant, "01ABC", budget=budget, details=numbers)
    page = text(owner.get(PAGE, {"request_id": " 01ABC "}))
    assert "Tight has $1.00 left of $10.00 ($9.00 used), and the call needs $2.00." in page
    assert f"virtual_key={tenant.key.id}&amp;model=gpt-4o&amp;customer=acme" in page
    assert f"/o/acme/budgets/{budget.id}/increase" in page
    missing = owner.get(PAGE, {"request_id": "nothing"})
    assert missing.status_code == 404
    assert "No refusal of this id" in text(missing)
    refuse(stranger, "theirs", virtual_key_id=stranger.key.id)
    theirs = owner.get(PAGE, {"request_id": "theirs"})
    assert theirs.status_code == 404
    assert main_of(theirs).replace("theirs", "nothing") == main_of(missing)


def test_the_list_of_refusals(tenant: Tenant, owner: Client) -> None:
    assert "Nothing was refused" in text(owner.get(LIST))
    for number in range(51):
        refuse(tenant, f"r{number:02}", at=NOW - timedelta(minutes=number))
    refuse(tenant, "shadow", Reason.RATE, shadow=True, at=NOW - timedelta(days=1), virtual_key_id=5)
    first = text(owner.get(LIST))
    assert "r49" in first
    assert "r50" not in first
    assert "cursor=" in first
    assert "Would have been" in text(owner.get(LIST, {"was": "shadow"}))
    assert "No refusal matches" in text(owner.get(LIST, {"reason": Reason.MODEL}))
    assert "r00" in text(owner.get(LIST, {"reason": "mood", "key": "x", "cursor": "x"}))


def test_strangers_learn_nothing(tenant: Tenant, stranger: Tenant) -> None:
    refuse(tenant, "01ABC")
    client = signed_in(stranger.owner)
    for path in (PAGE, LIST, f"{PAGE}?request_id=01ABC"):
        assert client.get(path).status_code == 404
    for path in (PAGE, LIST):
        assert signed_in(tenant.owner).post(path).status_code == 405
