"""Pages to ask and to decide, and the link in an approver's mail: for members, strangers and nobody signed in."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from time_machine import travel

from alerts.models import Delivery
from budgets.approvals.link import Invited, decision_path
from budgets.limits import limits_now
from budgets.models import ApprovalPolicy, Budget, IncreaseRequest
from tenants.access import organization_scope
from tenants.models import Membership, User
from tenants.roles import Role
from tests.budgets.support import USD, make_budget
from tests.budgets.test_approvals import ask, decide, let_managers
from tests.budgets.test_pages import as_role, signed_in, text
from tests.factories import Tenant, make_key, make_member, make_team, utc_now

FORM = {"amount": "20", "lasts": "good", "reason": "The launch"}


@pytest.fixture
def viewer(tenant: Tenant) -> User:
    return make_member(tenant, Role.VIEWER)


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    return signed_in(tenant.owner)


def only(tenant: Tenant) -> IncreaseRequest:
    with organization_scope(tenant.id):
        return IncreaseRequest.objects.get()


def limit(tenant: Tenant, budget: Budget) -> int:
    with organization_scope(tenant.id):
        return limits_now([Budget.objects.get(id=budget.id)], utc_now())[budget.id]


def link_of(tenant: Tenant, user: User) -> str:
    with organization_scope(tenant.id):
        return Delivery.objects.get(recipient=user.email, alert__kind="increase_requested").link


def answer(decision: str, **fields: Any) -> dict[str, Any]:
    return {"decision": decision, "note": "", "version": 1} | fields


# Asking


def test_a_viewer_asks(tenant: Tenant, viewer: User) -> None:
    budget = make_budget(tenant, timezone="Europe/Berlin")
    client = signed_in(viewer)
    address = f"/o/acme/budgets/{budget.id}/increase"
    assert address in text(client.get(f"/o/acme/budgets/{budget.id}"))
    assert "$100.00 now" in text(client.get(address))
    sent = client.post(address, FORM | {"lasts": "day", "until": "2026-12-10"}, follow=False)
    with organization_scope(tenant.id):
        request = IncreaseRequest.objects.get()
    assert sent["Location"] == f"/o/acme/budgets/requests/{request.id}"
    assert request.until is not None
    assert request.until.isoformat() == "2026-12-10T23:00:00+00:00"
    page = text(client.get(sent["Location"]))
    assert "Asked to decide" in page
    assert tenant.owner.email in page
    assert 'value="approve"' not in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "0"},
        {"amount": "1e3"},
        {"amount": ""},
        {"lasts": "ever"},
        {"lasts": "day"},
        {"lasts": "day", "until": "2020-01-01"},
        {"lasts": "day", "until": "0001-01-01"},
        {"lasts": "day", "until": "9999-12-31"},
        {"reason": ""},
        {"reason": "a\x00b"},
    ],
)
def test_a_wrong_form_asks_nothing(tenant: Tenant, viewer: User, wrong: dict[str, str]) -> None:
    budget = make_budget(tenant)
    refused = signed_in(viewer).post(f"/o/acme/budgets/{budget.id}/increase", FORM | wrong)
    assert refused.status_code == 422
    with organization_scope(tenant.id):
        assert not IncreaseRequest.objects.exists()


def test_asking_twice_says_so(tenant: Tenant, viewer: User) -> None:
    budget = make_budget(tenant)
    client = signed_in(viewer)
    client.post(f"/o/acme/budgets/{budget.id}/increase", FORM)
    again = client.post(f"/o/acme/budgets/{budget.id}/increase", FORM)
    assert again.status_code == 422
    assert "waits for a decision already" in text(again)
    assert only(tenant).state == "pending"


# Deciding


def test_the_list_says_what_is_for_whom(tenant: Tenant, viewer: User, owner: Client) -> None:
    request = ask(tenant, make_budget(tenant, "Search"), viewer)
    for client, pill in (
        (owner, "You decide"),
        (signed_in(viewer), "Yours"),
        (as_role(tenant, Role.MANAGER), "others"),
    ):
        page = text(client.get("/o/acme/budgets/requests"))
        assert f"/o/acme/budgets/requests/{request.id}" in page
        assert pill in page
    assert ">Requests <span" in text(owner.get("/o/acme/budgets"))
    decide(tenant, request, tenant.owner)
    page = text(owner.get("/o/acme/budgets/requests"))
    assert "Nothing waits" in page
    assert "Approved" in page


@pytest.mark.parametrize(("decision", "raised"), [("approve", 120), ("deny", 100)])
def test_an_owner_decides(tenant: Tenant, viewer: User, owner: Client, decision: str, raised: int) -> None:
    budget = make_budget(tenant)
    request = ask(tenant, budget, viewer)
    address = f"/o/acme/budgets/requests/{request.id}"
    page = text(owner.get(address))
    assert "$100.00 now, $120.00 if approved" in page
    assert only(tenant).state == "pending"
    assert owner.post(address, answer(decision, note="So be it")).status_code == 302
    assert limit(tenant, budget) == raised * USD
    page = text(owner.get(address))
    assert "So be it" in page
    assert 'value="approve"' not in page


@pytest.mark.parametrize("who", ["manager of another team", "viewer", "asker"])
def test_others_do_not(tenant: Tenant, who: str) -> None:
    asker = make_member(tenant, Role.FINANCE)
    people = {
        "manager of another team": make_member(tenant, Role.MANAGER, teams=[make_team(tenant, "Other")]),
        "viewer": make_member(tenant, Role.VIEWER),
        "asker": asker,
    }
    let_managers(tenant, manager_percent=100)
    budget = make_budget(tenant, team=tenant.team)
    address = f"/o/acme/budgets/requests/{ask(tenant, budget, asker).id}"
    client = signed_in(people[who])
    assert 'value="approve"' not in text(client.get(address))
    assert client.post(address, answer("approve")).status_code == 403
    assert (only(tenant).state, limit(tenant, budget)) == ("pending", 100 * USD)


def test_the_second_decision_is_told_of_the_first(tenant: Tenant, viewer: User, owner: Client) -> None:
    request = ask(tenant, make_budget(tenant), viewer)
    decide(tenant, request, tenant.owner, approve=False)
    late = owner.post(f"/o/acme/budgets/requests/{request.id}", answer("approve"))
    assert late.status_code == 412
    assert "was denied by owner@acme.example" in text(late)
    assert owner.post(f"/o/acme/budgets/requests/{request.id}", {"decision": "maybe"}).status_code == 422
    assert only(tenant).state == "denied"


def test_a_limit_that_does_not_fit_is_not_approved(tenant: Tenant, viewer: User, owner: Client) -> None:
    make_budget(tenant, "whole", limit=110 * USD)
    budget = make_budget(tenant, "part", team=tenant.team)
    request = ask(tenant, budget, viewer, until=None)
    refused = owner.post(f"/o/acme/budgets/requests/{request.id}", answer("approve"))
    assert refused.status_code == 422
    assert "whole" in text(refused)
    assert (only(tenant).state, limit(tenant, budget)) == ("pending", 100 * USD)


def test_taking_it_back(tenant: Tenant, viewer: User, owner: Client) -> None:
    request = ask(tenant, make_budget(tenant), viewer)
    address = f"/o/acme/budgets/requests/{request.id}/withdraw"
    assert owner.post(address).status_code == 403
    assert signed_in(viewer).get(address).status_code == 405
    assert only(tenant).state == "pending"
    assert signed_in(viewer).post(address).status_code == 302
    assert only(tenant).state == "withdrawn"


def test_a_stranger_finds_nothing(tenant: Tenant, stranger: Tenant, viewer: User) -> None:
    budget = make_budget(tenant)
    request = ask(tenant, budget, viewer)
    client = signed_in(stranger.owner)
    for path in (
        f"budgets/{budget.id}/increase", f"budgets/{budget.id}/transfer", f"budgets/{budget.id}/pause",
        "budgets/requests", f"budgets/requests/{request.id}",
        f"budgets/requests/{request.id}/withdraw", "budgets/approvals",
    ):  # fmt: skip
        assert client.post(f"/o/acme/{path}", answer("approve")).status_code in {404, 405}, path
        own = client.post(f"/o/globex/{path}", answer("approve"))
        assert own.status_code in {404, 405, 422}, path
    assert (only(tenant).state, limit(tenant, budget)) == ("pending", 100 * USD)


# The link


def test_the_link_decides_without_signing_in(tenant: Tenant, viewer: User) -> None:
    budget = make_budget(tenant, "Search")
    ask(tenant, budget, viewer)
    link, nobody = link_of(tenant, tenant.owner), Client()
    page = nobody.get(link)
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    assert "$20.00 more on Search" in text(page)
    assert "owner@acme.example" in text(page)
    nobody.head(link)
    assert only(tenant).state == "pending"
    decided = nobody.post(link, answer("approve"))
    assert decided.status_code == 200
    assert only(tenant).decided_by == tenant.owner.email
    assert limit(tenant, budget) == 120 * USD
    again = nobody.post(link, answer("deny"))
    assert again.status_code == 412
    assert 'value="approve"' not in text(nobody.get(link))
    assert (only(tenant).state, limit(tenant, budget)) == ("approved", 120 * USD)


def test_the_link_is_no_sign_in(tenant: Tenant, viewer: User) -> None:
    ask(tenant, make_budget(tenant), viewer)
    client = Client()
    client.get(link_of(tenant, tenant.owner))
    assert client.get("/o/acme/budgets").status_code == 302


def test_the_link_needs_a_form_of_ours(tenant: Tenant, viewer: User) -> None:
    ask(tenant, make_budget(tenant), viewer)
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(link_of(tenant, tenant.owner), answer("approve")).status_code == 403
    assert only(tenant).state == "pending"


def test_the_link_is_worth_what_its_holder_is(tenant: Tenant, viewer: User) -> None:
    finance = make_member(tenant, Role.FINANCE)
    budget = make_budget(tenant)
    ask(tenant, budget, viewer)
    link = link_of(tenant, finance)
    with organization_scope(tenant.id):
        Membership.objects.filter(user=finance).update(role=Role.VIEWER)
    page = Client().get(link)
    assert page.status_code == 200
    assert 'value="approve"' not in text(page)
    assert Client().post(link, answer("approve")).status_code == 403
    with organization_scope(tenant.id):
        Membership.objects.filter(user=finance).delete()
    assert Client().get(link).status_code == Client().post(link, answer("approve")).status_code == 404
    assert (only(tenant).state, limit(tenant, budget)) == ("pending", 100 * USD)


def test_a_link_that_was_not_given(tenant: Tenant, stranger: Tenant, viewer: User) -> None:
    request = ask(tenant, make_budget(tenant), viewer)
    link = link_of(tenant, tenant.owner)
    token = link.split("token=")[1]
    with organization_scope(stranger.id):
        foreign = Membership.objects.get()
    wrong = [
        "/approvals/decide", "/approvals/decide?token=", "/approvals/decide?token=1.2.3", link[:-1],
        link.replace(token, "9" + token[1:]),
        decision_path(Invited(tenant.id, request.id, foreign.id)),
        decision_path(Invited(stranger.id, request.id, foreign.id)),
    ]  # fmt: skip
    for each in wrong:
        assert Client().get(each).status_code == 404, each
        assert Client().post(each, answer("approve")).status_code == 404, each
    with travel(utc_now() + timedelta(days=7, seconds=2)):
        assert Client().post(link, answer("approve")).status_code == 404
    assert only(tenant).state == "pending"


# Policy, transfers, pauses


def test_the_policy(tenant: Tenant, owner: Client) -> None:
    assert owner.post("/o/acme/budgets/approvals", {"kind": "percent", "manager_percent": "20"}).status_code == 302
    assert "20% of the limit" in text(owner.get("/o/acme/budgets/requests"))
    for wrong in ({"kind": "percent"}, {"kind": "percent", "manager_percent": "0"}, {"kind": "amount"}, {}):
        assert owner.post("/o/acme/budgets/approvals", wrong).status_code == 422, wrong
    with organization_scope(tenant.id):
        assert ApprovalPolicy.objects.get().manager_percent == 20
    assert as_role(tenant, Role.MANAGER).get("/o/acme/budgets/approvals").status_code == 403
    given = {"kind": "nothing", "manager_percent": "20", "manager_amount": "5"}
    assert owner.post("/o/acme/budgets/approvals", given).status_code == 302
    with organization_scope(tenant.id):
        policy = ApprovalPolicy.objects.get()
    assert (policy.manager_percent, policy.manager_amount) == (None, None)


def test_a_transfer(tenant: Tenant, owner: Client, viewer: User) -> None:
    key, _ = make_key(tenant, "second")
    source, target = make_budget(tenant, "a", key=tenant.key), make_budget(tenant, "b", key=key)
    address = f"/o/acme/budgets/{source.id}/transfer"
    given = {"to": str(target.id), "amount": "30", "reason": "launch"}
    assert "$100.00 of it is left" in text(owner.get(address))
    assert signed_in(viewer).post(address, given).status_code == 403
    for wrong in ({"amount": "100"}, {"to": str(source.id)}, {"to": "x"}, {"reason": ""}):
        assert owner.post(address, given | wrong).status_code == 422, wrong
    assert limit(tenant, source) == 100 * USD
    assert owner.post(address, given).status_code == 302
    assert (limit(tenant, source), limit(tenant, target)) == (70 * USD, 130 * USD)
    assert re.search(
        r"Transfer.*\+\$30\.00.*From a: launch", text(owner.get(f"/o/acme/budgets/{target.id}")), re.DOTALL
    )


def test_a_pause(tenant: Tenant, owner: Client, viewer: User) -> None:
    budget = make_budget(tenant)
    address, day = f"/o/acme/budgets/{budget.id}/pause", (utc_now() + timedelta(days=3)).date().isoformat()
    assert signed_in(viewer).post(address, {"until": day}).status_code == 403
    for wrong in ("2020-01-01", (utc_now() + timedelta(days=95)).date().isoformat(), "", "soon"):
        assert owner.post(address, {"until": wrong}).status_code == 422, wrong
    assert ">Paused<" not in text(owner.get(f"/o/acme/budgets/{budget.id}"))
    assert owner.post(address, {"until": day}).status_code == 302
    for page in (f"/o/acme/budgets/{budget.id}", "/o/acme/budgets"):
        assert ">Paused<" in text(owner.get(page))
    assert owner.post(address, {"end": "1"}).status_code == 302
    assert ">Paused<" not in text(owner.get(f"/o/acme/budgets/{budget.id}"))
