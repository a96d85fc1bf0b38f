"""Writes to budgets. Each holds the organization's settling lock, so that no event is counted twice or not at all."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError

from budgets.ledger import Crossing, budget_period, mark_fired
from budgets.models import MAX_LIMIT, Budget, LedgerEntry, Scope
from budgets.nesting import contains
from budgets.notices import budget_crossed
from budgets.thresholds import crossed, reached
from common.display import usd_exact
from common.ids import new_id
from common.periods import Period
from common.problems import Problem
from tenants.models import AccessToken, Organization, Team, User, VirtualKey
from tenants.selectors import team_parents
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
    """A budget that counts the current period from its start. What was reached before it existed does not fire.

    ValidationError for a limit above that of a wider budget, or below that of a narrower one.
    """
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
        counts_from=now,
    )
    budget.full_clean(validate_unique=False)
    _check_nesting(budget)
    period = budget_period(budget, now)
    budget.counts_from = period.start
    budget.save(force_insert=True)
    _count_what_was_settled(budget, period, now)
    audit_record(
        organization_id=organization.id, actor=actor, action="budget.created", target=budget, now=now,
        name=budget.name, limit=usd_exact(budget.limit),
    )  # fmt: skip
    return budget


def _count_what_was_settled(budget: Budget, period: Period, now: datetime) -> None:
    """Entries of the current period and, as events may be dated a little ahead, of one that is about to begin."""
    while period.start <= now + timedelta(seconds=settings.EVENT_MAX_AHEAD_SECONDS):
        sums = _sums(budget, period)
        LedgerEntry.objects.create(
            organization=budget.organization,
            budget=budget,
            period_start=period.start,
            period_end=period.end,
            spent=sums.cost,
            requests=sums.requests,
            unpriced_requests=sums.unpriced_requests,
            fired=reached(sums.cost, budget.limit, budget.thresholds),
            settled_at=now,
        )
        period = budget_period(budget, period.end)


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

    A lower limit may put the period past a threshold: that alerts like spend would. A higher one lets the thresholds
    that are no longer reached fire again.
    """
    lock_organization(organization.id)
    budget = _unchanged(budget, version)
    limit_before = budget.limit
    budget.name, budget.limit, budget.version = name, _limit_checked(limit), version + 1
    budget.thresholds = _thresholds_checked(thresholds)
    budget.full_clean(validate_unique=False)
    if budget.limit != limit_before:
        _check_nesting(budget)
    budget.save(update_fields=["name", "limit", "thresholds", "version"])
    report_anew(budget, organization, now)
    audit_record(
        organization_id=organization.id, actor=actor, action="budget.updated", target=budget, now=now,
        name=budget.name, limit_before=usd_exact(limit_before), limit=usd_exact(budget.limit),
    )  # fmt: skip
    return budget


def _unchanged(budget: Budget, version: int) -> Budget:
    """The budget as it stands, locked; Problem 412 when it is not the one the caller saw."""
    current = Budget.objects.in_force().select_for_update(of=("self",)).with_scope()
    found = current.filter(organization_id=budget.organization_id, id=budget.id, version=version).first()
    if found is None:
        raise Problem("stale-write", "Somebody else changed this budget. Look at it again before you save.")
    return found


def report_anew(budget: Budget, organization: Organization, now: datetime) -> None:
    """After the limit moved: thresholds that are passed now speak, those no longer reached may speak again."""
    period = budget_period(budget, now)
    entry = LedgerEntry.objects.filter(organization=organization, budget=budget, period_start=period.start).first()
    if entry is None:
        return
    still = min(entry.fired, reached(entry.spent, budget.limit, budget.thresholds))
    threshold = crossed(entry.spent, budget.limit, budget.thresholds, fired=still)
    if (threshold or still) != entry.fired:
        mark_fired(organization.id, budget.id, period, threshold or still)
    if threshold is not None:
        crossing = Crossing(budget, period, threshold, int(entry.spent))
        budget_crossed(crossing=crossing, organization=organization, now=now)


def budget_archive(
    *,
    organization: Organization,
    budget: Budget,
    actor: User | AccessToken | None,
    now: datetime,
    version: int | None = None,
) -> None:
    """Takes a budget out of force; its ledger stays. With a version: only as the caller saw it, else Problem 412."""
    lock_organization(organization.id)
    if version is not None:
        _unchanged(budget, version)
    if Budget.objects.in_force().filter(organization=organization, id=budget.id).update(archived_at=now):
        audit_record(
            organization_id=organization.id, actor=actor, action="budget.archived", target=budget, now=now,
            name=budget.name,
        )  # fmt: skip


def _sums(budget: Budget, period: Period) -> ScopeSums:
    return scope_sums(
        organization_id=budget.organization_id,
        start=period.start,
        end=period.end,
        team_id=budget.team_id if budget.scope_type == Scope.TEAM else None,
        virtual_key_id=budget.virtual_key_id if budget.scope_type == Scope.VIRTUAL_KEY else None,
    )


def _check_nesting(budget: Budget) -> None:
    """A part is never allowed more than the whole it belongs to, in periods of the same kind."""
    others = Budget.objects.in_force().filter(organization_id=budget.organization_id, period=budget.period)
    parents = team_parents(budget.organization_id)
    for other in others.exclude(id=budget.id).with_scope():
        if other.limit < budget.limit and contains(other, budget, parents):
            raise ValidationError(
                {"limit": f"At most {usd_exact(other.limit)}: that is the limit of {other.name}, which includes this."}
            )
        if other.limit > budget.limit and contains(budget, other, parents):
            raise ValidationError(
                {"limit": f"At least {usd_exact(other.limit)}: that is the limit of {other.name}, which is part of it."}
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
