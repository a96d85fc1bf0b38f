"""What tests of corrections share: usage at moments of one's own, runs worked off, and the proof that sums agree."""

from datetime import datetime, timedelta
from typing import Any

from budgets.verify import differences as ledger_differences
from corrections.models import RepriceRun
from corrections.runs import work_off
from corrections.services import Asked, repricing_apply, repricing_start, repricing_undo
from tenants.access import organization_scope
from tests.factories import Tenant
from usage.models import Adjustment
from usage.selectors import Spend, SpendQuery, total
from usage.verify import differences

YEAR = timedelta(days=365)


def start(tenant: Tenant, now: datetime, *, apply_at_once: bool = False, **scope: Any) -> RepriceRun:
    given: dict[str, Any] = {
        "start": now - timedelta(days=60),
        "end": now + timedelta(hours=1),
        "reason": "test",
    } | scope
    asked = Asked(**given)
    with organization_scope(tenant.id):
        return repricing_start(
            organization=tenant.organization, asked=asked, actor=tenant.owner, now=now, apply_at_once=apply_at_once
        )


def work(tenant: Tenant, now: datetime) -> None:
    while work_off(tenant.id, now):
        pass


def previewed(tenant: Tenant, now: datetime, **scope: Any) -> RepriceRun:
    run = start(tenant, now, **scope)
    work(tenant, now)
    return anew(tenant, run)


def applied(tenant: Tenant, now: datetime, **scope: Any) -> RepriceRun:
    run = previewed(tenant, now, **scope)
    apply(tenant, run, now)
    work(tenant, now)
    return anew(tenant, run)


def apply(tenant: Tenant, run: RepriceRun, now: datetime) -> None:
    with organization_scope(tenant.id):
        repricing_apply(run=run, actor=tenant.owner, now=now)


def undo(tenant: Tenant, run: RepriceRun, now: datetime) -> None:
    with organization_scope(tenant.id):
        repricing_undo(run=run, actor=tenant.owner, now=now)


def anew(tenant: Tenant, run: RepriceRun) -> RepriceRun:
    with organization_scope(tenant.id):
        return RepriceRun.objects.get(id=run.id)


def spent(tenant: Tenant, now: datetime) -> Spend:
    with organization_scope(tenant.id):
        return total(SpendQuery(tenant.id, now - YEAR, now + timedelta(hours=2)))


def adjustments(tenant: Tenant) -> list[Adjustment]:
    with organization_scope(tenant.id):
        return list(Adjustment.objects.order_by("booked_at", "id"))


def assert_sums_agree(tenant: Tenant) -> None:
    """Rollups and ledgers are the sums of events and adjustments, and closed months are what was signed."""
    with organization_scope(tenant.id):
        assert list(differences(tenant.id)) == []
        assert list(ledger_differences(tenant.id)) == []
