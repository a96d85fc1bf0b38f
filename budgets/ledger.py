"""Settling usage against budgets: one upsert for all budgets and periods a batch touches."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from budgets.applying import window_of
from budgets.models import Budget, LedgerEntry, Scope
from budgets.thresholds import crossed
from common.db import server_cursor
from common.ids import new_id
from common.periods import Period
from tenants.models import Team
from tenants.tree import ancestor_ids
from usage.store import Owner, Spent

Delta = list[int]  # cost in nano-USD, requests, unpriced requests


@dataclass(frozen=True, slots=True)
class Crossing:
    """A budget that crossed a threshold in a period, and where its spend stands now (nano-USD)."""

    budget: Budget
    period: Period
    threshold: int
    spent: int


def settle(*, organization_id: int, owners: Mapping[Owner, Spent], now: datetime) -> list[Crossing]:
    """Adds what was spent to the ledger of every budget it counts in; returns the thresholds that were crossed."""
    budgets = _Applicable(organization_id)
    if not budgets:
        return []
    return _crossings(organization_id, budgets, _add(organization_id, budgets.deltas(owners), now))


def would_add(*, organization_id: int, owners: Mapping[Owner, Spent]) -> dict[tuple[int, datetime], int]:
    """What `settle` would add to spend, in nano-USD, by budget id and start of the period."""
    deltas = _Applicable(organization_id).deltas(owners)
    return {(budget_id, period.start): delta[0] for (budget_id, period), delta in deltas.items() if delta[0]}


class _Applicable:
    """The active budgets of an organization, found by what they apply to."""

    def __init__(self, organization_id: int) -> None:
        self.by_id = {
            budget.id: budget
            for budget in Budget.objects.filter(organization_id=organization_id, archived_at__isnull=True)
        }
        self._by_scope: dict[tuple[str, int | None], list[Budget]] = defaultdict(list)
        for budget in self.by_id.values():
            self._by_scope[budget.scope_type, budget.team_id or budget.virtual_key_id].append(budget)
        self._parents = dict(Team.objects.filter(organization_id=organization_id).values_list("id", "parent_id"))
        self._periods: dict[tuple[int, datetime], Period] = {}

    def __bool__(self) -> bool:
        return bool(self.by_id)

    def of(self, team_id: int, virtual_key_id: int) -> Iterator[Budget]:
        """Every budget that usage of this key of this team counts in: a child's spend counts in its ancestors."""
        yield from self._by_scope.get((Scope.ORGANIZATION, None), ())
        for ancestor in ancestor_ids(self._parents, team_id):
            yield from self._by_scope.get((Scope.TEAM, ancestor), ())
        yield from self._by_scope.get((Scope.VIRTUAL_KEY, virtual_key_id), ())

    def deltas(self, owners: Mapping[Owner, Spent]) -> dict[tuple[int, Period], Delta]:
        """What the owners' usage adds to each budget and period."""
        deltas: dict[tuple[int, Period], Delta] = defaultdict(lambda: [0, 0, 0])
        for (team_id, key_id, quarter), (cost, requests, unpriced) in owners.items():
            for budget in self.of(team_id, key_id):
                if quarter < budget.counts_from:
                    continue
                delta = deltas[budget.id, self.period(budget, quarter)]
                delta[0] += cost
                delta[1] += requests
                delta[2] += unpriced
        return deltas

    def period(self, budget: Budget, instant: datetime) -> Period:
        key = (budget.id, instant)
        if key not in self._periods:
            self._periods[key] = budget_period(budget, instant)
        return self._periods[key]


def budget_period(budget: Budget, instant: datetime) -> Period:
    """What counts at the instant."""
    return window_of(budget).at(instant)


def _add(
    organization_id: int, deltas: dict[tuple[int, Period], Delta], now: datetime
) -> list[tuple[int, Period, int, int]]:
    """(budget id, period, spent, fired) of every entry after the deltas were added."""
    keys = sorted(deltas, key=lambda key: (key[0], key[1].start))
    with server_cursor() as cursor:
        cursor.execute(
            "INSERT INTO budgets_ledgerentry AS entry (organization_id, id, budget_id, period_start, period_end,"
            " spent, requests, unpriced_requests, fired, settled_at)"
            " SELECT %(organization)s::bigint, id, budget_id, period_start, period_end, spent, requests, unpriced, 0,"
            " %(now)s::timestamptz FROM unnest(%(ids)s::bigint[], %(budgets)s::bigint[], %(starts)s::timestamptz[],"
            " %(ends)s::timestamptz[], %(spent)s::numeric[], %(requests)s::bigint[], %(unpriced)s::bigint[])"
            " AS delta (id, budget_id, period_start, period_end, spent, requests, unpriced)"
            " ON CONFLICT (organization_id, budget_id, period_start) DO UPDATE SET"
            " spent = entry.spent + excluded.spent, requests = entry.requests + excluded.requests,"
            " unpriced_requests = entry.unpriced_requests + excluded.unpriced_requests,"
            " settled_at = excluded.settled_at"
            " RETURNING budget_id, period_start, period_end, spent, fired",
            {
                "organization": organization_id,
                "now": now,
                "ids": [new_id() for _ in keys],
                "budgets": [budget_id for budget_id, _ in keys],
                "starts": [period.start for _, period in keys],
                "ends": [period.end for _, period in keys],
                "spent": [deltas[key][0] for key in keys],
                "requests": [deltas[key][1] for key in keys],
                "unpriced": [deltas[key][2] for key in keys],
            },
        )
        return [
            (budget_id, Period(start, end), int(spent), fired)
            for budget_id, start, end, spent, fired in cursor.fetchall()
        ]


def _crossings(
    organization_id: int, budgets: _Applicable, entries: Sequence[tuple[int, Period, int, int]]
) -> list[Crossing]:
    crossings = []
    for budget_id, period, spent, fired in entries:
        budget = budgets.by_id[budget_id]
        threshold = crossed(spent, budget.limit, budget.thresholds, fired=fired)
        if threshold is not None:
            crossings.append(Crossing(budget, period, threshold, spent))
            mark_fired(organization_id, budget_id, period, threshold)
    return crossings


def mark_fired(organization_id: int, budget_id: int, period: Period, threshold: int) -> None:
    LedgerEntry.objects.filter(organization_id=organization_id, budget_id=budget_id, period_start=period.start).update(
        fired=threshold
    )
