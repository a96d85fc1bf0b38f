"""Repricing at work: preview, apply, undo; killed anywhere, by two at once; sums, budgets and alerts with it."""

import threading
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from alerts.models import Alert
from budgets.models import LedgerEntry
from common.problems import Problem
from corrections import runs
from corrections.models import RunState
from corrections.services import repricing_cancel, repricing_retry
from pricing.charge import Charge
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.analytics.support import at, settle
from tests.budgets.support import make_budget
from tests.corrections.support import (
    adjustments,
    anew,
    applied,
    apply,
    assert_sums_agree,
    previewed,
    spent,
    start,
    undo,
    work,
)
from tests.factories import Tenant, make_team
from tests.pricing.drafts import DISCOUNT, add_rule

HALF = DISCOUNT | {"percent": Decimal(-50)}
UNKNOWN = "gpt-9-turbo"
CUSTOM: dict[str, Any] = {
    "name": "Like nano",
    "provider": "openai",
    "model": UNKNOWN,
    "kind": "custom",
    "units": {"input": "1", "output": "2"},
}
UNKNOWN_COST = 1500 * 1_000 + 250 * 2_000  # nano-USD of the event of `payloads.event`
LONG_AGO = timedelta(days=40)


@pytest.fixture
def usage(tenant: Tenant, prices: None, now: datetime) -> Tenant:
    """Three priced calls and two without a price, over three days."""
    settle(tenant, [at(now - timedelta(days=day, minutes=5)) for day in range(3)])
    settle(tenant, [at(now - timedelta(hours=hour), model=UNKNOWN) for hour in (1, 2)])
    return tenant


def halve(tenant: Tenant, now: datetime) -> None:
    add_rule(tenant, now, **HALF, effective_from=now - LONG_AGO)


