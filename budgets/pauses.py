"""Pausing a budget: for a while it counts, tells and refuses nothing."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db.models import F

from budgets.models import Budget
from budgets.terms import LONGEST_PAUSE
from common.display import moment
from common.problems import Problem
from tenants.models import AccessToken, Organization, User
from tenants.services import audit_record
from usage.locks import lock_organization


def budget_pause(
    *, organization: Organization, budget: Budget, until: datetime, actor: User | AccessToken, now: datetime
) -> Budget:
    """Until then it refuses nothing. ValidationError for an end that has passed or is more than LONGEST_PAUSE away."""
    if not now < until <= now + LONGEST_PAUSE:
        raise ValidationError({"until": f"After now, and within {LONGEST_PAUSE.days} days."})
    return _set(organization, budget, until, actor, now)


def budget_resume(*, organization: Organization, budget: Budget, actor: User | AccessToken, now: datetime) -> Budget:
    """Ends the pause now; changes nothing where there is none."""
    if budget.paused_until is None or budget.paused_until <= now:
        return budget
    return _set(organization, budget, None, actor, now)


def _set(
    organization: Organization, budget: Budget, until: datetime | None, actor: User | AccessToken, now: datetime
) -> Budget:
    lock_organization(organization.id)
    present = Budget.objects.in_force().filter(organization=organization, id=budget.id)
    if not present.update(paused_until=until, version=F("version") + 1):
        raise Problem("conflict", "This budget is out of force.")
    audit_record(
        organization_id=organization.id, actor=actor, action="budget.paused" if until else "budget.resumed",
        target=budget, now=now, name=budget.name, **({"until": moment(until)} if until else {}),
    )  # fmt: skip
    return present.with_scope().get()
