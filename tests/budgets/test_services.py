"""Changing budgets: one writer wins, thresholds speak again when the limit moves, wholes hold their parts."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from alerts.models import Alert
from budgets.models import Budget, LedgerEntry
from budgets.services import budget_archive, budget_create, budget_update
from budgets.terms import Measure
from common.problems import Problem
from tenants.access import organization_scope
from tenants.models import AuditEntry, Team
from tests.budgets.support import USD, make_budget, use
from tests.factories import Tenant, make_key, make_team, utc_now
from tests.ingest.payloads import event

COST = 227_500


def change(tenant: Tenant, budget: Budget, **fields: Any) -> Budget:
    values: dict[str, Any] = {
        "name": budget.name,
        "limit": budget.limit,
        "thresholds": budget.thresholds,
        "version": budget.version,
    }
    with organization_scope(tenant.id):
        return budget_update(
            organization=tenant.organization, budget=budget, actor=tenant.owner, now=utc_now(), **(values | fields)
        )


def told(tenant: Tenant) -> list[int]:
    """The thresholds of all alerts, oldest first."""
    with organization_scope(tenant.id):
        return [alert.facts["threshold"] for alert in Alert.objects.order_by("id")]


def fired(tenant: Tenant, budget: Budget) -> int:
    with organization_scope(tenant.id):
        return LedgerEntry.objects.get(budget=budget).fired


def test_a_change_is_of_the_version_that_was_seen(tenant: Tenant) -> None:
    budget = make_budget(tenant)
    changed = change(tenant, budget, name="New", limit=5 * USD, thresholds=[90, 10])
    assert (changed.name, changed.limit, changed.thresholds, changed.version) == ("New", 5 * USD, [10, 90], 2)
    with pytest.raises(Problem) as refused:
        change(tenant, budget, name="Too late", version=1)
    assert refused.value.status == 412
    with organization_scope(tenant.id):
        assert Budget.objects.get().name == "New"
        entry = AuditEntry.objects.get(action="budget.updated")
    assert entry.facts == {"name": "New", "limit_before": "$100.00", "limit": "$5.00"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 10**30},
        {"thresholds": [0]},
        {"thresholds": [101]},
        {"thresholds": [50, 50]},
        {"thresholds": list(range(1, 12))},
        {"name": ""},
        {"name": "x" * 101},
    ],
)
def test_a_wrong_change_changes_nothing(tenant: Tenant, wrong: dict[str, Any]) -> None:
    """Not even when the caller goes on after the refusal, as a page does that shows the form again."""
    budget = make_budget(tenant)
    with organization_scope(tenant.id), pytest.raises(ValidationError):
        budget_update(
            organization=tenant.organization, budget=budget, version=1, actor=None, now=utc_now(),
            **{"name": "Half", "limit": 7, "thresholds": [7], **wrong},
        )  # fmt: skip
    with organization_scope(tenant.id):
        kept = Budget.objects.get()
    assert (kept.name, kept.limit, kept.thresholds, kept.version) == ("budget", 100 * USD, [50, 80, 100], 1)


def test_a_lower_limit_alerts_like_spend_would(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, limit=10 * COST)
    use(tenant, *(event() for _ in range(4)))
    assert told(tenant) == []
    change(tenant, budget, limit=5 * COST)
    assert (told(tenant), fired(tenant, budget)) == ([80], 80)


def test_a_raised_limit_lets_thresholds_speak_again(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, limit=4 * COST)
    use(tenant, *(event() for _ in range(4)))
    assert told(tenant) == [100]
    budget = change(tenant, budget, limit=10 * COST)
    assert fired(tenant, budget) == 0
    use(tenant, event())
    use(tenant, *(event() for _ in range(3)))
    use(tenant, *(event() for _ in range(2)))
    assert told(tenant) == [100, 50, 80, 100]


def test_moving_the_limit_to_and_fro_does_not_repeat_an_alert(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, limit=5 * COST)
    use(tenant, *(event() for _ in range(4)))
    for limit in (50, 5, 50, 5):
        budget = change(tenant, budget, limit=limit * COST)
    assert (told(tenant), fired(tenant, budget)) == ([80], 80)


def test_a_threshold_added_below_the_spend_is_told_at_once(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, limit=10 * COST, thresholds=(50,))
    use(tenant, *(event() for _ in range(7)))
    change(tenant, budget, thresholds=[50, 60, 65, 90])
    assert told(tenant) == [50, 65]


def test_the_alert_names_what_it_is_about(tenant: Tenant, prices: None) -> None:
    budget = make_budget(tenant, "Team money", team=tenant.team, limit=COST)
    use(tenant, event())
    with organization_scope(tenant.id):
        alert = Alert.objects.get()
    assert (alert.severity, alert.title) == ("critical", "Team money: 100% of the budget is spent")
    assert (alert.facts["scope"], alert.facts["percent"]) == ("Default", "100.0")
    assert alert.facts["link"] == f"/o/acme/budgets/{budget.id}"


def test_archiving_with_a_version(tenant: Tenant) -> None:
    budget = make_budget(tenant)
    change(tenant, budget, name="New")
    with organization_scope(tenant.id):
        with pytest.raises(Problem):
            budget_archive(organization=tenant.organization, budget=budget, actor=None, now=utc_now(), version=1)
        assert Budget.objects.get().archived_at is None
        for _ in range(2):
            budget_archive(organization=tenant.organization, budget=budget, actor=None, now=utc_now())
        assert AuditEntry.objects.filter(action="budget.archived").count() == 1
        assert Budget.objects.get().archived_at is not None
    with pytest.raises(Problem):
        change(tenant, budget, version=2)


def nested(tenant: Tenant) -> Sequence[Team]:
    top = make_team(tenant, "Top")
    return top, make_team(tenant, "Below", top), make_team(tenant, "Beside")


def test_parts_fit_in_their_wholes(tenant: Tenant) -> None:
    top, below, beside = nested(tenant)
    key, _ = make_key(tenant, "key", below)
    make_budget(tenant, "top", team=top, limit=50 * USD)
    for scope in ({"team": below}, {"key": key}):
        with pytest.raises(ValidationError, match="top, which includes this"):
            make_budget(tenant, "part", limit=51 * USD, **scope)
        make_budget(tenant, "part", limit=50 * USD, **scope)
    with pytest.raises(ValidationError, match="top, which is part of it"):
        make_budget(tenant, "all", limit=49 * USD)
    # Neither a sibling, nor the same team, nor another kind of period is a part.
    make_budget(tenant, "beside", team=beside, limit=900 * USD)
    make_budget(tenant, "same", team=top, limit=900 * USD)
    make_budget(tenant, "day", team=below, limit=900 * USD, period="day")


def test_a_whole_is_not_lowered_below_its_parts(tenant: Tenant) -> None:
    top, below, _ = nested(tenant)
    whole = make_budget(tenant, "whole", team=top, limit=50 * USD)
    part = make_budget(tenant, "part", team=below, limit=40 * USD)
    with pytest.raises(ValidationError):
        change(tenant, whole, limit=39 * USD)
    with pytest.raises(ValidationError):
        change(tenant, part, limit=51 * USD)
    with organization_scope(tenant.id):
        budget_archive(organization=tenant.organization, budget=part, actor=None, now=utc_now())
    assert change(tenant, whole, limit=39 * USD).limit == 39 * USD


def test_a_budget_cannot_point_into_another_organization(tenant: Tenant, stranger: Tenant) -> None:
    measures = [
        Measure("team", stranger.team, None, "month", "UTC"),
        Measure("virtual_key", None, stranger.key, "month", "UTC"),
    ]
    for measure in measures:
        with organization_scope(tenant.id), pytest.raises(ValidationError):
            budget_create(
                organization=tenant.organization, name="theirs", measure=measure, limit=USD, thresholds=[],
                actor=None, now=utc_now(),
            )  # fmt: skip
    budget = make_budget(tenant)
    with pytest.raises(IntegrityError), transaction.atomic(), organization_scope(tenant.id):
        Budget.objects.filter(id=budget.id).update(scope_type="team", team_id=stranger.team.id)


@pytest.mark.parametrize(
    "fields",
    [{"limit": 0}, {"limit": 10**18 + 1}, {"period": "rolling"}, {"scope_type": "team"}, {"scope_type": "tag"}],
)
def test_the_database_holds_the_rules_too(tenant: Tenant, fields: dict[str, Any]) -> None:
    budget = make_budget(tenant)
    with pytest.raises(IntegrityError), transaction.atomic(), organization_scope(tenant.id):
        Budget.objects.filter(id=budget.id).update(**fields)


def test_of_two_who_save_at_once_one_is_told(committed_tenant: Tenant) -> None:
    tenant = committed_tenant
    budget = make_budget(tenant)
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def save(name: str) -> None:
        try:
            start.wait()
            outcomes.append(change(tenant, budget, name=name).name)
        except Problem as problem:
            outcomes.append(problem.slug)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(f"by {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes)[1:] == ["stale-write"] * 3
    with organization_scope(tenant.id):
        kept = Budget.objects.get()
    assert (kept.name, kept.version) == (sorted(outcomes)[0], 2)
