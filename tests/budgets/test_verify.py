"""`verify_rollups`: it must see the smallest difference, mend it, and leave what is right alone."""

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from budgets import verify
from budgets.models import Budget, LedgerEntry
from budgets.services import budget_create
from budgets.terms import Measure
from common.ids import new_id
from ingest.pipeline import settle_waiting
from tenants.access import organization_scope
from tests.factories import Tenant, make_key, make_team
from tests.ingest.payloads import event
from tests.ingest.test_pipeline import accept
from usage.models import Cube


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("verify_rollups", *arguments, stdout=out)
    except SystemExit as exit_:
        return int(str(exit_.code)), out.getvalue()
    return 0, out.getvalue()


def budget(tenant: Tenant, now: datetime, **measure: object) -> Budget:
    measured = {"scope_type": "organization", "team": None, "virtual_key": None, "period": "day", "timezone": "UTC"}
    with organization_scope(tenant.id):
        return budget_create(
            organization=tenant.organization,
            name="a budget",
            measure=Measure(**(measured | measure)),  # type: ignore[arg-type]
            limit=10**9,
            thresholds=[],
            actor=tenant.owner,
            now=now,
        )


@pytest.fixture
def used(tenant: Tenant, prices: None, now: datetime) -> Tenant:
    """Usage of two teams, two keys and three days, one event of it without a price, under three budgets."""
    made = now - timedelta(days=10)
    below = make_team(tenant, "below", tenant.team)
    key, _ = make_key(tenant, "second", below)
    budget(tenant, made)
    budget(tenant, made, scope_type="team", team=tenant.team, period="week", timezone="Asia/Kolkata")
    budget(tenant, made, scope_type="virtual_key", virtual_key=key, timezone="America/New_York")
    times = [(now - timedelta(days=days)).isoformat() for days in (0, 1, 3)]
    accept(tenant, [event(time=time) for time in times], now)
    accept(tenant, [*(event(time=time) for time in times), event(model="nobody-knows-this")], now, key.id)
    assert settle_waiting(now) == 7
    return tenant


def test_what_settling_wrote_is_right(used: Tenant, stranger: Tenant) -> None:
    assert run() == (
        0,
        "acme: rollups and ledgers equal the events.\nglobex: rollups and ledgers equal the events.\n",
    )


def test_a_ledger_wrong_by_a_nano_dollar_is_found_and_mended(used: Tenant) -> None:
    with organization_scope(used.id):
        entry = LedgerEntry.objects.filter(requests__gt=0).order_by("id")[0]
        LedgerEntry.objects.filter(id=entry.id).update(spent=entry.spent + 1, fired=50)
    code, out = run()
    assert code == 1
    assert f"budget {entry.budget_id}" in out
    assert run()[0] == 1, "looking must not mend"
    assert run("--repair")[0] == 0
    assert run()[0] == 0
    with organization_scope(used.id):
        mended = LedgerEntry.objects.get(id=entry.id)
        assert (mended.spent, mended.fired) == (entry.spent, 50)


@pytest.mark.parametrize("field", ["requests", "unpriced_requests"])
def test_wrong_counts_are_found(used: Tenant, field: str) -> None:
    with organization_scope(used.id):
        entry = LedgerEntry.objects.order_by("-unpriced_requests", "id")[0]
        LedgerEntry.objects.filter(id=entry.id).update(**{field: getattr(entry, field) + 1})
        [found] = verify.differences(used.id)
    assert (found.budget.id, getattr(found.ledger, field)) == (entry.budget_id, getattr(found.events, field) + 1)


def test_a_lost_entry_and_one_too_many_are_found(used: Tenant, now: datetime) -> None:
    with organization_scope(used.id):
        lost = LedgerEntry.objects.filter(requests__gt=0).order_by("id")[0]
        LedgerEntry.objects.filter(id=lost.id).delete()
        start = now + timedelta(days=40)
        LedgerEntry.objects.create(
            id=new_id(), organization=used.organization, budget_id=lost.budget_id, period_start=start,
            period_end=start + timedelta(days=1), spent=5, settled_at=now,
        )  # fmt: skip
        assert len(verify.differences(used.id)) == 2
        verify.rebuild(verify.differences(used.id), now)
        assert verify.differences(used.id) == []
        assert LedgerEntry.objects.get(budget_id=lost.budget_id, period_start=lost.period_start).spent == lost.spent


def test_usage_before_a_budget_counts_is_none_of_it(used: Tenant, now: datetime) -> None:
    late = budget(used, now)
    with organization_scope(used.id):
        assert verify.differences(used.id) == []
        assert LedgerEntry.objects.filter(budget=late, requests__gt=0).count() == 1


def test_a_wrong_rollup_is_found_and_mended(used: Tenant) -> None:
    with organization_scope(used.id):
        cube = Cube.objects.order_by("bucket")[0]
        Cube.objects.filter(organization_id=used.id, bucket=cube.bucket).update(cost=cube.cost + 1)
    code, out = run("--repair")
    assert code == 0
    assert "usage_cube has" in out
    assert "made anew" in out
    assert run()[0] == 0


def test_one_organization_is_mended_and_the_other_not_touched(used: Tenant, stranger: Tenant, now: datetime) -> None:
    accept(stranger, [event()], now)
    settle_waiting(now)
    with organization_scope(used.id):
        LedgerEntry.objects.update(spent=7)
    code, out = run()
    assert code == 1
    assert "globex: rollups and ledgers equal the events." in out
