"""Proof that the ledger says what the events say, and repair where it does not.

Independent of settling: it goes from each budget's periods to the events in them, not from events to budgets. A budget
out of force is left alone, because it stopped counting while events went on.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from budgets.ledger import budget_period
from budgets.models import Budget, LedgerEntry, Scope
from common.ids import new_id
from common.money import to_usd
from common.periods import Period
from tenants.selectors import team_parents
from tenants.tree import subtree_ids
from usage.locks import lock_organization
from usage.retention import first_kept


class Sums(NamedTuple):
    """Of one budget and period; `spent` in nano-USD."""

    spent: int = 0
    requests: int = 0
    unpriced_requests: int = 0

    def __str__(self) -> str:
        return f"{to_usd(self.spent)} USD, {self.requests} requests, {self.unpriced_requests} unpriced"


class Difference(NamedTuple):
    budget: Budget
    period: Period
    ledger: Sums
    events: Sums

    def __str__(self) -> str:
        start = self.period.start.isoformat()
        return f"budget {self.budget.id} ({self.budget.name}) from {start}: {self.ledger}; events make {self.events}"


def differences(organization_id: int) -> list[Difference]:
    """Every period of every budget in force whose ledger entry is not the sum of the events; empty when all are.

    Holds the settling lock, so that no batch arrives in between. Call inside the organization's scope.
    """
    lock_organization(organization_id)
    latest = _latest_event(organization_id)
    provable = first_kept()
    found = []
    for budget in Budget.objects.in_force().filter(organization_id=organization_id).order_by("id"):
        kept = _ledger(budget)
        periods = {period.start: period for period in _periods(budget, latest)}
        periods |= {start: period for start, (period, _) in kept.items() if start not in periods}
        # What was counted from events that were dropped since stays as it is.
        periods = {start: period for start, period in periods.items() if start >= provable}
        made = _sums_of_events(budget, list(periods.values()))
        for start, period in sorted(periods.items()):
            entry = kept.get(start, (period, Sums()))
            if entry != (period, made[start]):
                found.append(Difference(budget, period, entry[1], made[start]))
    return found


def rebuild(found: list[Difference], now: datetime) -> None:
    """Writes what the events make. What has fired stays fired; a threshold passed by this fires with the next event."""
    for budget, period, _, events in found:
        made = {**dict(zip(Sums._fields, events, strict=True)), "period_end": period.end, "settled_at": now}
        LedgerEntry.objects.update_or_create(
            organization_id=budget.organization_id,
            budget=budget,
            period_start=period.start,
            defaults=made,
            create_defaults={**made, "id": new_id()},
        )


def _latest_event(organization_id: int) -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(at) FROM usage_posting WHERE organization_id = %s", [organization_id])
        (latest,) = cursor.fetchone()
        return latest if isinstance(latest, datetime) else None


def _periods(budget: Budget, latest: datetime | None) -> Iterator[Period]:
    """From the first period that the budget counts to the one that holds the latest event."""
    at = budget.counts_from
    while latest is not None and at <= latest:
        period = budget_period(budget, at)
        yield period
        at = period.end


def _ledger(budget: Budget) -> dict[datetime, tuple[Period, Sums]]:
    entries = LedgerEntry.objects.filter(organization_id=budget.organization_id, budget=budget)
    return {
        entry.period_start: (
            Period(entry.period_start, entry.period_end),
            Sums(int(entry.spent), entry.requests, entry.unpriced_requests),
        )
        for entry in entries
    }


def _sums_of_events(budget: Budget, periods: list[Period]) -> dict[datetime, Sums]:
    scope, parameters = _scope(budget)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT period.starts, coalesce(sum(cost), 0), coalesce(sum(requests), 0),"
            " coalesce(sum(unpriced_requests), 0)"
            " FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS period (starts, ends)"
            " LEFT JOIN LATERAL (SELECT cost, requests, unpriced_requests FROM usage_posting"
            "  WHERE organization_id = %(organization)s"
            f"  AND at >= period.starts AND at < period.ends{scope}) AS posting ON true"
            " GROUP BY period.starts",
            parameters
            | {
                "organization": budget.organization_id,
                "starts": [period.start for period in periods],
                "ends": [period.end for period in periods],
            },
        )
        return {start: Sums(*map(int, sums)) for start, *sums in cursor.fetchall()}


def _scope(budget: Budget) -> tuple[str, dict[str, Any]]:
    match budget.scope_type:
        case Scope.TEAM:
            below = subtree_ids(team_parents(budget.organization_id), [budget.team_id or 0])
            return " AND team_id = ANY(%(teams)s)", {"teams": sorted(below)}
        case Scope.VIRTUAL_KEY:
            return " AND virtual_key_id = %(key)s", {"key": budget.virtual_key_id}
    return "", {}
