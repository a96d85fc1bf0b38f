"""Asking for more and deciding: who may, once, what it does, who is told. On a refusal nothing has changed."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection

from alerts.models import Alert, Delivery
from budgets.approvals.policies import policy_set
from budgets.approvals.services import (
    LONGEST,
    MOST_A_DAY,
    Asker,
    increase_ask,
    increase_decide,
    increase_withdraw,
)
from budgets.limits import limits_now
from budgets.models import MAX_LIMIT, Budget, BudgetLimit, IncreaseRequest, LedgerEntry
from budgets.services import budget_archive
from common.problems import Problem
from tenants.access import organization_scope
from tenants.models import AccessToken, AuditEntry, Membership, Team, User
from tenants.roles import Role
from tests.alerts.conftest import make_email_channel
from tests.budgets.support import USD, make_budget, use
from tests.factories import Tenant, make_member, make_team, make_token, utc_now
from tests.ingest.payloads import event

COST = 227_500
WEEK = timedelta(days=7)


def ask(tenant: Tenant, budget: Budget, asker: Asker, *, now: datetime | None = None, **given: Any) -> IncreaseRequest:
    moment = now or utc_now()
    values: dict[str, Any] = {"amount": 20 * USD, "until": moment + WEEK, "reason": "The launch is on Friday"} | given
    with organization_scope(tenant.id):
        return increase_ask(organization=tenant.organization, budget=budget, asker=asker, now=moment, **values)


def decide(tenant: Tenant, request: IncreaseRequest, by: User | AccessToken, **given: Any) -> IncreaseRequest:
    values: dict[str, Any] = {"version": 1, "approve": True, "note": "", "now": utc_now()} | given
    with organization_scope(tenant.id):
        member = by if isinstance(by, AccessToken) else Membership.objects.select_related("user").get(user=by)
        return increase_decide(organization=tenant.organization, request_id=request.id, by=member, **values)


def let_managers(tenant: Tenant, **policy: int | None) -> None:
    with organization_scope(tenant.id):
        policy_set(
            organization=tenant.organization, actor=tenant.owner, now=utc_now(),
            **({"manager_amount": None, "manager_percent": None} | policy),
        )  # fmt: skip


def limit(tenant: Tenant, budget: Budget, now: datetime | None = None) -> int:
    with organization_scope(tenant.id):
        return limits_now([Budget.objects.get(id=budget.id)], now or utc_now())[budget.id]


def state(tenant: Tenant, request: IncreaseRequest) -> str:
    with organization_scope(tenant.id):
        return IncreaseRequest.objects.get(id=request.id).state


def mailed(tenant: Tenant, kind: str) -> dict[str, str]:
    """Address → link of everybody told in person by alerts of this kind."""
    with organization_scope(tenant.id):
        told = Delivery.objects.filter(alert__kind=kind, channel__isnull=True)
        return {delivery.recipient: delivery.link for delivery in told}


@pytest.fixture
def viewer(tenant: Tenant) -> User:
    return make_member(tenant, Role.VIEWER)


def test_a_request_tells_channels_and_whoever_may_decide(tenant: Tenant, viewer: User) -> None:
    finance = make_member(tenant, Role.FINANCE)
    make_member(tenant, Role.MANAGER, teams=[tenant.team])
    make_email_channel(tenant)
    budget = make_budget(tenant, "Search", team=tenant.team)
    request = ask(tenant, budget, viewer)
    links = mailed(tenant, "increase_requested")
    assert set(links) == {tenant.owner.email, finance.email}
    assert len(set(links.values())) == 2
    assert all(link.startswith("/approvals/decide?token=") for link in links.values())
    with organization_scope(tenant.id):
        alert = Alert.objects.get(kind="increase_requested")
        assert Delivery.objects.filter(alert=alert, channel__isnull=False).count() == 1
        assert AuditEntry.objects.get(action="increase.requested").actor == viewer.email
    assert alert.title == f"{viewer.email} asks for $20.00 more on Search"
    assert alert.facts["link"] == f"/o/acme/budgets/requests/{request.id}"
    assert (alert.facts["increase"], alert.facts["limit_then"]) == ("20.000000000", "120.000000000")
    assert limit(tenant, budget) == 100 * USD


def test_the_nearest_managers_are_asked_for_what_they_may_approve(tenant: Tenant, viewer: User) -> None:
    child = make_team(tenant, "Child", tenant.team)
    near = make_member(tenant, Role.MANAGER, email="near@acme.example", teams=[child])
    make_member(tenant, Role.MANAGER, email="far@acme.example", teams=[tenant.team])
    let_managers(tenant, manager_percent=20)
    ask(tenant, make_budget(tenant, team=child), viewer)
    assert set(mailed(tenant, "increase_requested")) == {near.email}


def test_approved_until_an_end(tenant: Tenant, viewer: User, now: datetime) -> None:
    budget = make_budget(tenant)
    request = ask(tenant, budget, viewer, now=now)
    decided = decide(tenant, request, tenant.owner, note="Good luck", now=now)
    assert (decided.state, decided.decided_by, decided.decided_as) == ("approved", tenant.owner.email, "owner")
    assert limit(tenant, budget, now) == limit(tenant, budget, now + WEEK - timedelta(seconds=1)) == 120 * USD
    assert limit(tenant, budget, now + WEEK) == 100 * USD
    assert list(mailed(tenant, "increase_decided")) == [viewer.email]
    with organization_scope(tenant.id):
        row = BudgetLimit.objects.get(kind="increase")
        assert AuditEntry.objects.get(action="increase.approved").facts["amount"] == "$20.00"
        asked = Alert.objects.get(kind="increase_requested")
        assert (asked.acknowledged_by, asked.state) == (tenant.owner.email, "recovered")
        assert Alert.objects.get(kind="increase_decided").facts["note"] == "Good luck"
    assert (row.made_by, row.reason) == (tenant.owner.email, "The launch is on Friday")


def test_approved_for_good(tenant: Tenant, viewer: User, now: datetime) -> None:
    budget = make_budget(tenant)
    decide(tenant, ask(tenant, budget, viewer, until=None), tenant.owner)
    assert limit(tenant, budget, now + timedelta(days=400)) == 120 * USD
    with organization_scope(tenant.id):
        assert AuditEntry.objects.filter(action="budget.updated").exists()
        assert not BudgetLimit.objects.filter(kind="increase").exists()


def test_denied(tenant: Tenant, viewer: User) -> None:
    budget = make_budget(tenant)
    request = ask(tenant, budget, viewer)
    assert decide(tenant, request, tenant.owner, approve=False).state == "denied"
    assert limit(tenant, budget) == 100 * USD
    assert list(mailed(tenant, "increase_decided")) == [viewer.email]


def test_a_raised_limit_lets_thresholds_speak_again(tenant: Tenant, viewer: User, prices: None) -> None:
    budget = make_budget(tenant, limit=COST, thresholds=(100,))
    request = ask(tenant, budget, viewer, amount=COST)
    use(tenant, event())
    decide(tenant, request, tenant.owner)
    with organization_scope(tenant.id):
        assert LedgerEntry.objects.get(budget=budget).fired == 0
    use(tenant, event())
    with organization_scope(tenant.id):
        assert Alert.objects.filter(kind="budget_threshold").count() == 2


def managers(tenant: Tenant) -> dict[str, User]:
    """By place: of the budget's own team, of the one above, of another."""
    child, other = make_team(tenant, "Child", tenant.team), make_team(tenant, "Other")
    places = {"own": [child], "above": [tenant.team], "other": [other]}
    return {
        name: make_member(tenant, Role.MANAGER, email=f"{name}@acme.example", teams=teams)
        for name, teams in places.items()
    }


