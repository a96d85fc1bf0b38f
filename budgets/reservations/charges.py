"""What stands in Postgres of authorizations: ended ones, and provisional charges for abandoned ones in the ledger.

Everything here happens under the organization's settling lock, so that the lease's end and the late event take turns:
whichever is first, the usage counts once in the end.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from budgets.applying import Applying, window_of
from budgets.ledger import ENTRY_COLUMNS, Entry, entries_of
from budgets.models import Budget
from budgets.posting import tell_crossed
from budgets.reservations.engine import Ended, Lapsed
from budgets.reservations.models import Authorization, State
from budgets.reservations.reference import Reference
from budgets.standing import Used
from common.db import server_cursor
from common.ids import new_id
from common.periods import Period
from tenants.models import Organization
from usage.locks import lock_organization


class Usage(NamedTuple):
    """What came in for an authorization; `cost` in nano-USD, None without a price."""

    reference: Reference
    virtual_key_id: int
    cost: int | None
    tokens: int
    requests: int

    def plus(self, other: "Usage") -> "Usage":
        cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        return self._replace(cost=cost, tokens=self.tokens + other.tokens, requests=self.requests + other.requests)


@dataclass(frozen=True, slots=True)
class _Charge:
    """In the budget's unit, in one slot of its ledger."""

    budget_id: int
    start: datetime
    end: datetime
    amount: int

    def as_json(self) -> dict[str, str]:
        return {
            "budget": str(self.budget_id),
            "period_start": self.start.isoformat(),
            "period_end": self.end.isoformat(),
            "amount": str(self.amount),
        }

    @classmethod
    def of_json(cls, document: Mapping[str, str]) -> "_Charge":
        start, end = (datetime.fromisoformat(document[name]) for name in ("period_start", "period_end"))
        return cls(int(document["budget"]), start, end, int(document["amount"]))


def commit(organization_id: int, usages: Sequence[Usage], now: datetime) -> list[Entry]:
    """Notes that the usage of these authorizations came in, and takes back what was charged for them provisionally: the
    slots of the ledger that this changed.

    Call in the transaction that settles the usage.
    """
    lock_organization(organization_id)
    by_number = _added_up(usages)
    known = Authorization.objects.filter(organization_id=organization_id).in_bulk(list(by_number))
    undone = [
        _Charge.of_json(charge)
        for row in known.values()
        if by_number[row.id].virtual_key_id == row.virtual_key_id
        for charge in row.charges
    ]
    taken_back = _book(organization_id, undone, -1, now)
    for row in known.values():
        usage = by_number[row.id]
        if usage.virtual_key_id != row.virtual_key_id:
            continue
        if row.state == State.COMMITTED:
            usage = usage.plus(Usage(usage.reference, row.virtual_key_id, row.cost, row.tokens, row.requests))
        Authorization.objects.filter(organization_id=organization_id, id=row.id).update(
            state=State.COMMITTED, charges=[], ended_at=now, cost=usage.cost, tokens=usage.tokens,
            requests=usage.requests,
            overrun=_overrun(usage.cost, {unit: int(amount) for unit, amount in row.held.items()}),
        )  # fmt: skip
    Authorization.objects.bulk_create(
        Authorization(
            id=number, organization_id=organization_id, reference=str(usage.reference),
            virtual_key_id=usage.virtual_key_id, state=State.COMMITTED, ended_at=now, cost=usage.cost,
            tokens=usage.tokens, requests=usage.requests,
        )
        for number, usage in by_number.items()
        if number not in known
    )  # fmt: skip
    return taken_back


def note_overruns(organization_id: int, usages: Sequence[Usage], ended: Sequence[Ended]) -> int:
    """Notes which of these came to more than was held for them; how many did. Call inside the organization's scope."""
    by_number = _added_up(usages)
    held = {usage.reference.number: end.held for usage, end in zip(usages, ended, strict=True) if end.held}
    over = {number: _overrun(by_number[number].cost, amounts) for number, amounts in held.items()}
    for number, overrun in over.items():
        if overrun:
            Authorization.objects.filter(organization_id=organization_id, id=number).update(
                overrun=overrun, held={unit: str(amount) for unit, amount in held[number].items()}
            )
    return sum(overrun > 0 for overrun in over.values())


