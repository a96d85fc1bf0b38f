"""A repricing at work: batch by batch, each in one transaction with the cursor that says how far it is.

Workers may run it at the same time and may die anywhere in it: a run is worked on by whoever holds its row, and what a
batch booked and that it is done commit together.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import DatabaseError, OperationalError

from budgets.posting import post_corrections
from corrections.models import AT_WORK, RepriceRun, RunState
from corrections.preview import preview_add, preview_end
from corrections.rerate import Change, Standing, difference
from corrections.standing import Position, Scope, standing_after, statuses_of
from corrections.unpriced_alerts import priced_models_recover, unpriced_models_fire_again
from pricing.book import Resolution
from pricing.charge import charge
from pricing.resolve import book_of
from tenants.access import organization_scope
from tenants.services import audit_record
from usage.adjustments import Correction, Why
from usage.locks import lock_organization
from usage.models import Adjustment
from usage.tables import MEASURES

log = logging.getLogger(__name__)

# Events per transaction: settling waits for the lock meanwhile, so not more than a fraction of a second's work.
BATCH = 2_000


def scope_of(run: RepriceRun) -> Scope:
    return Scope(run.organization_id, run.starts_at, run.ends_at, run.provider, run.model, run.unpriced_only)


def work_off(organization_id: int, now: datetime) -> int:
    """Goes one batch on with every run of an organization that is at work; the number of runs that have more to do."""
    with organization_scope(organization_id):
        waiting = RepriceRun.objects.filter(organization_id=organization_id, state__in=AT_WORK)
        ids = list(waiting.order_by("id").values_list("id", flat=True))
    return sum(advance(organization_id, run_id, now) for run_id in ids)


def advance(organization_id: int, run_id: int, now: datetime) -> bool:
    """One batch of a run, in a transaction of its own; whether there is more to do that nobody else is at.

    A run that fails says so and waits until it is tried again; what it had booked before stands.
    """
    try:
        with organization_scope(organization_id):
            run = _taken(organization_id, run_id)
            if run is None:
                return False
            _STEPS[RunState(run.state)](run, now)
            run.save()
            return run.at_work
    except OperationalError:
        raise
    except (DatabaseError, ArithmeticError, LookupError, ValueError, TypeError) as error:
        log.exception("repricing %s of organization %s failed", run_id, organization_id)
        _fail(organization_id, run_id, error)
        return False


def _taken(organization_id: int, run_id: int) -> RepriceRun | None:
    """The run, if it is at work and no other worker is at it."""
    runs = RepriceRun.objects.select_for_update(skip_locked=True, of=("self",)).select_related("organization")
    return runs.filter(organization_id=organization_id, id=run_id, state__in=AT_WORK).first()


def _fail(organization_id: int, run_id: int, error: Exception) -> None:
    with organization_scope(organization_id):
        run = _taken(organization_id, run_id)
        if run is not None:
            run.failed_in, run.state = run.state, RunState.FAILED
            run.error = f"{type(error).__name__}: {error}"[:500]
            run.save()


def _preview(run: RepriceRun, now: datetime) -> None:
    found = _next(run)
    preview_add(run, [(each.standing, each.change) for each in _rated(run, found)], now)
    if len(found) == BATCH:
        run.cursor_at, run.cursor_id = found[-1].at, found[-1].event_id
        return
    preview_end(run, now)
    run.state, run.previewed_at = RunState.PREVIEWED, now
    rewind(run)
    if run.apply_at_once:
        run.state = RunState.APPLYING


def _apply(run: RepriceRun, now: datetime) -> None:
    # Nothing may be booked between reading how the events stand and booking the difference.
    lock_organization(run.organization_id)
    found = _next(run)
    rated = _rated(run, found)
    corrections = [_correction(each) for each in rated if each.change.deltas]
    _count_booked(run, corrections)
    why = Why("reprice", run.reason, run.started_by, run.id)
    post_corrections(organization=run.organization, corrections=corrections, why=why, now=now)
    run.events_booked += len(corrections)
    run.events_done += len(rated)
    if len(found) == BATCH:
        run.cursor_at, run.cursor_id = found[-1].at, found[-1].event_id
        return
    run.state, run.applied_at = RunState.APPLIED, now
    rewind(run)
    priced_models_recover(run.organization_id, now)
    _audit(run, "reprice_run.applied", now)


def _undo(run: RepriceRun, now: datetime) -> None:
    lock_organization(run.organization_id)
    found = _booked(run)
    corrections = _reversed(run, found)
    _count_booked(run, corrections)
    why = Why("undo", f"Undone: {run.reason}"[:200], run.started_by, run.id)
    post_corrections(organization=run.organization, corrections=corrections, why=why, now=now)
    run.events_booked -= len(found)
    run.events_done += len(found)
    if len(found) == BATCH:
        run.cursor_at, run.cursor_id = found[-1].booked_at, str(found[-1].id)
        return
    run.state, run.undone_at = RunState.UNDONE, now
    rewind(run)
    unpriced_models_fire_again(run, now)
    _audit(run, "reprice_run.undone", now)


_STEPS: dict[RunState, Callable[[RepriceRun, datetime], None]] = {
    RunState.PREVIEWING: _preview,
    RunState.APPLYING: _apply,
    RunState.UNDOING: _undo,
}


def rewind(run: RepriceRun) -> None:
    """The next step begins at the beginning."""
    run.cursor_at, run.cursor_id = None, ""


def _next(run: RepriceRun) -> list[Standing]:
    after = (run.cursor_at, run.cursor_id) if run.cursor_at is not None else None
    return standing_after(scope_of(run), after, BATCH)


class _Rated(NamedTuple):
    standing: Standing
    price: Resolution
    change: Change


def _rated(run: RepriceRun, found: Sequence[Standing]) -> list[_Rated]:
    """Every event with what the prices of today make of it; what has its price already is none of an unpriced run's."""
    book = book_of(run.organization_id)
    rated = []
    for each in found:
        if run.unpriced_only and not each.unpriced:
            continue
        price = book.resolve(each.reported_provider, each.reported_model, each.service_tier, each.at)
        rated.append(_Rated(each, price, difference(each, charge(price, each.buckets, each.cache))))
    return rated


