"""Pages to ask for more, to see who asks, and to decide."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from budgets.amounts import spoken, spoken_exact
from budgets.approvals.forms import AskForm, DecisionForm, PolicyForm
from budgets.approvals.policies import policy_set, policy_text
from budgets.approvals.rule import MANAGER_DAYS, Verdict
from budgets.approvals.selectors import (
    Desk,
    closed_requests,
    increase_requests,
    open_requests,
    people_who_decide,
    policy_of,
)
from budgets.approvals.services import asker_of, increase_ask, increase_decide, increase_withdraw
from budgets.limits import limits_now
from budgets.models import Budget, IncreaseRequest, RequestState
from budgets.standing import used
from common.display import moment
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.models import Membership
from tenants.roles import Permission

form_page = require_http_methods(["GET", "HEAD", "POST"])
CLOSED_SHOWN = 50
TONES = {
    RequestState.PENDING: "info",
    RequestState.APPROVED: "good",
    RequestState.DENIED: "bad",
    RequestState.WITHDRAWN: "",
    RequestState.EXPIRED: "warn",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A request as lists and its own page write it."""

    request: IncreaseRequest
    amount: str
    lasts: str
    # Until when it waits.
    ends: str
    state: RequestState
    tone: str
    # Whether the member who looks may decide on it, or asked for it.
    mine_to_decide: bool = False
    mine: bool = False


def line_of(request: IncreaseRequest, now: datetime, **whose: bool) -> Line:
    state = request.state_at(now)
    return Line(
        request=request,
        amount=spoken_exact(request.budget.unit, request.amount),
        lasts=f"until {moment(request.until.astimezone(request.budget.zone))}" if request.until else "for good",
        ends=moment(request.expires_at.astimezone(request.budget.zone)),
        state=state,
        tone=TONES[state],
        **whose,
    )


@require_safe
@organization_page()
def requests(request: HttpRequest, access: Access) -> HttpResponse:
    """All requests of the organization: what waits, with what is for oneself first, and what was decided of late."""
    now, organization_id = timezone.now(), access.organization.id
    waiting = list(open_requests(organization_id, now))
    desk = Desk.of(organization_id, [each.budget for each in waiting], now)
    lines = [
        line_of(
            each,
            now,
            mine_to_decide=desk.verdict(access.membership, each) is Verdict.YES,
            mine=each.asker == asker_of(access.user),
        )
        for each in waiting
    ]
    context = {
        "nav": "budgets",
        "now": now,
        "waiting": sorted(lines, key=lambda line: not line.mine_to_decide),
        "for_you": sum(line.mine_to_decide for line in lines),
        "closed": [line_of(each, now) for each in closed_requests(organization_id, now, limit=CLOSED_SHOWN)],
        "policy": policy_text(policy_of(organization_id)),
        "manager_days": MANAGER_DAYS,
        "may_edit": access.may(Permission.EDIT_BUDGETS),
    }
    return render(request, "budgets/increase_requests.html", context)


@form_page
@organization_page()
def ask(request: HttpRequest, access: Access, budget_id: int) -> HttpResponse:
    now = timezone.now()
    budgets = Budget.objects.in_force().with_scope()
    budget = get_object_or_404(budgets, organization=access.organization, id=budget_id)
    form = AskForm(request.POST if request.method == "POST" else None, budget=budget, now=now)
    if form.is_valid():
        try:
            asked = increase_ask(
                organization=access.organization, budget=budget, asker=access.user, now=now, **form.wanted()
            )
        except ValidationError as error:
            form.refuse(error)
        except Problem as problem:
            form.add_error(None, problem.detail)
        else:
            messages.success(request, "Your request is on its way to those who may decide.")
            return redirect("increase_request", org_slug=access.organization.slug, request_id=asked.id)
    context = {
        "nav": "budgets",
        "budget": budget,
        "form": form,
        "limit": spoken_exact(budget.unit, limits_now([budget], now)[budget.id]),
    }
    return render(request, "budgets/increase_ask.html", context, status=422 if form.errors else 200)


