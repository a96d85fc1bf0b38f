"""Settling usage against budgets: one upsert for all budgets and slots of time that a batch touches."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from budgets.applying import Applying, Subject, window_of
from budgets.models import Budget, Unit
from budgets.standing import Used
from budgets.thresholds import Fired
from budgets.windows import ROLLING, Window
from common.db import server_cursor
from common.ids import new_id
from common.periods import Period
from usage.store import NOTHING, Owner, Spent

ENTRY_COLUMNS = (
    "budget_id, period_start, period_end, spent, tokens, requests, unpriced_requests, provisional,"
    " fired, fired_amount, fired_forecast, fired_limit"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A slot of a budget after something was added to it."""

    budget_id: int
    slot: Period
    used: Used
    added: Used
    fired: Fired
    # What `fired` is percentages of.
    fired_limit: int | None


def book(*, organization_id: int, budgets: Applying, owners: Mapping[Owner, Spent], now: datetime) -> list[Entry]:
    """Adds what was used to the ledger of every budget it counts in."""
    deltas = _deltas(budgets, owners)
    return _add(organization_id, deltas, now) if deltas else []


def would_add(*, budgets: Applying, owners: Mapping[Owner, Spent], now: datetime) -> dict[tuple[int, datetime], int]:
    """What `book` would add to the cost that counts against budgets by cost, in nano-USD, by budget id and start of the
    window. Of rolling windows only the one that holds `now` is looked at."""
    found: dict[tuple[int, datetime], int] = defaultdict(int)
    for (budget_id, slot), delta in _deltas(budgets, owners).items():
        budget = budgets.by_id[budget_id]
        window = budget_period(budget, now) if budget.period == ROLLING else slot
        if budget.unit == Unit.COST and delta.cost and slot.start in window:
            found[budget_id, window.start] += delta.cost
    return dict(found)


def budget_period(budget: Budget, instant: datetime) -> Period:
    """What counts at the instant."""
    return window_of(budget).at(instant)


def _deltas(budgets: Applying, owners: Mapping[Owner, Spent]) -> dict[tuple[int, Period], Spent]:
    """What the owners' usage adds to each budget and slot."""
    deltas: dict[tuple[int, Period], Spent] = {}
    windows = {budget_id: window_of(budget) for budget_id, budget in budgets.by_id.items()}
    slots: dict[tuple[Window, datetime], Period] = {}
    for owner, spent in owners.items():
        for budget in budgets.of(_subject(owner)):
            if owner.quarter < budget.counts_from:
                continue
            window = windows[budget.id]
            slot = slots.get((window, owner.quarter))
            if slot is None:
                slot = slots[window, owner.quarter] = window.slot_at(owner.quarter)
            deltas[budget.id, slot] = deltas.get((budget.id, slot), NOTHING).plus(spent)
    return deltas


def _subject(owner: Owner) -> Subject:
    labels = owner.labels
    return Subject(
        team_id=owner.team_id,
        virtual_key_id=owner.virtual_key_id,
        model=labels.model,
        customer=labels.customer,
        feature=labels.feature,
        agent=labels.agent,
        user=labels.user,
        tags=dict(labels.tags),
    )


def _add(organization_id: int, deltas: Mapping[tuple[int, Period], Spent], now: datetime) -> list[Entry]:
    keys = sorted(deltas, key=lambda key: (key[0], key[1].start))
    with server_cursor() as cursor:
        cursor.execute(
            "INSERT INTO budgets_ledgerentry AS entry (organization_id, id, budget_id, period_start, period_end,"
            " spent, tokens, requests, unpriced_requests, fired, settled_at)"
            " SELECT %(organization)s::bigint, id, budget_id, period_start, period_end, spent, tokens, requests,"
            " unpriced, 0, %(now)s::timestamptz FROM unnest(%(ids)s::bigint[], %(budgets)s::bigint[],"
            " %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(spent)s::numeric[], %(tokens)s::bigint[],"
            " %(requests)s::bigint[], %(unpriced)s::bigint[])"
            " AS delta (id, budget_id, period_start, period_end, spent, tokens, requests, unpriced)"
            " ON CONFLICT (organization_id, budget_id, period_start) DO UPDATE SET"
            " spent = entry.spent + excluded.spent, tokens = entry.tokens + excluded.tokens,"
            " requests = entry.requests + excluded.requests,"
            " unpriced_requests = entry.unpriced_requests + excluded.unpriced_requests,"
            " settled_at = excluded.settled_at"
            f" RETURNING {ENTRY_COLUMNS}",
            {
                "organization": organization_id,
                "now": now,
                "ids": [new_id() for _ in keys],
                "budgets": [budget_id for budget_id, _ in keys],
                "starts": [slot.start for _, slot in keys],
                "ends": [slot.end for _, slot in keys],
                "spent": [deltas[key].cost for key in keys],
                "tokens": [deltas[key].tokens for key in keys],
                "requests": [deltas[key].requests for key in keys],
                "unpriced": [deltas[key].unpriced_requests for key in keys],
            },
        )
        return entries_of(cursor.fetchall(), {key: _as_used(delta) for key, delta in deltas.items()})


def _as_used(delta: Spent) -> Used:
    return Used(delta.cost, delta.tokens, delta.requests, delta.unpriced_requests)


def entries_of(rows: Iterable[Sequence[Any]], added: Mapping[tuple[int, Period], Used]) -> list[Entry]:
    """Rows of `ENTRY_COLUMNS`, after this was added to them."""
    return [_entry(row, added[row[0], Period(row[1], row[2])]) for row in rows]


def _entry(row: Sequence[Any], added: Used) -> Entry:
    budget_id, start, end, spent, tokens, requests, unpriced, provisional, *fired, limit = row
    return Entry(
        budget_id=budget_id,
        slot=Period(start, end),
        used=Used(int(spent), tokens, requests, unpriced, provisional),
        added=added,
        fired=Fired(*fired),
        fired_limit=limit,
    )


def joined(entries: Iterable[Entry]) -> list[Entry]:
    """Each entry once, as it was found last, with all that was added to it."""
    found: dict[tuple[int, Period], Entry] = {}
    for entry in entries:
        key = entry.budget_id, entry.slot
        before = found.get(key)
        found[key] = entry if before is None else replace(entry, added=before.added.plus(entry.added))
    return list(found.values())
