"""What callers report about events that are stored: refunds, differences of cost, other counts, another status.

Each once, all of a batch or none. Inside the organization's scope.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from budgets.posting import post_corrections
from common.ids import new_id
from common.problems import Fault, Problem, invalid
from corrections.models import ReportedAdjustment, RepriceRun, RunState
from corrections.rerate import Standing, moves, recount
from corrections.services import Actor
from corrections.standing import Position, measures_of, standing_of
from pricing.charge import charge
from pricing.rate import LARGEST_AMOUNT
from pricing.resolve import Book, book_of
from pricing.usage_buckets import BUCKETS, Buckets
from tenants.models import Organization
from tenants.services import actor_name
from usage.adjustments import Correction, Why
from usage.locks import lock_organization
from usage.models import Adjustment

# What is booked as the difference to how the event stands, so that it has to be known what was booked before.
_DEPENDENT = ("status", "usage")


class Item(NamedTuple):
    """`id` is the caller's own. A refund or correction has a `cost`, the difference in nano-USD; a "status" and a
    "usage" say what the event has from now on."""

    id: str
    event_time: datetime
    event_id: str
    kind: str
    reason: str
    cost: int = 0
    status: str = ""
    usage: Buckets | None = None

    @property
    def position(self) -> Position:
        return self.event_time, self.event_id


class Accepted(NamedTuple):
    accepted: int
    duplicates: int


def adjustments_report(
    *, organization: Organization, items: Sequence[Item], pointers: Sequence[str], actor: Actor, now: datetime
) -> Accepted:
    """Books what was not reported before, in the order of the batch.

    Problem 409 for an id that is known with other content, or counts of an event whose repricing is being undone; 422
    `unknown_reference` for an event that is not there. Nothing of the batch is booked then.
    """
    # Whoever reports the same at the same time waits here, and finds it known.
    lock_organization(organization.id)
    known = _known(organization.id, [item.id for item in items])
    fresh: dict[str, Item] = {}
    conflicts = []
    for item, pointer in zip(items, pointers, strict=True):
        before = known.get(item.id) or fresh.setdefault(item.id, item)
        if before != item:
            conflicts.append(Fault(f"{pointer}/id", "conflict", "is known with other content"))
    if conflicts:
        raise Problem("conflict", "An adjustment of this id is known with other content.", errors=tuple(conflicts))
    _check_events(organization.id, items, pointers)
    _check_undoing(organization.id, list(fresh.values()))
    by = actor_name(actor)
    for wave in _waves(list(fresh.values())):
        _book(organization, wave, by, now)
    return Accepted(len(fresh), len(items) - len(fresh))


def _known(organization_id: int, ids: Sequence[str]) -> dict[str, Item]:
    rows = ReportedAdjustment.objects.filter(organization_id=organization_id, external_id__in=ids)
    return {
        row.external_id: Item(
            row.external_id, row.event_time, row.event_id, row.kind, row.reason, row.cost, row.status,
            Buckets(**row.usage) if row.usage is not None else None,
        )
        for row in rows
    }  # fmt: skip


def _check_events(organization_id: int, items: Sequence[Item], pointers: Sequence[str]) -> None:
    there = standing_of(organization_id, [item.position for item in items])
    faults = [
        Fault(f"{pointer}/event_id", "unknown_reference", "no event of this organization has this id at this time")
        for item, pointer in zip(items, pointers, strict=True)
        if item.position not in there
    ]
    if faults:
        raise invalid(*faults)


def _check_undoing(organization_id: int, items: Sequence[Item]) -> None:
    """What a run takes back is what it booked; a charge of other counts in between would no longer be one."""
    undoing = RepriceRun.objects.filter(
        Q(state=RunState.UNDOING) | Q(failed_in=RunState.UNDOING), organization_id=organization_id
    )
    runs = list(undoing.values_list("id", flat=True))
    positions = {item.position for item in items if item.kind == "usage"}
    if not runs or not positions:
        return
    booked = Adjustment.objects.filter(
        organization_id=organization_id, run_id__in=runs, kind="reprice",
        event_time__in={at for at, _ in positions}, event_id__in={event_id for _, event_id in positions},
    )  # fmt: skip
    if not positions.isdisjoint(booked.values_list("event_time", "event_id")):
        raise Problem("conflict", "A repricing of this usage is being undone. Report it again once that has ended.")


def _note(organization: Organization, items: Sequence[Item], by: str, now: datetime) -> None:
    ReportedAdjustment.objects.bulk_create(
        ReportedAdjustment(
            id=new_id(),
            organization=organization,
            external_id=item.id,
            event_time=item.event_time,
            event_id=item.event_id,
            kind=item.kind,
            cost=item.cost,
            status=item.status,
            usage=None if item.usage is None else dict(zip(BUCKETS, item.usage, strict=True)),
            reason=item.reason,
            reported_by=by,
            created_at=now,
        )
        for item in items
    )


def _waves(items: Sequence[Item]) -> list[list[Item]]:
    """The items in groups to be booked one after the other: what depends on how an event stands is alone with it."""
    waves: dict[int, list[Item]] = defaultdict(list)
    taken: dict[Position, int] = {}
    closed: dict[Position, int] = {}
    for item in items:
        at = max(closed.get(item.position, -1) + 1, taken.get(item.position, 0))
        if item.kind in _DEPENDENT:
            at = max(at, taken.get(item.position, -1) + 1)
            closed[item.position] = at
        taken[item.position] = at
        waves[at].append(item)
    return [waves[at] for at in sorted(waves)]


def _book(organization: Organization, items: Sequence[Item], by: str, now: datetime) -> None:
    """Books items of which none depends on another."""
    standing = standing_of(organization.id, [item.position for item in items])
    moving = [item.position for item in items if item.kind == "status"]
    sums = measures_of(organization.id, moving) if moving else {}
    prices = book_of(organization.id)
    # How the events stand was read: from now on, what is reported here is part of it.
    _note(organization, items, by, now)
    booked: dict[Why, list[Correction]] = defaultdict(list)
    for item in items:
        stands = standing[item.position]
        made = _moved(item, sums[item.position]) if item.kind == "status" else _changed(item, stands, prices)
        booked[Why(item.kind, item.reason, by)] += made
    for why, corrections in booked.items():
        post_corrections(organization=organization, corrections=corrections, why=why, now=now)


def _moved(item: Item, sums: Mapping[str, Mapping[str, int]]) -> list[Correction]:
    found = moves(sums, item.status)
    if any(abs(measure) > LARGEST_AMOUNT for _, deltas in found for measure in deltas.values()):
        raise Problem(
            "conflict", f"The amounts booked for the event of adjustment {item.id} are too large to be moved."
        )
    return [Correction(*item.position, deltas, status=status) for status, deltas in found]


def _changed(item: Item, stands: Standing, prices: Book) -> list[Correction]:
    if item.usage is None:
        return [Correction(*item.position, {"cost": item.cost}, status=stands.status)]
    price = prices.resolve(stands.reported_provider, stands.reported_model, stands.service_tier, stands.at)
    charged = charge(price, item.usage, stands.cache)
    change = recount(stands, item.usage, charged)
    if not change.deltas:
        return []
    known = charged.cost is not None
    return [
        Correction(
            *item.position, change.deltas, price.price_id if known else None, price.rule_id if known else None,
            status=stands.status,
        )
    ]  # fmt: skip
