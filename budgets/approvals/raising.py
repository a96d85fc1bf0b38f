"""What an approved request does to its budget, in the transaction of the decision and under its lock."""

from datetime import datetime

from django.core.exceptions import ValidationError

from budgets.limits import base_at, limits_now, limits_of
from budgets.models import MAX_LIMIT, BudgetLimit, IncreaseRequest, LimitKind
from budgets.services import budget_update, limit_moved
from tenants.models import AccessToken, Organization, User
from tenants.services import actor_name


def raise_until(
    *, request: IncreaseRequest, organization: Organization, actor: User | AccessToken, now: datetime
) -> None:
    """Adds the amount until its end; thresholds that are no longer reached may speak again."""
    budget = request.budget
    limit = limits_now([budget], now)[budget.id]
    if limit + request.amount > MAX_LIMIT:
        raise ValidationError({"amount": "Together with the present limit this is more than a limit may be."})
    BudgetLimit.objects.create(
        organization=organization,
        budget=budget,
        kind=LimitKind.INCREASE,
        amount=request.amount,
        starts_at=now,
        ends_at=request.until,
        reason=request.reason,
        made_by=actor_name(actor),
        created_at=now,
    )
    limit_moved(before=budget, budget=budget, limit_before=limit, organization=organization, now=now)


def raise_for_good(
    *, request: IncreaseRequest, organization: Organization, actor: User | AccessToken, now: datetime
) -> None:
    """A new limit from now on, as if somebody had edited it."""
    budget = request.budget
    base = base_at(budget, limits_of([budget])[budget.id], now)
    budget_update(
        organization=organization,
        budget=budget,
        version=budget.version,
        name=budget.name,
        limit=base + request.amount,
        thresholds=budget.thresholds,
        actor=actor,
        now=now,
    )
