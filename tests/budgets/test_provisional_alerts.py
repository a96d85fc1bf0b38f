"""Provisional charges cross thresholds like spend, each threshold once; and the ledger's are proved by their rows."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from alerts.models import Alert
from budgets import verify
from budgets.models import Budget, LedgerEntry
from budgets.reservations.models import Authorization
from budgets.reservations.sweep import sweep_organization
from budgets.services import budget_archive
from tenants.access import organization_scope
from tests.budgets.support import make_budget, use
from tests.budgets.test_authorizations import HELD
from tests.budgets.test_reservation_life import SPENT, acme, ask, ends_its_lease, spent
from tests.budgets.test_verify import run
from tests.factories import Tenant
from tests.ingest.payloads import event

__all__ = ["acme"]


def governed(tenant: Tenant, **given: Any) -> Budget:
    """A budget that blocks and charges abandoned calls in full; one call holds 88 percent of it."""
    budget = make_budget(tenant, limit=HELD * 100 // 88, **{"thresholds": (80, 100)} | given)
    with organization_scope(tenant.id):
        Budget.objects.filter(id=budget.id).update(enforcement="hard", when_unavailable="closed", abandoned="full")
        budget.refresh_from_db()
    return budget


def abandoned(tenant: Tenant) -> str:
    """The authorization of a call whose usage does not come in."""
    granted = ask(tenant, "x")
    ends_its_lease(tenant)
    return granted.authorization


def told(tenant: Tenant) -> list[str]:
    with organization_scope(tenant.id):
        return [alert.title for alert in Alert.objects.filter(kind="budget_threshold").order_by("id")]


def test_an_abandoned_call_crosses_a_threshold_once_whoever_sweeps(acme: Tenant) -> None:
    budget = governed(acme)
    authorization = abandoned(acme)

    def work(_: int) -> int:
        try:
            return sweep_organization(acme.id, timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(work, range(6))) == 1
    assert told(acme) == ["budget: 80% of the budget is spent"]
    with organization_scope(acme.id):
        assert (Alert.objects.get().facts["spent"], LedgerEntry.objects.get().fired) == ("0.000440000", 80)
    # The usage comes to less: what has fired stays fired, as after a refund, and 80 percent are not told again.
    use(acme, event(authorization=authorization))
    assert spent(acme, budget) == SPENT
    use(acme, event())
    assert len(told(acme)) == 1
    use(acme, event())
    assert told(acme)[1:] == ["budget: 100% of the budget is spent"]


def test_late_usage_crosses_only_what_its_charge_had_not_in_a_rolling_window(acme: Tenant) -> None:
    governed(acme, period="rolling", rolling_days=7)
    authorization = abandoned(acme)
    sweep_organization(acme.id, timezone.now())
    assert told(acme) == ["budget: 80% of the budget is spent"]
    use(acme, event(authorization=authorization), event(authorization=authorization))
    assert len(told(acme)) == 1


def test_a_budget_out_of_force_is_charged_and_says_nothing(acme: Tenant) -> None:
    budget = governed(acme)
    abandoned(acme)
    with organization_scope(acme.id):
        budget_archive(organization=acme.organization, budget=budget, actor=acme.owner, now=timezone.now())
    assert sweep_organization(acme.id, timezone.now()) == 1
    assert (spent(acme, budget), told(acme)) == (HELD, [])


@pytest.mark.parametrize("wrong", [-1, 1, -HELD])
def test_a_wrong_provisional_charge_is_found_and_mended(acme: Tenant, wrong: int) -> None:
    governed(acme)
    abandoned(acme)
    sweep_organization(acme.id, timezone.now())
    use(acme, event())
    assert run()[0] == 0
    with organization_scope(acme.id):
        LedgerEntry.objects.update(provisional=HELD + wrong)
        [found] = verify.differences(acme.id)
    assert (found.ledger.provisional, found.events.provisional, found.ledger.spent) == (HELD + wrong, HELD, SPENT)
    code, out = run()
    assert (code, f"{HELD + wrong} provisional; events make" in out) == (1, True)
    assert (run("--repair")[0], run()[0]) == (0, 0)
    with organization_scope(acme.id):
        assert LedgerEntry.objects.get().provisional == HELD


def test_an_entry_lost_with_its_charge_is_made_again(acme: Tenant) -> None:
    governed(acme)
    abandoned(acme)
    sweep_organization(acme.id, timezone.now())
    with organization_scope(acme.id):
        LedgerEntry.objects.all().delete()
        assert Authorization.objects.count() == 1
        verify.rebuild(verify.differences(acme.id), timezone.now())
        assert verify.differences(acme.id) == []
        assert LedgerEntry.objects.get().provisional == HELD