def abandon(organization_id: int, lapsed: Sequence[Lapsed], now: datetime) -> int:
    """Charges abandoned authorizations provisionally, each once however often it is asked, and alerts of the thresholds
    that this crosses; how many were new.

    One whose usage has been settled is left as it is. Call inside the organization's scope.
    """
    lock_organization(organization_id)
    numbers = [hold.reference.number for hold in lapsed]
    known = set(
        Authorization.objects.filter(organization_id=organization_id, id__in=numbers).values_list("id", flat=True)
    )
    fresh = [hold for hold in lapsed if hold.reference.number not in known]
    charged = _slots(organization_id, fresh)
    booked = _book(organization_id, [charge for charges in charged for charge in charges], 1, now)
    if booked:
        tell_crossed(
            organization=Organization.objects.get(id=organization_id),
            budgets=Applying.of_ids(organization_id, {slot.budget_id for slot in booked}), slots=booked, now=now,
        )  # fmt: skip
    Authorization.objects.bulk_create(
        Authorization(
            id=hold.reference.number, organization_id=organization_id, reference=str(hold.reference),
            virtual_key_id=hold.owner, state=State.PROVISIONAL, ended_at=now,
            held={unit: str(amount) for unit, amount in hold.held.items()},
            charges=[charge.as_json() for charge in charges], subject=_record(hold).get("subject", {}),
        )
        for hold, charges in zip(fresh, charged, strict=True)
    )  # fmt: skip
    return len(fresh)


def standing_charges(organization_id: int) -> dict[int, dict[Period, int]]:
    """Budget id → slot of its ledger → what is charged there for authorizations whose usage has not come in."""
    found: dict[int, dict[Period, int]] = defaultdict(lambda: defaultdict(int))
    waiting = Authorization.objects.filter(organization_id=organization_id, state=State.PROVISIONAL)
    for documents in waiting.values_list("charges", flat=True).iterator():
        for charge in map(_Charge.of_json, documents):
            found[charge.budget_id][Period(charge.start, charge.end)] += charge.amount
    return found


def _added_up(usages: Sequence[Usage]) -> dict[int, Usage]:
    """By the authorization's number: several events may name the same one."""
    sums: dict[int, Usage] = {}
    for usage in usages:
        number = usage.reference.number
        sums[number] = sums[number].plus(usage) if number in sums else usage
    return sums


def _overrun(cost: int | None, held: Mapping[str, int]) -> int:
    return max(0, cost - held["cost"]) if cost is not None and "cost" in held else 0


def _record(hold: Lapsed) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(hold.record or "{}")
    return record


def _slots(organization_id: int, lapsed: Sequence[Lapsed]) -> list[list[_Charge]]:
    """Per hold what is charged where: in the slot of each ledger that holds the moment of the authorization."""
    ids = {int(name.partition(".")[0]) for hold in lapsed for name, _, _ in hold.charges}
    budgets = Budget.objects.filter(organization_id=organization_id).in_bulk(ids)
    return [
        [
            _Charge(budget_id, slot.start, slot.end, amount)
            for name, _, amount in hold.charges
            for budget_id in (int(name.partition(".")[0]),)
            if amount and budget_id in budgets
            for slot in (window_of(budgets[budget_id]).slot_at(_made_at(hold)),)
        ]
        for hold in lapsed
    ]


def _made_at(hold: Lapsed) -> datetime:
    return datetime.fromtimestamp(int(_record(hold)["at"]), UTC)


def _book(organization_id: int, charges: Sequence[_Charge], sign: int, now: datetime) -> list[Entry]:
    sums: dict[tuple[int, datetime, datetime], int] = {}
    for charge in charges:
        key = (charge.budget_id, charge.start, charge.end)
        sums[key] = sums.get(key, 0) + sign * charge.amount
    if not sums:
        return []
    keys = sorted(sums)
    with server_cursor() as cursor:
        cursor.execute(
            "INSERT INTO budgets_ledgerentry AS entry (organization_id, id, budget_id, period_start, period_end,"
            " spent, requests, unpriced_requests, fired, settled_at, provisional)"
            " SELECT %(organization)s::bigint, id, budget_id, period_start, period_end, 0, 0, 0, 0,"
            " %(now)s::timestamptz, amount FROM unnest(%(ids)s::bigint[], %(budgets)s::bigint[],"
            " %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(amounts)s::bigint[])"
            " AS charge (id, budget_id, period_start, period_end, amount)"
            " ON CONFLICT (organization_id, budget_id, period_start) DO UPDATE SET"
            f" provisional = entry.provisional + excluded.provisional RETURNING {ENTRY_COLUMNS}",
            {
                "organization": organization_id,
                "now": now,
                "ids": [new_id() for _ in keys],
                "budgets": [budget_id for budget_id, _, _ in keys],
                "starts": [start for _, start, _ in keys],
                "ends": [end for _, _, end in keys],
                "amounts": [sums[key] for key in keys],
            },
        )
        added = {
            (budget, Period(start, end)): Used(provisional=sums[budget, start, end]) for budget, start, end in keys
        }
        return entries_of(cursor.fetchall(), added)
