"""Writes to budgets. Each holds the organization's settling lock, so that no event is counted twice or not at all."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError

from budgets.ledger import Crossing, budget_period, mark_fired
from budgets.models import MAX_LIMIT, Budget, LedgerEntry, Scope
from budgets.notices import budget_crossed
from budgets.thresholds import crossed, reached
from common.ids import new_id
from common.problems import Problem
from tenants.models import AccessToken, Organization, Team, User, VirtualKey
from tenants.services import audit_record, zone_checked
from usage.locks import lock_organization
from usage.selectors import ScopeSums, scope_sums

MAX_THRESHOLDS = 10
MAX_THRESHOLD = 100


@dataclass(frozen=True, slots=True)
class Measure:
    """What a budget measures, fixed once it exists."""

    scope_type: str
    team: Team | None
    virtual_key: VirtualKey | None
    period: str
    timezone: str
    week_start: str = "monday"


def budget_create(
    *,
    organization: Organization,
    name: str,
    measure: Measure,
    limit: int,
    thresholds: list[int],
    actor: User | AccessToken | None,
    now: datetime,
) -> Budget:
    """A budget that counts the current period from its start. What was reached before it existed does not fire."""
    lock_organization(organization.id)
    budget = Budget(
        id=new_id(),
        organization=organization,
        name=name,
        scope_type=measure.scope_type,
        team=measure.team,
        virtual_key=measure.virtual_key,
        limit=_limit_checked(limit),
        period=measure.period,
        timezone=zone_checked(measure.timezone),
        week_start=measure.week_start,
        thresholds=_thresholds_checked(thresholds),
        created_at=now,
    )
    period = budget_period(budget, now)
    budget.counts_from = period.start
    budget.full_clean(validate_unique=False)
    budget.save(force_insert=True)
    sums = _sums(budget, period.start, period.end)
    LedgerEntry.objects.create(
        organization=organization,
        budget=budget,
        period_start=period.start,
        period_end=period.end,
        spent=sums.cost,
        requests=sums.requests,
        unpriced_requests=sums.unpriced_requests,
        fired=reached(sums.cost, budget.limit, budget.thresholds),
        settled_at=now,
    )
    audit_record(organization_id=organization.id, actor=actor, action="budget.created", target=budget, now=now)
    return budget


def budget_update(
    *,
    organization: Organization,
    budget: Budget,
    version: int,
    name: str,
    limit: int,
    thresholds: list[int],
    actor: User | AccessToken | None,
    now: datetime,
) -> Budget:
    """Changes name, limit and thresholds of the version the caller saw; Problem 412 `stale-write` for another.

    A lower limit may put the period past a threshold: that alerts like spend would.
    """
    lock_organization(organization.id)
    changed = Budget.objects.filter(
        organization=organization, id=budget.id, version=version, archived_at__isnull=True
    ).update(name=name, limit=_limit_checked(limit), thresholds=_thresholds_checked(thresholds), version=version + 1)
    if not changed:
        raise Problem("stale-write", "Somebody else changed this budget. Look at it again before you save.")
    before, budget = budget, Budget.objects.get(organization=organization, id=budget.id)
    budget.full_clean(validate_unique=False)
    period = budget_period(budget, now)
    entry = LedgerEntry.objects.filter(organization=organization, budget=budget, period_start=period.start).first()
    if entry is not None:
        threshold = crossed(entry.spent, budget.limit, budget.thresholds, fired=entry.fired)
        if threshold is not None:
            mark_fired(organization.id, budget.id, period, threshold)
            budget_crossed(
                crossing=Crossing(budget, period, threshold, int(entry.spent)), organization=organization, now=now
            )
    audit_record(
        organization_id=organization.id, actor=actor, action="budget.updated", target=budget, now=now,
        limit_before=str(before.limit), limit=str(budget.limit),
    )  # fmt: skip
    return budget


def budget_archive(
    *, organization: Organization, budget: Budget, actor: User | AccessToken | None, now: datetime
) -> None:
    """Takes a budget out of force; its ledger stays."""
    lock_organization(organization.id)
    if Budget.objects.filter(organization=organization, id=budget.id, archived_at__isnull=True).update(archived_at=now):
        audit_record(organization_id=organization.id, actor=actor, action="budget.archived", target=budget, now=now)


def _sums(budget: Budget, start: datetime, end: datetime) -> ScopeSums:
    return scope_sums(
        organization_id=budget.organization_id,
        start=start,
        end=end,
        team_id=budget.team_id if budget.scope_type == Scope.TEAM else None,
        virtual_key_id=budget.virtual_key_id if budget.scope_type == Scope.VIRTUAL_KEY else None,
    )


def _limit_checked(limit: int) -> int:
    if not 0 < limit <= MAX_LIMIT:
        raise ValidationError({"limit": "The limit must be more than 0 and at most 1,000,000,000 USD."})
    return limit


def _thresholds_checked(thresholds: list[int]) -> list[int]:
    if len(thresholds) > MAX_THRESHOLDS or len(set(thresholds)) < len(thresholds):
        raise ValidationError({"thresholds": f"Up to {MAX_THRESHOLDS} different percentages."})
    if not all(1 <= threshold <= MAX_THRESHOLD for threshold in thresholds):
        raise ValidationError({"thresholds": f"A threshold is a whole percentage from 1 to {MAX_THRESHOLD}."})
    return sorted(thresholds)