@form_page
@organization_page()
def increase_request(request: HttpRequest, access: Access, request_id: int) -> HttpResponse:
    """The request, and for those who may decide a form that does."""
    found, now = _found(access, request_id), timezone.now()
    form = DecisionForm(request.POST if request.method == "POST" else None, initial={"version": found.version})
    status = 200
    if form.is_bound:
        status = decide(request, form, found, access.membership, now)
        if status == 200:
            return redirect("increase_request", org_slug=access.organization.slug, request_id=found.id)
        found = _found(access, request_id)
    context = decision_context(found, access.membership, now) | {
        "nav": "budgets",
        "form": form,
        "people": people_who_decide(found, now),
        "mine": found.asker == asker_of(access.user),
    }
    return render(request, "budgets/increase_request.html", context, status=status)


@require_POST
@organization_page()
def withdraw(request: HttpRequest, access: Access, request_id: int) -> HttpResponse:
    found = _found(access, request_id)
    try:
        increase_withdraw(organization=access.organization, request_id=found.id, actor=access.user, now=timezone.now())
        messages.success(request, "Your request is taken back.")
    except Problem as problem:
        messages.error(request, problem.detail)
    return redirect("increase_request", org_slug=access.organization.slug, request_id=found.id)


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def policy(request: HttpRequest, access: Access) -> HttpResponse:
    present = policy_of(access.organization.id)
    form = PolicyForm.of(present, request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            policy_set(organization=access.organization, actor=access.user, now=timezone.now(), **form.wanted())
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, "Saved: it counts for every decision from now on.")
            return redirect("increase_requests", org_slug=access.organization.slug)
    context = {"nav": "budgets", "form": form, "manager_days": MANAGER_DAYS}
    return render(request, "budgets/approval_policy.html", context, status=422 if form.errors else 200)


def decide(request: HttpRequest, form: DecisionForm, found: IncreaseRequest, member: Membership, now: datetime) -> int:
    """200 when it is decided, with a message that says so; else the status of the refusal, and the form says why.

    PermissionDenied for a member who may not decide on it.
    """
    refused = Desk.of(found.organization_id, [found.budget], now).verdict(member, found)
    if refused is not Verdict.YES:
        raise PermissionDenied(str(refused))
    if not form.is_valid():
        return 422
    given = form.cleaned_data
    try:
        increase_decide(
            organization=found.organization,
            request_id=found.id,
            version=given["version"],
            approve=given["decision"] == "approve",
            note=given["note"],
            by=member,
            now=now,
        )
    except ValidationError as error:
        form.refuse(error)
        return 422
    except Problem as problem:
        form.add_error(None, problem.detail)
        return problem.status
    done = "Approved: the new limit is in force." if given["decision"] == "approve" else "Denied."
    messages.success(request, done)
    return 200


def decision_context(found: IncreaseRequest, member: Membership, now: datetime) -> dict[str, Any]:
    """What a page says of a request, and whether this member may decide on it."""
    budget = found.budget
    limit, spent = limits_now([budget], now)[budget.id], used([budget], now)[budget.id].of(budget.unit)
    may_not = Desk.of(found.organization_id, [budget], now).verdict(member, found)
    line = line_of(found, now)
    return {
        "now": now,
        "line": line,
        "budget": budget,
        "waits": line.state is RequestState.PENDING and budget.archived_at is None,
        "may_not": str(may_not),
        "limit": spoken_exact(budget.unit, limit),
        "raised": spoken_exact(budget.unit, limit + found.amount),
        "spent": spoken(budget.unit, spent),
        "percent": spent * 100 // limit,
        "percent_raised": spent * 100 // (limit + found.amount),
    }


def _found(access: Access, request_id: int) -> IncreaseRequest:
    return get_object_or_404(increase_requests(access.organization.id), id=request_id)
