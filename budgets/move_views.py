"""Pages that move a part of a limit to another budget, and that pause one."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from budgets.amounts import spoken, spoken_exact
from budgets.applying import window_of
from budgets.approvals.forms import PauseForm, TransferForm
from budgets.limits import limits_now
from budgets.models import Budget
from budgets.pauses import budget_pause, budget_resume
from budgets.standing import used
from budgets.terms import LONGEST_PAUSE
from budgets.transfers import spares, transfer
from common.display import moment
from tenants.access import Access, organization_page
from tenants.roles import Permission

form_page = require_http_methods(["GET", "HEAD", "POST"])


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def budget_transfer(request: HttpRequest, access: Access, budget_id: int) -> HttpResponse:
    """From this budget to one beside it."""
    budget, now = _in_force(access, budget_id), timezone.now()
    lines = spares(budget, now)
    form = TransferForm(request.POST if request.method == "POST" else None, budget=budget, lines=lines)
    if form.is_valid():
        given = form.cleaned_data
        target = next(line.budget for line in lines if line.budget.id == given["to"])
        try:
            transfer(
                organization=access.organization,
                source=budget,
                target=target,
                amount=given["amount"],
                reason=given["reason"],
                actor=access.user,
                now=now,
            )
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{spoken_exact(budget.unit, given['amount'])} moved to {target.name}.")
            return redirect("budget", org_slug=access.organization.slug, budget_id=budget.id)
    limit = limits_now([budget], now)[budget.id]
    left = limit - used([budget], now)[budget.id].of(budget.unit)
    context = {
        "nav": "budgets",
        "budget": budget,
        "form": form,
        "lines": lines,
        "limit": spoken_exact(budget.unit, limit),
        "left": spoken(budget.unit, max(0, left)),
        "ends": moment(window_of(budget).at(now).end.astimezone(budget.zone)),
    }
    return render(request, "budgets/budget_transfer.html", context, status=422 if form.errors else 200)


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def pause(request: HttpRequest, access: Access, budget_id: int) -> HttpResponse:
    """Begins a pause, moves its end, or with the button `end` ends it now."""
    budget, now = _in_force(access, budget_id), timezone.now()
    if "end" in request.POST:
        budget_resume(organization=access.organization, budget=budget, actor=access.user, now=now)
        messages.success(request, f"{budget.name} is no longer paused.")
        return redirect("budget", org_slug=access.organization.slug, budget_id=budget.id)
    form = PauseForm(request.POST if request.method == "POST" else None, budget=budget)
    if form.is_valid():
        until = form.cleaned_data["until"]
        try:
            budget_pause(organization=access.organization, budget=budget, until=until, actor=access.user, now=now)
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{budget.name} refuses nothing until {moment(until.astimezone(budget.zone))}.")
            return redirect("budget", org_slug=access.organization.slug, budget_id=budget.id)
    context = {"nav": "budgets", "budget": budget, "form": form, "longest": LONGEST_PAUSE.days}
    return render(request, "budgets/budget_pause.html", context, status=422 if form.errors else 200)


def _in_force(access: Access, budget_id: int) -> Budget:
    budgets = Budget.objects.in_force().with_scope()
    return get_object_or_404(budgets, organization=access.organization, id=budget_id)
