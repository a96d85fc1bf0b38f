"""What was used under budgets: sums of their ledgers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from budgets.applying import window_of
from budgets.models import Budget, LedgerEntry, Unit
from common.db import server_cursor
from common.periods import Period


@dataclass(frozen=True, slots=True)
class Used:
    """`cost` in nano-USD; `tokens` are input and output, each with all that belongs to it."""

    cost: int = 0
    tokens: int = 0
    requests: int = 0
    # Part of `requests` whose cost is not known: the true cost is higher.
    unpriced_requests: int = 0
    # Charged for abandoned authorizations until their usage comes in, in the budget's own unit.
    provisional: int = 0

    @classmethod
    def of_entry(cls, entry: LedgerEntry) -> "Used":
        return cls(int(entry.spent), entry.tokens, entry.requests, entry.unpriced_requests, entry.provisional)

    def plus(self, other: "Used") -> "Used":
        return Used(
            self.cost + other.cost,
            self.tokens + other.tokens,
            self.requests + other.requests,
            self.unpriced_requests + other.unpriced_requests,
            self.provisional + other.provisional,
        )

    def of(self, unit: str) -> int:
        """What counts against the limit of a budget in this unit (`budgets.models.Unit`), which must be its own."""
        sums = {Unit.COST: self.cost, Unit.TOKENS: self.tokens, Unit.REQUESTS: self.requests}
        return sums[Unit(unit)] + self.provisional


def used(budgets: Sequence[Budget], now: datetime) -> dict[int, Used]:
    """Budget id → what was used in its window that holds `now`. One query."""
    return used_in(budgets, {budget.id: window_of(budget).at(now) for budget in budgets})


def used_in(budgets: Sequence[Budget], windows: Mapping[int, Period]) -> dict[int, Used]:
    """Budget id → what was used in the window given for it: the sum of the slots that begin in it. One query."""
    if not budgets:
        return {}
    with server_cursor() as cursor:
        cursor.execute(
            "SELECT asked.budget_id, coalesce(sum(entry.spent), 0), coalesce(sum(entry.tokens), 0),"
            " coalesce(sum(entry.requests), 0), coalesce(sum(entry.unpriced_requests), 0),"
            " coalesce(sum(entry.provisional), 0)"
            " FROM unnest(%(organizations)s::bigint[], %(budgets)s::bigint[], %(starts)s::timestamptz[],"
            " %(ends)s::timestamptz[]) AS asked (organization_id, budget_id, starts, ends)"
            " LEFT JOIN budgets_ledgerentry AS entry ON entry.organization_id = asked.organization_id"
            " AND entry.budget_id = asked.budget_id AND entry.period_start >= asked.starts"
            " AND entry.period_start < asked.ends GROUP BY asked.budget_id",
            {
                "organizations": [budget.organization_id for budget in budgets],
                "budgets": [budget.id for budget in budgets],
                "starts": [windows[budget.id].start for budget in budgets],
                "ends": [windows[budget.id].end for budget in budgets],
            },
        )
        return {budget_id: Used(*map(int, sums)) for budget_id, *sums in cursor.fetchall()}
