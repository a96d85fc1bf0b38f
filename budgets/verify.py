"""Proof that the ledger says what the events say, and repair where it does not.

Independent of settling: it goes from each budget's slots of time to the events in them, not from events to budgets.
What is charged for abandoned authorizations is proved by the charges that each of them keeps.
A budget out of force is left alone, because it stopped counting while events went on.
"""

from datetime import datetime
from typing import NamedTuple

from django.db import connection

from budgets.applying import counted, usage_scope, window_of
from budgets.models import Budget, LedgerEntry
from budgets.reservations.charges import standing_charges
from common.ids import new_id
from common.money import to_usd
from common.periods import Period
from usage.locks import lock_organization
from usage.retention import first_kept
from usage.scopes import posting_sums


class Sums(NamedTuple):
    """Of one budget and slot of time (`budgets.windows`); `spent` in nano-USD, `provisional` in the budget's unit."""

    spent: int = 0
    tokens: int = 0
    requests: int = 0
    unpriced_requests: int = 0
    provisional: int = 0

    def __str__(self) -> str:
        counts = f"{self.tokens} tokens, {self.requests} requests, {self.unpriced_requests} unpriced"
        return f"{to_usd(self.spent)} USD, {counts}, {self.provisional} provisional"


class Difference(NamedTuple):
    budget: Budget
    period: Period
    ledger: Sums
    events: Sums

    def __str__(self) -> str:
        start = self.period.start.isoformat()
        return f"budget {self.budget.id} ({self.budget.name}) from {start}: {self.ledger}; events make {self.events}"


def differences(organization_id: int) -> list[Difference]:
    """Every period of every budget in force whose ledger entry is not the sum of the events and of what is charged
    provisionally; empty when all are.

    Holds the settling lock, so that no batch arrives in between. Call inside the organization's scope.
    """
    lock_organization(organization_id)
    latest = _latest_event(organization_id)
    provable, charged = first_kept(), standing_charges(organization_id)
    found = []
    for budget in Budget.objects.in_force().filter(organization_id=organization_id).order_by("id"):
        kept = _ledger(budget)
        periods = {period.start: period for period in _slots(budget, latest)}
        provisional = charged.get(budget.id, {})
        periods |= {period.start: period for period in provisional if period.start not in periods}
        periods |= {start: period for start, (period, _) in kept.items() if start not in periods}
        # What was counted from events that were dropped since stays as it is.
        made = _sums_of_events(budget, [each for each in periods.values() if counted(budget, each).start >= provable])
        for start, period in sorted(periods.items()):
            entry = kept.get(start, (period, Sums()))
            sums = made.get(start, entry[1])._replace(provisional=provisional.get(period, 0))
            if entry != (period, sums):
                found.append(Difference(budget, period, entry[1], sums))
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


def _slots(budget: Budget, latest: datetime | None) -> list[Period]:
    """From the first slot that the budget counts to the one that holds the latest event."""
    return [] if latest is None else list(window_of(budget).slots(budget.counts_from, latest))


def _ledger(budget: Budget) -> dict[datetime, tuple[Period, Sums]]:
    entries = LedgerEntry.objects.filter(organization_id=budget.organization_id, budget=budget)
    return {
        entry.period_start: (
            Period(entry.period_start, entry.period_end),
            Sums(int(entry.spent), entry.tokens, entry.requests, entry.unpriced_requests, entry.provisional),
        )
        for entry in entries
    }


def _sums_of_events(budget: Budget, slots: list[Period]) -> dict[datetime, Sums]:
    found = posting_sums(usage_scope(budget), [counted(budget, slot) for slot in slots])
    return {
        slot.start: Sums(sums.cost, sums.tokens, sums.requests, sums.unpriced_requests)
        for slot, sums in zip(slots, found, strict=True)
    }
