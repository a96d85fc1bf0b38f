"""Saying no: why, in exact numbers, written down before it is answered."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from budgets.applying import Subject
from budgets.models import Action
from budgets.reservations.call import Call, does_not_fit, written
from budgets.reservations.claims import Demand, Limit, left_at
from budgets.reservations.counts import Outcome, counts
from budgets.reservations.engine import Refused
from budgets.reservations.models import Reason, Refusal
from common.problems import Problem
from tenants.access import organization_scope
from tenants.models import Membership
from tenants.roles import Permission, Role, may

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Why:
    """One thing that refuses a call, or would have. `details` as in `Refusal`."""

    reason: Reason
    demand: Demand | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def why_of(demand: Demand, left: int, settled: int, now: datetime) -> Why | None:
    """Why this budget has no place for a call, from what was left and settled when it was asked; None when it has."""
    claim, actions = demand.claim, demand.governed.actions
    least = claim.least if demand.governed.budget.enforcement == "hard" else -(2**62)
    stop = claim.stop if demand.applied.tries is None else demand.applied.tries[1]
    if not does_not_fit(left, least, stop):
        return None
    reached = [action for action in actions if left <= left_at(claim.limit, action.at_percent)]
    details: dict[str, Any] = {
        "limit": str(claim.limit), "spent": str(settled), "reserved": str(claim.limit - settled - left),
        "requested": str(claim.amount), "resets_at": demand.governed.window(now).end.isoformat(),
    }  # fmt: skip
    for kind, reason in ((Action.BLOCK, Reason.BLOCKED), (Action.APPROVE, Reason.APPROVAL)):
        parts = [action.at_percent for action in reached if action.action == kind]
        if parts:
            return Why(reason, demand, details | {"percent": min(parts)})
    return Why(Reason.BUDGET, demand, details)


def whys_of(demands: Sequence[Demand], refused: Refused, now: datetime) -> list[Why]:
    """Every budget that refused, the widest first."""
    found = [
        why_of(each, left, settled, now)
        for each, left, settled in zip(demands, refused.lefts, refused.settled, strict=True)
        if each.claim.refuses or each.claim.stop is not None
    ]
    return [why for why in found if why is not None]


def record(
    organization_id: int, *, call: Call, subject: Subject, whys: Sequence[Why], request_id: str, now: datetime,
    shadow: bool = False,
) -> None:  # fmt: skip
    """Writes down that a call was refused, or in shadow would have been; in a transaction of its own."""
    with organization_scope(organization_id):
        Refusal.objects.bulk_create(
            Refusal(
                organization_id=organization_id, request_id=request_id, at=now, virtual_key_id=call.virtual_key_id,
                subject=asdict(subject) | {"id": call.id, "tags": dict(call.tags)}, reason=why.reason,
                budget=why.demand.governed.budget if why.demand else None, details=dict(why.details), shadow=shadow,
            )
            for why in whys
        )  # fmt: skip
        counts.note(organization_id, _outcome(whys[0].reason, shadow=shadow))


def _outcome(reason: Reason, *, shadow: bool) -> Outcome:
    if shadow:
        return Outcome.SHADOW
    return {Reason.RATE: Outcome.RATE_LIMITED, Reason.UNAVAILABLE: Outcome.UNAVAILABLE}.get(reason, Outcome.REFUSED)


def budget_problem(organization_id: int, whys: Sequence[Why]) -> Problem:
    """402, naming the widest budget that refuses, and the others by their ids."""
    first = whys[0]
    demand = first.demand
    if demand is None:
        raise ValueError("a budget must have refused")
    budget, details = demand.governed.budget, first.details
    slug = {Reason.APPROVAL: "approval-required", Reason.UNPRICED: "unpriced-model"}.get(
        first.reason, "budget-exceeded"
    )
    figures = {
        name: written(int(details[name]), budget.unit)
        for name in ("limit", "spent", "reserved", "requested")
        if name in details
    }
    return Problem(
        slug,
        _sentence(first, figures),
        extra={
            "reason": first.reason.value,
            "budget": {"id": str(budget.id), "name": budget.name, "scope": budget.scope_type, "unit": budget.unit},
            **figures,
            "resets_at": details.get("resets_at"),
            **({"percent": details["percent"]} if "percent" in details else {}),
            "may_raise": who_may_raise(organization_id),
            "also_refused_by": [str(why.demand.governed.budget.id) for why in whys[1:] if why.demand],
        },
    )


def _sentence(why: Why, figures: Mapping[str, str]) -> str:
    name = f"“{why.demand.governed.budget.name}”" if why.demand else "A budget"
    match why.reason:
        case Reason.UNPRICED:
            return f"The budget {name} refuses models without a known price."
        case Reason.APPROVAL:
            return f"The budget {name} is used to {why.details['percent']} %; from there on it asks for approval."
        case Reason.BLOCKED:
            return f"The budget {name} is used to {why.details['percent']} %; from there on it refuses."
    return (
        f"The budget {name} has no room: {figures['spent']} spent and {figures['reserved']} reserved of"
        f" {figures['limit']}, {figures['requested']} asked for."
    )


def who_may_raise(organization_id: int) -> dict[str, list[str]]:
    """The roles that may change budgets, and the first of those who have them."""
    roles = [role.value for role in Role if may(role, Permission.EDIT_BUDGETS)]
    with organization_scope(organization_id):
        members = Membership.objects.filter(organization_id=organization_id, role__in=roles).order_by("id")
        emails = members.values_list("user__email", flat=True)[:MOST_NAMED]
        return {"roles": roles, "members": list(emails)}


def rate_problem(limit: Limit, wait_ns: int) -> Problem:
    """429: the same call fits after a while."""
    seconds = max(1, math.ceil(wait_ns / 10**9))
    return Problem(
        "rate-limited",
        f"The limit of {limit.per_minute} {limit.unit} per minute of the {limit.scope} is used up.",
        headers={"Retry-After": str(seconds)},
        extra={"scope": limit.scope, "id": str(limit.id), "unit": limit.unit, "per_minute": limit.per_minute},
    )
