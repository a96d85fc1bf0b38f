"""Writes to budgets. Each holds the organization's settling lock, so that no event is counted twice or not at all."""

from collections.abc import Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from alerts.endings import subject_ends
from budgets.amounts import spoken_exact
from budgets.applying import counted, first_counted, usage_scope, window_of
from budgets.crossings import changed_crossings, note_reached
from budgets.fitting import check_fits
from budgets.limits import base_at, limit_at, limits_of
from budgets.models import Budget, BudgetAction, BudgetLimit, LedgerEntry, LimitKind
from budgets.notices import budget_crossed
from budgets.terms import (
    TERM_FIELDS,
    Measure,
    Terms,
    limit_checked,
    measure_checked,
    terms_checked,
    terms_of,
    thresholds_checked,
)
from common.ids import new_id
from common.problems import Problem
from tenants.models import AccessToken, Organization, User
from tenants.services import actor_name, audit_record, zone_checked
from usage.locks import lock_organization
from usage.scopes import scope_sums

Actor = User | AccessToken | None
AS_USUAL = Terms()


def budget_create(
    *,
    organization: Organization,
    name: str,
    measure: Measure,
    limit: int,
    thresholds: Sequence[int],
    actor: Actor,
    now: datetime,
    terms: Terms = AS_USUAL,
) -> Budget:
    """A budget that counts the current window from its start. What was reached before it existed does not fire.

    ValidationError for a limit above that of a wider budget, or below that of a narrower one.
    """
    lock_organization(organization.id)
    budget = Budget(
        id=new_id(),
        organization=organization,
        name=name,
        limit=limit_checked(limit, measure.unit),
        timezone=zone_checked(measure.timezone),
        thresholds=thresholds_checked(thresholds),
        created_at=now,
        counts_from=now,
        **measure_checked(measure),
        **terms_checked(terms, period=measure.period, now=now),
    )
    budget.full_clean(validate_unique=False)
    first = _base(budget, limit, starts_at=now, actor=actor, now=now)
    check_fits(budget, [first], now)
    budget.counts_from = first_counted(budget, now)
    budget.save(force_insert=True)
    first.save(force_insert=True)
    _write_actions(budget, terms)
    _count_what_was_settled(budget, now)
    note_reached(budget, now)
    audit_record(
        organization_id=organization.id, actor=actor, action="budget.created", target=budget, now=now,
        name=budget.name, limit=spoken_exact(budget.unit, limit),
    )  # fmt: skip
    return budget


def budget_update(
    *,
    organization: Organization,
    budget: Budget,
    version: int,
    name: str,
    limit: int | None,
    thresholds: Sequence[int],
    actor: Actor,
    now: datetime,
    terms: Terms | None = None,
    limit_from: datetime | None = None,
) -> Budget:
    """Changes what may change of the version the caller saw; Problem 412 `stale-write` for another.

    Without a limit it stays, and without terms they do. The limit changes at once, or from `limit_from` on, which lies
    in the future.

    A lower limit may put the window past a threshold: that alerts like spend would. A higher one lets the thresholds
    that are no longer reached fire again.
    """
    lock_organization(organization.id)
    budget = unchanged(budget, version)
    before, terms_before, history = copy(budget), terms_of(budget), limits_of([budget])[budget.id]
    in_force = limit_at(budget, history, now)
    added = _limit_added(budget, history, limit, limit_from, actor, now)
    limits = [*history, *added]
    terms = terms or terms_before
    columns = terms_checked(terms, period=budget.period, now=now, before=terms_before)
    _set(budget, name, thresholds, columns)
    budget.limit = base_at(budget, limits, now)
    budget.full_clean(validate_unique=False)
    if added or (before.overcommit and not budget.overcommit):
        check_fits(budget, limits, now)
    budget.save(update_fields=["name", "limit", "thresholds", "version", *TERM_FIELDS])
    for written in added:
        written.save(force_insert=True)
    if list(terms.actions) != list(terms_before.actions):
        _write_actions(budget, terms)
    limit_moved(before=before, budget=budget, limit_before=in_force, organization=organization, now=now)
    audit_record(
        organization_id=organization.id, actor=actor, action="budget.updated", target=budget, now=now,
        name=budget.name, limit_before=spoken_exact(budget.unit, base_at(budget, history, now)),
        limit=spoken_exact(budget.unit, budget.limit), **_planned(budget, added, now),
        **_changed_terms(terms_before, terms),
    )  # fmt: skip
    return budget


def limit_moved(
    *, before: Budget, budget: Budget, limit_before: int, organization: Organization, now: datetime
) -> None:
    """Tells of every threshold that a change of the limit has put the window past; what is no longer reached may fire
    again. `limit_before` is what was in force."""
    for crossing in changed_crossings(before, budget, limit_before, now):
        budget_crossed(crossing=crossing, organization=organization, now=now)


