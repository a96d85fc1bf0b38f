"""Asking for more than a budget allows, and deciding on it. Each holds the organization's settling lock: two decisions
on one request come one after the other, and a limit moves between two settlements, never within one."""

from datetime import datetime, timedelta

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from budgets.amounts import spoken_exact
from budgets.approvals.link import LIFETIME
from budgets.approvals.notices import increase_decided, increase_requested, increase_withdrawn
from budgets.approvals.raising import raise_for_good, raise_until
from budgets.approvals.rule import Verdict
from budgets.approvals.selectors import Desk, active_members, increase_requests, open_requests
from budgets.limits import limits_now
from budgets.models import MAX_LIMIT, Budget, IncreaseRequest, RequestState
from common.display import moment
from common.ids import new_id
from common.problems import Problem
from tenants.models import AccessToken, Membership, Organization, User, VirtualKey
from tenants.services import actor_name, audit_record
from usage.locks import lock_organization

MOST_OPEN = 200
# Each tells people: somebody who asks, withdraws and asks again must not flood them.
MOST_A_DAY = 10
LONGEST = timedelta(days=366)
# So many are mailed; the page of the request is open to all who may decide.
MOST_ASKED = 20
NOTE_LENGTH = 500

Asker = User | AccessToken | VirtualKey


def increase_ask(
    *,
    organization: Organization,
    budget: Budget,
    asker: Asker,
    amount: int,
    until: datetime | None,
    reason: str,
    now: datetime,
) -> IncreaseRequest:
    """A request that waits for a decision; the channels and whoever may decide are told.

    ValidationError for an amount or an end that makes no sense, Problem 409 `conflict` while another request of the
    asker for this budget waits or too many do, Problem 429 for more than MOST_A_DAY.
    """
    lock_organization(organization.id)
    budget = _in_force(budget)
    limit = limits_now([budget], now)[budget.id]
    request = IncreaseRequest(
        id=new_id(),
        organization=organization,
        budget=budget,
        amount=_amount_checked(amount, limit),
        until=_end_checked(until, now),
        reason=_reason_checked(reason),
        user=asker if isinstance(asker, User) else None,
        asker=asker_of(asker),
        asked_by=_name_of(asker),
        asked_at=now,
        # Not longer than it would last.
        expires_at=min(now + LIFETIME, until or now + LIFETIME),
    )
    _check_room(request, now)
    request.save(force_insert=True)
    desk = Desk.of(organization.id, [budget], now)
    approvers = desk.whom_to_ask(active_members(organization.id), request)[:MOST_ASKED]
    increase_requested(request=request, organization=organization, limit=limit, approvers=approvers, now=now)
    _audit(request, "increase.requested", asker, now, reason=request.reason)
    return request


def increase_withdraw(*, organization: Organization, request_id: int, actor: Asker, now: datetime) -> IncreaseRequest:
    """Takes a request back; PermissionDenied for anybody but its asker, Problem 409 once it is decided."""
    lock_organization(organization.id)
    request = _locked(organization, request_id)
    if request.asker != asker_of(actor):
        raise PermissionDenied("Only who asked may take a request back.")
    _check_waits(request, now)
    request.state, request.version = RequestState.WITHDRAWN, request.version + 1
    request.save(update_fields=["state", "version"])
    increase_withdrawn(request=request, actor=None if isinstance(actor, VirtualKey) else actor, now=now)
    _audit(request, "increase.withdrawn", actor, now)
    return request


def increase_decide(
    *,
    organization: Organization,
    request_id: int,
    version: int | None,
    approve: bool,
    note: str,
    by: Membership | AccessToken,
    now: datetime,
) -> IncreaseRequest:
    """Approves or denies, once and for good. Approved, the limit is raised in the same transaction.

    PermissionDenied, with the reason, for somebody who may not decide on this request (now, whatever they might do
    when they were asked); Problem 412 `stale-write` when it is no longer the version they saw (None: whichever it is),
    409 `conflict` for one that waits no more; ValidationError when the raised limit would not fit.
    """
    lock_organization(organization.id)
    request = _locked(organization, request_id)
    _check_may_decide(request, by, now)
    if version is not None and request.version != version:
        raise Problem("stale-write", f"{_outcome(request, now)} Nothing was changed.")
    _check_waits(request, now)
    actor = by.user if isinstance(by, Membership) else by
    request.state = RequestState.APPROVED if approve else RequestState.DENIED
    request.decided_by, request.decided_at, request.note = actor_name(actor), now, _note_checked(note)
    request.decided_as = by.role if isinstance(by, Membership) else "token"
    request.version += 1
    # All or nothing, also for a caller that goes on after a limit did not fit.
    with transaction.atomic():
        request.save(update_fields=["state", "decided_by", "decided_as", "decided_at", "note", "version"])
        if approve:
            raise_limit = raise_for_good if request.until is None else raise_until
            raise_limit(request=request, organization=organization, actor=actor, now=now)
    asker = _asker_to_tell(request, actor)
    increase_decided(request=request, organization=organization, actor=actor, asker=asker, now=now)
    _audit(request, f"increase.{request.state}", actor, now, note=request.note, asked_by=request.asked_by)
    return request