def test_a_preview_says_what_would_happen_and_books_nothing(usage: Tenant, now: datetime) -> None:
    before = spent(usage, now)
    halve(usage, now)
    run = previewed(usage, now)
    assert run.state == RunState.PREVIEWED
    assert (run.events, run.events_changed, run.events_newly_priced, run.events_kept) == (5, 3, 0, 0)
    assert (int(run.list_cost), int(run.cost)) == (0, -before.cost // 2)
    assert run.by_team == {str(usage.team.id): [3, 0, -before.cost // 2]}
    assert run.by_model == {"openai/gpt-4.1-nano": [3, 0, -before.cost // 2]}
    assert (spent(usage, now), adjustments(usage)) == (before, [])


def test_applied_and_undone_to_the_nano_dollar(usage: Tenant, now: datetime) -> None:
    make_budget(usage)
    before = spent(usage, now)
    halve(usage, now)
    run = applied(usage, now)
    assert run.state == RunState.APPLIED
    assert (run.events_booked, int(run.cost_booked)) == (3, -before.cost // 2)
    after = spent(usage, now)
    assert (after.cost, after.list_cost, after.events) == (before.cost // 2, before.list_cost, before.events)
    assert {(row.kind, row.run_id) for row in adjustments(usage)} == {("reprice", run.id)}
    assert all(row.rule_id for row in adjustments(usage))
    assert_sums_agree(usage)
    assert applied(usage, now).events_booked == 0, "priced once, nothing is left to book"

    undo(usage, run, now)
    work(usage, now)
    undone = anew(usage, run)
    assert (undone.state, undone.events_booked, int(undone.cost_booked)) == (RunState.UNDONE, 0, 0)
    assert spent(usage, now) == before
    assert_sums_agree(usage)
    with organization_scope(usage.id):
        actions = list(AuditEntry.objects.filter(action__startswith="reprice_run").values_list("action", flat=True))
    assert actions.count("reprice_run.applied") == 2
    assert "reprice_run.undone" in actions


def test_usage_without_a_price_gets_one_late(usage: Tenant, now: datetime) -> None:
    budget = make_budget(usage, limit=spent(usage, now).cost + UNKNOWN_COST, thresholds=(100,))
    assert spent(usage, now).unpriced_requests == 2
    add_rule(usage, now, **CUSTOM, effective_from=now - LONG_AGO)
    run = previewed(usage, now, model=UNKNOWN)
    assert (run.events, run.events_newly_priced, int(run.cost)) == (2, 2, 2 * UNKNOWN_COST)
    assert [(flip["budget"], flip["threshold"], flip["would_reach"]) for flip in run.flips] == [
        (str(budget.id), 0, 100)
    ]
    with organization_scope(usage.id):
        assert not Alert.objects.filter(kind="budget_threshold").exists()
    apply(usage, run, now)
    work(usage, now)
    assert spent(usage, now).unpriced_requests == 0
    with organization_scope(usage.id):
        assert Alert.objects.filter(kind="budget_threshold").count() == 1
        assert LedgerEntry.objects.get(budget=budget, spent__gt=0).unpriced_requests == 0
    assert_sums_agree(usage)


def test_unpriced_only_leaves_prices_alone(usage: Tenant, now: datetime) -> None:
    halve(usage, now)
    add_rule(usage, now, **CUSTOM, effective_from=now - LONG_AGO)
    run = applied(usage, now, unpriced_only=True)
    assert (run.events, run.events_booked) == (2, 2)
    add_rule(usage, now, **CUSTOM | {"units": {"input": "2", "output": "4"}}, effective_from=now - LONG_AGO)
    assert applied(usage, now, unpriced_only=True).events_booked == 0, "it has its price"
    assert applied(usage, now, model=UNKNOWN.upper()).events_booked == 2


def test_a_price_that_is_gone_is_kept(usage: Tenant, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    before = spent(usage, now)
    monkeypatch.setattr(runs, "charge", lambda *_: Charge(None, None, "no_price"))
    run = applied(usage, now)
    assert (run.events_kept, run.events_booked) == (3, 0)
    assert spent(usage, now) == before


def test_own_cache_hits_stay_free(tenant: Tenant, prices: None, now: datetime) -> None:
    settle(tenant, [at(now - timedelta(minutes=5), cache="hit")])
    halve(tenant, now)
    assert applied(tenant, now).events_booked == 0


class _KilledError(BaseException):
    """What no handler catches, as a kill."""


@pytest.mark.parametrize("line", ["post_corrections", "_audit", "rewind"])
def test_killed_between_any_two_lines_it_goes_on_and_doubles_nothing(
    usage: Tenant, now: datetime, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(runs, "BATCH", 2)
    before = spent(usage, now)
    halve(usage, now)
    run = previewed(usage, now)
    apply(usage, run, now)
    real, calls = getattr(runs, line), 0

    def killed(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = real(*args, **options)
        if calls % 2:
            raise _KilledError
        return answer

    monkeypatch.setattr(runs, line, killed)
    deaths = 0
    while anew(usage, run).state == RunState.APPLYING:
        try:
            runs.advance(usage.id, run.id, now)
        except _KilledError:
            deaths += 1
    assert deaths
    assert spent(usage, now).cost == before.cost // 2
    assert anew(usage, run).events_booked == 3
    assert_sums_agree(usage)


def test_undo_while_it_is_being_applied(usage: Tenant, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BATCH", 2)
    before = spent(usage, now)
    halve(usage, now)
    run = previewed(usage, now)
    apply(usage, run, now)
    assert runs.advance(usage.id, run.id, now)
    assert 0 < anew(usage, run).events_booked < 3
    undo(usage, run, now)
    work(usage, now)
    assert (anew(usage, run).state, spent(usage, now)) == (RunState.UNDONE, before)
    assert_sums_agree(usage)


def test_a_failure_is_told_and_can_be_tried_again(
    usage: Tenant, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    halve(usage, now)
    run = previewed(usage, now)
    apply(usage, run, now)

    def broken(**_: Any) -> int:
        raise LookupError("an event is not there")

    with monkeypatch.context() as patch:
        patch.setattr(runs, "post_corrections", broken)
        work(usage, now)
    failed = anew(usage, run)
    assert (failed.state, failed.failed_in, failed.error) == (
        RunState.FAILED, RunState.APPLYING, "LookupError: an event is not there",
    )  # fmt: skip
    with organization_scope(usage.id):
        repricing_retry(run=failed, actor=usage.owner, now=now)
    work(usage, now)
    assert anew(usage, run).state == RunState.APPLIED


def test_what_a_state_does_not_allow_changes_nothing(usage: Tenant, now: datetime) -> None:
    run = start(usage, now)
    with pytest.raises(Problem, match="conflict"):
        apply(usage, run, now)
    with pytest.raises(Problem, match="conflict"):
        undo(usage, run, now)
    with organization_scope(usage.id):
        repricing_cancel(run=run, actor=usage.owner, now=now)
    work(usage, now)
    assert anew(usage, run).state == RunState.CANCELLED
    halve(usage, now)
    first = applied(usage, now)
    with pytest.raises(Problem, match="conflict"), organization_scope(usage.id):
        repricing_cancel(run=first, actor=usage.owner, now=now)
    add_rule(usage, now, **DISCOUNT, effective_from=now - LONG_AGO)
    second = applied(usage, now)
    with pytest.raises(Problem, match="Undo that first"):
        undo(usage, first, now)
    assert anew(usage, first).state == RunState.APPLIED
    undo(usage, second, now)
    work(usage, now)
    undo(usage, first, now)
    work(usage, now)
    assert anew(usage, first).state == RunState.UNDONE


def test_an_organization_reprices_its_own_usage_only(usage: Tenant, stranger: Tenant, now: datetime) -> None:
    settle(stranger, [at(now - timedelta(minutes=5))])
    before = spent(stranger, now)
    halve(usage, now)
    applied(usage, now)
    work(stranger, now)
    assert (spent(stranger, now), adjustments(stranger)) == (before, [])


def test_two_workers_at_once_double_nothing(
    committed_tenant: Tenant, committed_prices: None, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = committed_tenant
    monkeypatch.setattr(runs, "BATCH", 5)
    make_team(tenant, "other")
    settle(tenant, [at(now - timedelta(minutes=minute)) for minute in range(60)])
    before = spent(tenant, now)
    halve(tenant, now)
    run = previewed(tenant, now)
    apply(tenant, run, now)

    def worker() -> None:
        try:
            while anew(tenant, run).state == RunState.APPLYING:
                runs.advance(tenant.id, run.id, now)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = anew(tenant, run)
    assert (done.state, done.events_booked, done.events_done) == (RunState.APPLIED, 60, 60)
    assert spent(tenant, now).cost == before.cost // 2
    assert_sums_agree(tenant)