@pytest.mark.parametrize(
    ("who", "amount", "allowed"),
    [
        ("own", 20, True),
        ("above", 20, True),
        ("own", 21, False),
        ("other", 1, False),
        ("viewer", 1, False),
        ("asker", 1, False),
    ],
)
def test_who_may_decide(tenant: Tenant, viewer: User, who: str, amount: int, allowed: bool) -> None:
    people = managers(tenant) | {"viewer": viewer}
    people["asker"] = make_member(tenant, Role.FINANCE)
    with organization_scope(tenant.id):
        child = Membership.objects.get(user=people["own"]).team_ids[0]
    let_managers(tenant, manager_percent=20)
    with organization_scope(tenant.id):
        team = Team.objects.get(id=child)
    budget = make_budget(tenant, team=team)
    request = ask(tenant, budget, people["asker"], amount=amount * USD)
    if allowed:
        assert decide(tenant, request, people[who]).decided_as == "manager"
        return
    with pytest.raises(PermissionDenied):
        decide(tenant, request, people[who])
    assert state(tenant, request) == "pending"
    assert limit(tenant, budget) == 100 * USD


def test_many_small_requests_are_one_large_one(tenant: Tenant, viewer: User) -> None:
    manager = make_member(tenant, Role.MANAGER, teams=[tenant.team])
    let_managers(tenant, manager_amount=30 * USD)
    budget = make_budget(tenant, team=tenant.team)
    decide(tenant, ask(tenant, budget, viewer), manager)
    second = ask(tenant, budget, viewer)
    with pytest.raises(PermissionDenied):
        decide(tenant, second, manager)
    assert limit(tenant, budget) == 120 * USD


def test_an_owner_may_decide_on_their_own(tenant: Tenant) -> None:
    budget = make_budget(tenant)
    decide(tenant, ask(tenant, budget, tenant.owner), tenant.owner)
    assert limit(tenant, budget) == 120 * USD
    assert mailed(tenant, "increase_decided") == {}


