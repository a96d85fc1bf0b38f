"""Refunds and corrections that callers report: each once, all of a batch or none. Inside the organization's scope."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from budgets.posting import post_corrections
from common.ids import new_id
from common.problems import Fault, Problem, invalid
from corrections.models import ReportedAdjustment
from corrections.services import Actor
from corrections.standing import standing_of
from tenants.models import Organization
from tenants.services import actor_name
from usage.adjustments import Correction, Why
from usage.locks import lock_organization


class Item(NamedTuple):
    """`cost` is the difference to the event's cost, in nano-USD; `id` the caller's own."""

    id: str
    event_time: datetime
    event_id: str
    kind: str
    cost: int
    reason: str


class Accepted(NamedTuple):
    accepted: int
    duplicates: int


def adjustments_report(
    *, organization: Organization, items: Sequence[Item], pointers: Sequence[str], actor: Actor, now: datetime
) -> Accepted:
    """Books what was not reported before.

    Problem 409 for an id that is known with other content, 422 `unknown_reference` for an event that is not there;
    nothing of the batch is booked then.
    """
    # Whoever reports the same at the same time waits here, and finds it known.
    lock_organization(organization.id)
    known = {
        row.external_id: Item(row.external_id, row.event_time, row.event_id, row.kind, row.cost, row.reason)
        for row in ReportedAdjustment.objects.filter(
            organization=organization, external_id__in=[item.id for item in items]
        )
    }
    fresh: dict[str, Item] = {}
    conflicts = []
    for item, pointer in zip(items, pointers, strict=True):
        before = known.get(item.id) or fresh.setdefault(item.id, item)
        if before != item:
            conflicts.append(Fault(f"{pointer}/id", "conflict", "is known with other content"))
    if conflicts:
        raise Problem("conflict", "An adjustment of this id is known with other content.", errors=tuple(conflicts))
    _check_events(organization.id, items, pointers)
    _book(organization, list(fresh.values()), actor, now)
    return Accepted(len(fresh), len(items) - len(fresh))


def _check_events(organization_id: int, items: Sequence[Item], pointers: Sequence[str]) -> None:
    there = standing_of(organization_id, [(item.event_time, item.event_id) for item in items])
    faults = [
        Fault(f"{pointer}/event_id", "unknown_reference", "no event of this organization has this id at this time")
        for item, pointer in zip(items, pointers, strict=True)
        if (item.event_time, item.event_id) not in there
    ]
    if faults:
        raise invalid(*faults)


def _book(organization: Organization, items: Sequence[Item], actor: Actor, now: datetime) -> None:
    by = actor_name(actor)
    ReportedAdjustment.objects.bulk_create(
        ReportedAdjustment(
            id=new_id(),
            organization=organization,
            external_id=item.id,
            event_time=item.event_time,
            event_id=item.event_id,
            kind=item.kind,
            cost=item.cost,
            reason=item.reason,
            reported_by=by,
            created_at=now,
        )
        for item in items
    )
    for (kind, reason), group in groupby(sorted(items, key=_why), key=_why):
        corrections = [Correction(item.event_time, item.event_id, {"cost": item.cost}) for item in group]
        post_corrections(organization=organization, corrections=corrections, why=Why(kind, reason, by), now=now)


def _why(item: Item) -> tuple[str, str]:
    return item.kind, item.reason
