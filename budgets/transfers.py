"""Moving a part of a limit from one budget to another beside it, for the rest of their common period."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError

from budgets.amounts import spoken_exact
from budgets.applying import window_of
from budgets.approvals.selectors import team_id_of
from budgets.limits import limits_now
from budgets.models import MAX_LIMIT, Budget, BudgetLimit, LimitKind, Scope
from budgets.services import limit_moved
from budgets.standing import used
from budgets.windows import ROLLING, TOTAL
from common.periods import Period
from tenants.models import AccessToken, Organization, User
from tenants.services import actor_name, audit_record
from usage.locks import lock_organization

REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Spare:
    """A budget that could give something: `left` is its limit without what was used of it."""

    budget: Budget
    limit: int
    left: int


def transfer(
    *,
    organization: Organization,
    source: Budget,
    target: Budget,
    amount: int,
    reason: str,
    actor: User | AccessToken,
    now: datetime,
) -> tuple[BudgetLimit, BudgetLimit]:
    """Takes the amount, in the unit of both, from the source and adds it to the target until their period ends.

    The two lie in the same scope and count the same unit in the same period, so what is allowed in that scope as a
    whole stays as it was. ValidationError for other budgets, or for more than the source has left.
    """
    lock_organization(organization.id)
    budgets = Budget.objects.in_force().with_scope().filter(organization=organization, id__in=[source.id, target.id])
    found = {budget.id: budget for budget in budgets}
    if len(found) < 2 or target.id not in {each.id for each in beside(found[source.id], list(found.values()), now)}:
        raise ValidationError({"to": "Another budget of the same scope, unit and period, in force."})
    source, target = found[source.id], found[target.id]
    limits = limits_now([source, target], now)
    _check_amount(source, target, amount, limits, now)
    period = window_of(source).at(now)
    rows = (
        _row(source, -amount, period, f"To {target.name}: {_reason_checked(reason)}", actor, now),
        _row(target, amount, period, f"From {source.name}: {_reason_checked(reason)}", actor, now),
    )
    BudgetLimit.objects.bulk_create(rows)
    for budget in (source, target):
        limit_moved(before=budget, budget=budget, limit_before=limits[budget.id], organization=organization, now=now)
    audit_record(
        organization_id=organization.id, actor=actor, action="budget.transferred", target=source, now=now,
        amount=spoken_exact(source.unit, amount), reason=reason.strip(), **{"from": source.name, "to": target.name},
    )  # fmt: skip
    return rows


def beside(budget: Budget, others: Sequence[Budget], now: datetime) -> list[Budget]:
    """Those of the others, loaded `with_scope`, that it may share its limit with. Pure.

    Rolling windows and totals have no end that two budgets could have in common.
    """
    if budget.scope_type == Scope.ORGANIZATION or budget.period in {ROLLING, TOTAL}:
        return []
    return [
        other
        for other in others
        if other.id != budget.id
        and other.scope_type != Scope.ORGANIZATION
        and (other.unit, other.period, _above(other)) == (budget.unit, budget.period, _above(budget))
        and window_of(other).at(now) == window_of(budget).at(now)
    ]


def spares(budget: Budget, now: datetime) -> list[Spare]:
    """The budgets in force beside it, with what each has left, most first. Three queries."""
    others = (
        Budget.objects.in_force()
        .with_scope()
        .filter(organization_id=budget.organization_id, unit=budget.unit, period=budget.period)
    )
    found = beside(budget, list(others), now)
    limits, spent = limits_now(found, now), used(found, now)
    lines = [Spare(each, limits[each.id], limits[each.id] - spent[each.id].of(each.unit)) for each in found]
    return sorted(lines, key=lambda line: (-line.left, line.budget.name))


def _above(budget: Budget) -> int | None:
    """The team that holds the budget's scope; None: the organization does."""
    if budget.scope_type == Scope.TEAM and budget.team is not None:
        above: int | None = budget.team.parent_id
        return above
    return team_id_of(budget)


def _check_amount(source: Budget, target: Budget, amount: int, limits: Mapping[int, int], now: datetime) -> None:
    left = limits[source.id] - used([source], now)[source.id].of(source.unit)
    # A limit of nothing is none: at least one unit stays.
    most = min(left, limits[source.id] - 1)
    if not 0 < amount <= most:
        raise ValidationError(
            {"amount": f"More than 0 and at most {spoken_exact(source.unit, max(0, most))}: what is left."}
        )
    if limits[target.id] + amount > MAX_LIMIT:
        raise ValidationError({"amount": "Together with the present limit this is more than a limit may be."})


def _reason_checked(reason: str) -> str:
    if not reason.strip() or len(reason) > REASON_LENGTH:
        raise ValidationError({"reason": f"Say why, in up to {REASON_LENGTH} characters."})
    return reason.strip()


def _row(
    budget: Budget, amount: int, period: Period, reason: str, actor: User | AccessToken, now: datetime
) -> BudgetLimit:
    return BudgetLimit(
        organization_id=budget.organization_id,
        budget=budget,
        kind=LimitKind.TRANSFER,
        amount=amount,
        starts_at=now,
        ends_at=period.end,
        reason=reason,
        made_by=actor_name(actor),
        created_at=now,
    )