def test_a_token_does_not_decide_on_what_it_asked(tenant: Tenant) -> None:
    make_token(tenant, "budgets:write")
    with organization_scope(tenant.id):
        token = AccessToken.objects.get()
    request = ask(tenant, make_budget(tenant), token)
    with pytest.raises(PermissionDenied):
        decide(tenant, request, token)
    assert state(tenant, request) == "pending"


@pytest.mark.parametrize("version", [1, None])
def test_a_decision_is_final(tenant: Tenant, viewer: User, version: int | None) -> None:
    budget = make_budget(tenant)
    request = ask(tenant, budget, viewer)
    decide(tenant, request, tenant.owner, approve=False)
    with pytest.raises(Problem) as refused:
        decide(tenant, request, tenant.owner, version=version)
    assert refused.value.slug == ("stale-write" if version else "conflict")
    assert (state(tenant, request), limit(tenant, budget)) == ("denied", 100 * USD)


def test_what_waits_no_more_is_not_decided(tenant: Tenant, viewer: User, now: datetime) -> None:
    budget = make_budget(tenant)
    late = ask(tenant, budget, viewer, until=None)
    with pytest.raises(Problem, match="conflict"):
        decide(tenant, late, tenant.owner, now=now + timedelta(days=8))
    short = ask(tenant, budget, tenant.owner, until=now + timedelta(hours=1))
    with pytest.raises(Problem, match="conflict"):
        decide(tenant, short, tenant.owner, now=now + timedelta(hours=1))
    with organization_scope(tenant.id), pytest.raises(PermissionDenied):
        increase_withdraw(organization=tenant.organization, request_id=late.id, actor=tenant.owner, now=now)
    with organization_scope(tenant.id):
        increase_withdraw(organization=tenant.organization, request_id=late.id, actor=viewer, now=now)
    with pytest.raises(Problem, match="stale-write"):
        decide(tenant, late, tenant.owner)
    with organization_scope(tenant.id):
        budget_archive(organization=tenant.organization, budget=budget, actor=tenant.owner, now=now)
    with pytest.raises(Problem, match="conflict"):
        decide(tenant, short, tenant.owner, now=now)
    assert limit(tenant, budget, now) == 100 * USD


def test_one_open_request_per_budget_and_asker(tenant: Tenant, viewer: User, now: datetime) -> None:
    budget = make_budget(tenant)
    first = ask(tenant, budget, viewer)
    with pytest.raises(Problem, match="conflict"):
        ask(tenant, budget, viewer)
    ask(tenant, budget, tenant.owner)
    ask(tenant, make_budget(tenant, "another"), viewer)
    ask(tenant, budget, viewer, now=now + timedelta(days=8))
    assert state(tenant, first) == "expired"


def test_nobody_floods_the_others(tenant: Tenant, viewer: User, now: datetime) -> None:
    budget = make_budget(tenant)
    for _ in range(MOST_A_DAY):
        request = ask(tenant, budget, viewer, now=now)
        with organization_scope(tenant.id):
            increase_withdraw(organization=tenant.organization, request_id=request.id, actor=viewer, now=now)
    with pytest.raises(Problem, match="rate-limited"):
        ask(tenant, budget, viewer, now=now)
    ask(tenant, budget, viewer, now=now + timedelta(days=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": MAX_LIMIT},
        {"amount": 10**30},
        {"reason": " "},
        {"reason": "x" * 501},
        {"until": timedelta(0)},
        {"until": timedelta(seconds=-1)},
        {"until": LONGEST + timedelta(seconds=1)},
    ],
)
def test_what_makes_no_sense_is_not_asked(tenant: Tenant, viewer: User, now: datetime, wrong: dict[str, Any]) -> None:
    budget = make_budget(tenant)
    if "until" in wrong:
        wrong = {"until": now + wrong["until"]}
    with pytest.raises(ValidationError):
        ask(tenant, budget, viewer, now=now, **wrong)
    with organization_scope(tenant.id):
        assert not IncreaseRequest.objects.exists()
        assert not Alert.objects.exists()


def test_two_approvers_at_once_decide_once(committed_tenant: Tenant) -> None:
    tenant, outcomes = committed_tenant, list[str]()
    viewer, finance = make_member(tenant, Role.VIEWER), make_member(tenant, Role.FINANCE)
    budget = make_budget(tenant)
    request = ask(tenant, budget, viewer)
    start = threading.Barrier(4)

    def run(by: User, approve: bool) -> None:
        try:
            start.wait()
            outcomes.append(decide(tenant, request, by, approve=approve, version=None).state)
        except Problem as problem:
            outcomes.append(problem.slug)
        finally:
            connection.close()

    sides = [(tenant.owner, True), (finance, False)] * 2
    threads = [threading.Thread(target=run, args=side) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    kept = state(tenant, request)
    assert sorted(outcomes) == sorted(["conflict"] * 3 + [kept])
    assert limit(tenant, budget) == (120 if kept == "approved" else 100) * USD