def asker_of(actor: Asker) -> str:
    kind = "user" if isinstance(actor, User) else "token" if isinstance(actor, AccessToken) else "key"
    return f"{kind}:{actor.pk}"


def _name_of(asker: Asker) -> str:
    """For people to read: a credential's hint alone says little."""
    return asker.email if isinstance(asker, User) else f"{asker.name} ({asker.hint})"


def _in_force(budget: Budget) -> Budget:
    found = Budget.objects.in_force().with_scope().filter(organization_id=budget.organization_id, id=budget.id).first()
    if found is None:
        raise Problem("conflict", "This budget is out of force.")
    return found


def _amount_checked(amount: int, limit: int) -> int:
    if not 0 < amount <= MAX_LIMIT - limit:
        raise ValidationError({"amount": "More than 0, and no more than a limit may be together with the present one."})
    return amount


def _end_checked(until: datetime | None, now: datetime) -> datetime | None:
    if until is not None and not now < until <= now + LONGEST:
        raise ValidationError({"until": f"After now, and within {LONGEST.days} days; leave it out for good."})
    return until


def _reason_checked(reason: str) -> str:
    if not reason.strip() or len(reason) > NOTE_LENGTH:
        raise ValidationError({"reason": f"Say why, in up to {NOTE_LENGTH} characters."})
    return reason.strip()


def _note_checked(note: str) -> str:
    if len(note) > NOTE_LENGTH:
        raise ValidationError({"note": f"At most {NOTE_LENGTH} characters."})
    return note.strip()


def _check_room(request: IncreaseRequest, now: datetime) -> None:
    """One open request per budget and asker, and a bounded number of them."""
    requests = IncreaseRequest.objects.filter(organization_id=request.organization_id)
    requests.filter(state=RequestState.PENDING, expires_at__lte=now).update(state=RequestState.EXPIRED)
    mine = requests.filter(asker=request.asker)
    if mine.filter(budget_id=request.budget_id, state=RequestState.PENDING).exists():
        raise Problem("conflict", "A request of yours for this budget waits for a decision already.")
    if open_requests(request.organization_id, now).count() >= MOST_OPEN:
        raise Problem(
            "conflict", f"{MOST_OPEN} requests wait for a decision; no more are taken until some are decided."
        )
    if mine.filter(asked_at__gt=now - timedelta(days=1)).count() >= MOST_A_DAY:
        raise Problem("rate-limited", f"At most {MOST_A_DAY} requests in 24 hours.", headers={"Retry-After": "3600"})


def _locked(organization: Organization, request_id: int) -> IncreaseRequest:
    """The request as it stands now that the settling lock is held; Problem 404 for one that is not there."""
    found = increase_requests(organization.id).filter(id=request_id).first()
    if found is None:
        raise Problem("not-found")
    return found


def _check_waits(request: IncreaseRequest, now: datetime) -> None:
    if request.state_at(now) is not RequestState.PENDING:
        raise Problem("conflict", f"{_outcome(request, now)} Nothing was changed.")
    if request.budget.archived_at is not None:
        raise Problem("conflict", "Its budget is out of force.")


def _outcome(request: IncreaseRequest, now: datetime) -> str:
    match request.state_at(now):
        case RequestState.WITHDRAWN:
            return "This request was taken back."
        case RequestState.EXPIRED:
            return "Nobody decided on this request in time."
    return f"This request was {request.state} by {request.decided_by}."


def _check_may_decide(request: IncreaseRequest, by: Membership | AccessToken, now: datetime) -> None:
    """A token with `budgets:write` stands for the admin who issued it, except where it asked itself."""
    if isinstance(by, AccessToken):
        refused = Verdict.OWN if request.asker == asker_of(by) else Verdict.YES
    else:
        refused = Desk.of(request.organization_id, [request.budget], now).verdict(by, request)
    if refused is not Verdict.YES:
        raise PermissionDenied(str(refused))


def _asker_to_tell(request: IncreaseRequest, actor: User | AccessToken) -> User | None:
    if request.user is None or request.user == actor:
        return None
    members = Membership.objects.filter(organization_id=request.organization_id, user=request.user)
    return request.user if request.user.is_active and members.exists() else None


def _audit(request: IncreaseRequest, action: str, actor: Asker, now: datetime, **facts: str) -> None:
    audit_record(
        organization_id=request.organization_id, actor=actor, action=action, target=request, now=now,
        budget=request.budget.name, amount=spoken_exact(request.budget.unit, request.amount),
        until=moment(request.until) if request.until else "for good", **facts,
    )  # fmt: skip