def _correction(rated: _Rated) -> Correction:
    standing, price, change = rated
    return Correction(
        standing.at, standing.event_id, change.deltas, price.price_id, price.rule_id, status=standing.status
    )


def _reversed(run: RepriceRun, rows: Sequence[Adjustment]) -> list[Correction]:
    """The opposite of what was booked, under the status to which it may have been moved since."""
    positions = [_position(row) for row in rows]
    statuses = statuses_of(run.organization_id, positions)
    return [
        Correction(*position, {name: -int(getattr(row, name)) for name in MEASURES}, status=statuses.get(position))
        for row, position in zip(rows, positions, strict=True)
    ]


def _position(row: Adjustment) -> Position:
    if row.event_time is None or row.event_id is None:
        raise LookupError(f"adjustment {row.id} of a repricing is about no event")
    return row.event_time, row.event_id


def _count_booked(run: RepriceRun, corrections: Sequence[Correction]) -> None:
    run.list_cost_booked += sum(each.deltas["list_cost"] for each in corrections)
    run.cost_booked += sum(each.deltas["cost"] for each in corrections)


def _booked(run: RepriceRun) -> list[Adjustment]:
    """The next adjustments of the run. They were booked at their event's time or, where that was closed, at work."""
    rows = Adjustment.objects.filter(organization_id=run.organization_id, run_id=run.id, kind="reprice")
    rows = rows.filter(booked_at__gte=run.cursor_at or run.starts_at)
    if run.cursor_at is not None:
        rows = rows.exclude(booked_at=run.cursor_at, id__lte=int(run.cursor_id))
    return list(rows.order_by("booked_at", "id")[:BATCH])


def _audit(run: RepriceRun, action: str, now: datetime) -> None:
    audit_record(
        organization_id=run.organization_id, actor=None, action=action, target=run, now=now, reason=run.reason,
        started_by=run.started_by, events=str(run.events_booked), cost=str(run.cost_booked),
    )  # fmt: skip