def unchanged(budget: Budget, version: int) -> Budget:
    """The budget as it stands, locked; Problem 412 when it is not the one the caller saw."""
    current = Budget.objects.in_force().select_for_update(of=("self",)).with_scope()
    found = current.filter(organization_id=budget.organization_id, id=budget.id, version=version).first()
    if found is None:
        raise Problem("stale-write", "Somebody else changed this budget. Look at it again before you save.")
    return found


def _limit_added(
    budget: Budget,
    history: Sequence[BudgetLimit],
    limit: int | None,
    limit_from: datetime | None,
    actor: Actor,
    now: datetime,
) -> list[BudgetLimit]:
    """What a change adds to the history of the limit."""
    if limit_from is not None and limit_from <= now:
        raise ValidationError({"limit_from": "A limit changes at once, or at an instant in the future."})
    if limit is None or (limit_from is None and limit == base_at(budget, history, now)):
        return []
    limit_checked(limit, budget.unit)
    return [_base(budget, limit, starts_at=limit_from or now, actor=actor, now=now)]


def _planned(budget: Budget, added: Sequence[BudgetLimit], now: datetime) -> dict[str, str]:
    """For the audit trail: a change of the limit that is yet to come."""
    ahead = [f"{spoken_exact(budget.unit, each.amount)} from {each.starts_at.isoformat()}" for each in added
             if each.starts_at > now]  # fmt: skip
    return {"limit_ahead": ahead[0]} if ahead else {}


def _base(budget: Budget, amount: int, *, starts_at: datetime, actor: Actor, now: datetime) -> BudgetLimit:
    return BudgetLimit(
        organization_id=budget.organization_id,
        budget=budget,
        kind=LimitKind.BASE,
        amount=amount,
        starts_at=starts_at,
        made_by=actor_name(actor),
        created_at=now,
    )


def _set(budget: Budget, name: str, thresholds: Sequence[int], columns: dict[str, Any]) -> None:
    budget.name, budget.version = name, budget.version + 1
    budget.thresholds = thresholds_checked(thresholds)
    for column, value in columns.items():
        setattr(budget, column, value)


def _changed_terms(before: Terms, after: Terms) -> dict[str, str]:
    """For the audit trail: the terms that are others now."""
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in Terms.__slots__]
    return {name: f"{_plain(old)} → {_plain(new)}" for name, old, new in pairs if _plain(old) != _plain(new)}


def _plain(value: Any) -> Any:
    """Sequences as lists, so that they compare and read alike."""
    return list(value) if isinstance(value, list | tuple) else value


def _write_actions(budget: Budget, terms: Terms) -> None:
    BudgetAction.objects.filter(organization_id=budget.organization_id, budget=budget).delete()
    BudgetAction.objects.bulk_create(
        BudgetAction(
            organization_id=budget.organization_id,
            budget=budget,
            at_percent=each.at_percent,
            action=each.action,
            requests_per_minute=each.requests_per_minute,
            tokens_per_minute=each.tokens_per_minute,
        )
        for each in terms.actions
    )


def _count_what_was_settled(budget: Budget, now: datetime) -> None:
    """Entries of the slots of the current window and, as events may be dated a little ahead, of one about to begin."""
    until = now + timedelta(seconds=settings.EVENT_MAX_AHEAD_SECONDS)
    slots = list(window_of(budget).slots(budget.counts_from, until))
    sums = scope_sums(usage_scope(budget), [counted(budget, slot) for slot in slots])
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            organization_id=budget.organization_id,
            budget=budget,
            period_start=slot.start,
            period_end=slot.end,
            spent=sums_.cost,
            tokens=sums_.tokens,
            requests=sums_.requests,
            unpriced_requests=sums_.unpriced_requests,
            settled_at=now,
        )
        for slot, sums_ in zip(slots, sums, strict=True)
    )


def budget_archive(
    *,
    organization: Organization,
    budget: Budget,
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> None:
    """Takes a budget out of force. Its ledger stays, and what fires about it ends. With a version: only as the caller
    saw it, else Problem 412."""
    lock_organization(organization.id)
    if version is not None:
        unchanged(budget, version)
    if Budget.objects.in_force().filter(organization=organization, id=budget.id).update(archived_at=now):
        subject_ends(
            organization_id=organization.id, subject=f"budget:{budget.id}", why="The budget was archived.", now=now
        )
        audit_record(
            organization_id=organization.id, actor=actor, action="budget.archived", target=budget, now=now,
            name=budget.name,
        )  # fmt: skip
