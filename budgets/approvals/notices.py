"""What is said when somebody asks for more, and when it is decided."""

from collections.abc import Sequence
from datetime import datetime

from alerts.endings import alerts_end, open_alerts
from alerts.facts import Fact
from alerts.kinds import AlertKind
from alerts.services import Person, alert_acknowledge, alert_raise
from budgets.amounts import spoken_exact, to_text
from budgets.approvals.link import Invited, decision_path
from budgets.labels import scope_label
from budgets.models import Budget, IncreaseRequest, RequestState, Unit
from tenants.models import AccessToken, Membership, Organization, User

_Facts = dict[str, Fact | None]


def increase_requested(
    *, request: IncreaseRequest, organization: Organization, limit: int, approvers: Sequence[Membership], now: datetime
) -> None:
    """Tells the channels, and each approver with a link of their own. `limit` is the one in force."""
    budget = request.budget
    alert_raise(
        organization_id=organization.id,
        kind=AlertKind.INCREASE_REQUESTED,
        dedup_key=_key(request, "requested"),
        severity="info",
        title=f"{request.asked_by} asks for {spoken_exact(budget.unit, request.amount)} more on {budget.name}",
        facts=_facts(request, organization) | _limits(budget, limit, request.amount),
        now=now,
        people=[
            Person(member.user.email, decision_path(Invited(organization.id, request.id, member.id)))
            for member in approvers
        ],
    )


def increase_decided(
    *,
    request: IncreaseRequest,
    organization: Organization,
    actor: User | AccessToken,
    asker: User | None,
    now: datetime,
) -> None:
    """Tells the channels, and by email the member who asked (None: no member did, or they are gone, or decided)."""
    words = {RequestState.APPROVED: "approved", RequestState.DENIED: "denied"}[RequestState(request.state)]
    _take_down(request, actor, "It was decided.", now)
    alert_raise(
        organization_id=organization.id,
        kind=AlertKind.INCREASE_DECIDED,
        dedup_key=_key(request, "decided"),
        severity="info",
        title=f"{spoken_exact(request.budget.unit, request.amount)} more on {request.budget.name}: {words}",
        facts=_facts(request, organization)
        | {"decision": words, "decided_by": request.decided_by, "note": request.note or None},
        now=now,
        people=[Person(asker.email)] if asker is not None else [],
    )


def increase_withdrawn(*, request: IncreaseRequest, actor: User | AccessToken | None, now: datetime) -> None:
    """Nobody needs to look at it any more. None: a virtual key withdrew it, which acknowledges nothing."""
    _take_down(request, actor, "It was withdrawn.", now)


def _take_down(request: IncreaseRequest, actor: User | AccessToken | None, why: str, now: datetime) -> None:
    """The alert that asked for a decision is over."""
    asked = open_alerts(request.organization_id).filter(dedup_key=_key(request, "requested"))
    for alert in asked:
        if actor is not None:
            alert_acknowledge(alert=alert, actor=actor, now=now)
    alerts_end(asked, why=why, now=now)


def _key(request: IncreaseRequest, what: str) -> str:
    return f"increase:{request.id}:{what}"


def _facts(request: IncreaseRequest, organization: Organization) -> _Facts:
    budget = request.budget
    return {
        "budget": budget.name,
        "scope": scope_label(budget),
        "increase": _amount(request.amount, budget),
        "until": request.until.isoformat() if request.until else None,
        "lasts": None if request.until else "for good",
        "asked_by": request.asked_by,
        "reason": request.reason,
        "timezone": budget.timezone,
        "link": f"/o/{organization.slug}/budgets/requests/{request.id}",
    }


def _limits(budget: Budget, limit: int, amount: int) -> _Facts:
    return {"limit_now": _amount(limit, budget), "limit_then": _amount(limit + amount, budget)}


def _amount(amount: int, budget: Budget) -> str | None:
    """A decimal string of USD, which alerts know to write; tokens and requests as text."""
    return to_text(Unit.COST, amount) if budget.unit == Unit.COST else spoken_exact(budget.unit, amount)
