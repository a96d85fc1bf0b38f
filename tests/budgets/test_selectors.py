"""Where budgets stand: one row each, in the order of the tree, in a fixed number of queries."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from budgets.applying import Subject, budgets_applying
from budgets.history import past_periods
from budgets.models import Budget, LedgerEntry
from budgets.selectors import Status, budget_states, organization_month
from tenants.access import organization_scope
from tests.budgets.support import USD, make_budget
from tests.factories import Tenant, make_key, make_team

MIDMONTH = datetime(2026, 6, 16, tzinfo=UTC)  # half of June has passed


def spend(budget: Budget, nano: int, *, unpriced: int = 0) -> None:
    LedgerEntry.objects.filter(budget=budget).update(spent=nano, requests=7, unpriced_requests=unpriced)


@pytest.mark.parametrize(
    ("dollars", "status"),
    [(0, Status.OK), (50, Status.OK), (60, Status.OK), (61, Status.AHEAD), (90, Status.NEAR), (100, Status.NEAR)],
)
def test_status_follows_spend_and_pace(tenant: Tenant, dollars: int, status: Status) -> None:
    budget = make_budget(tenant, limit=100 * USD, now=MIDMONTH)
    with organization_scope(tenant.id):
        spend(budget, dollars * USD)
        (state,) = budget_states(tenant.id, MIDMONTH)
    assert state.status is status
    assert state.percent == dollars
    assert state.remaining == (100 - dollars) * USD
    assert state.elapsed_percent == 50
    assert state.projected == 2 * dollars * USD


def test_one_nano_dollar_past_the_limit_is_over(tenant: Tenant) -> None:
    budget = make_budget(tenant, limit=100 * USD, now=MIDMONTH)
    with organization_scope(tenant.id):
        spend(budget, 100 * USD + 1, unpriced=3)
        (state,) = budget_states(tenant.id, MIDMONTH)
    assert (state.status, state.remaining, state.percent) == (Status.OVER, -1, Decimal(100))
    assert (state.requests, state.unpriced_requests) == (7, 3)


def test_a_new_period_starts_from_nothing_without_anybody_resetting_it(tenant: Tenant) -> None:
    budget = make_budget(tenant, limit=100 * USD, now=MIDMONTH)
    july = datetime(2026, 7, 1, tzinfo=UTC)
    with organization_scope(tenant.id):
        spend(budget, 90 * USD)
        (before,) = budget_states(tenant.id, july - timedelta(microseconds=1))
        (after,) = budget_states(tenant.id, july)
        (past,) = past_periods(budget, before=july, limit=10)
        assert past_periods(budget, before=july - timedelta(microseconds=1), limit=10) == []
    assert (before.spent, after.spent, past.used.cost) == (90 * USD, 0, 90 * USD)
    assert (before.end, after.start) == (july, july)


def test_too_early_for_a_forecast(tenant: Tenant) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    make_budget(tenant, now=start)
    with organization_scope(tenant.id):
        assert budget_states(tenant.id, start + timedelta(hours=7))[0].projected is None
        assert budget_states(tenant.id, start + timedelta(hours=8))[0].projected == 0


def test_order_is_organization_then_the_tree_then_keys(
    tenant: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    zoo = make_team(tenant, "Zoo")
    ape = make_team(tenant, "Ape", zoo)
    bee = make_team(tenant, "Bee")
    key, _ = make_key(tenant, "ape's key", ape)
    make_budget(tenant, "on a key", key=key)
    for team in (zoo, ape, bee):
        make_budget(tenant, f"on {team.name}", team=team)
    make_budget(tenant, "on all")
    with organization_scope(tenant.id):
        with django_assert_num_queries(5):  # beside the sums, which Django does not count
            states = budget_states(tenant.id, MIDMONTH)
        assert [state.scope for state in states] == ["Acme", "Bee", "Zoo", "Ape", "ape's key"]
        for number in range(5):
            make_budget(tenant, f"more {number}", team=ape)
        with django_assert_num_queries(5):  # beside the sums, which Django does not count
            assert len(budget_states(tenant.id, MIDMONTH)) == 10


def test_the_overview_shows_the_tightest_month_of_the_organization(tenant: Tenant) -> None:
    make_budget(tenant, "a day", period="day", limit=5 * USD)
    with organization_scope(tenant.id):
        assert organization_month(budget_states(tenant.id, MIDMONTH)) is None
    make_budget(tenant, "loose", limit=500 * USD)
    tight = make_budget(tenant, "tight", limit=50 * USD)
    with organization_scope(tenant.id):
        found = organization_month(budget_states(tenant.id, MIDMONTH))
    assert found is not None
    assert found.budget == tight


def test_what_applies_to_a_key_is_its_own_its_teams_and_the_organizations(tenant: Tenant) -> None:
    parent, other = make_team(tenant, "Parent"), make_team(tenant, "Other")
    child = make_team(tenant, "Child", parent)
    key, _ = make_key(tenant, "mine", child)
    elsewhere, _ = make_key(tenant, "elsewhere", other)
    make_budget(tenant, "key", key=key)
    make_budget(tenant, "child", team=child)
    make_budget(tenant, "parent", team=parent)
    make_budget(tenant, "all")
    make_budget(tenant, "other team", team=other)
    make_budget(tenant, "other key", key=elsewhere)
    with organization_scope(tenant.id):
        found = budgets_applying(tenant.id, Subject(child.id, key.id))
    assert [budget.name for budget in found] == ["all", "parent", "child", "key"]


def test_a_stranger_sees_nothing(tenant: Tenant, stranger: Tenant) -> None:
    make_budget(tenant)
    with organization_scope(stranger.id):
        assert budget_states(stranger.id, MIDMONTH) == []
        assert budget_states(tenant.id, MIDMONTH) == []
