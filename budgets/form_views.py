"""Pages that make, change and archive budgets."""

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from budgets.create_form import BudgetCreateForm, create_form
from budgets.forms import BudgetForm, compared
from budgets.history import known_names
from budgets.limits import base_at, limits_of
from budgets.models import Budget
from budgets.services import budget_archive, budget_create, budget_update
from budgets.terms import terms_of
from budgets.trial_views import tried_create, tried_edit, wants_trial
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.roles import Permission

form_page = require_http_methods(["GET", "HEAD", "POST"])


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def create(request: HttpRequest, access: Access) -> HttpResponse:
    form, page = _create_form(request, access), partial(_create_page, request, access)
    if wants_trial(request):
        return tried_create(request, form, page)
    if form.is_valid():
        try:
            budget = budget_create(
                organization=access.organization,
                name=form.cleaned_data["name"],
                measure=form.measure(),
                limit=form.cleaned_data["limit"],
                thresholds=form.cleaned_data["thresholds"],
                terms=form.terms(),
                actor=access.user,
                now=timezone.now(),
            )
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{budget.name} counts from the start of its period.")
            return _to(access, budget)
    return page(form, status=422 if form.errors else 200)


def _create_page(
    request: HttpRequest, access: Access, form: BudgetCreateForm, *, status: int, **context: Any
) -> HttpResponse:  # fmt: skip
    context |= {"nav": "budgets", "form": form, "known": known_names(access.organization.id, timezone.now())}
    return render(request, "budgets/budget_create.html", context, status=status)


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def edit(request: HttpRequest, access: Access, budget_id: int) -> HttpResponse:
    """The version of the form must be that of the budget: 412 shows what somebody else made of it meanwhile."""
    budget, now = _in_force(access, budget_id), timezone.now()
    form = _edit_form(budget, now, request.POST if request.method == "POST" else None)
    if wants_trial(request):
        return tried_edit(request, form, budget, partial(_edit_page, request, budget))
    if form.is_valid():
        try:
            budget_update(
                organization=access.organization,
                budget=budget,
                version=form.cleaned_data["version"],
                name=form.cleaned_data["name"],
                limit=form.cleaned_data["limit"],
                limit_from=form.limit_starts(budget),
                thresholds=form.cleaned_data["thresholds"],
                terms=form.terms(),
                actor=access.user,
                now=now,
            )
        except ValidationError as error:
            form.refuse(error)
        except Problem as problem:
            return _stale(request, access, budget_id, form, problem)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved.")
            return _to(access, budget)
    return _edit_page(request, budget, form, status=422 if form.errors else 200)


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def archive(request: HttpRequest, access: Access, budget_id: int) -> HttpResponse:
    budget = _in_force(access, budget_id)
    if request.method != "POST":
        return render(request, "budgets/budget_archive.html", {"nav": "budgets", "budget": budget})
    budget_archive(organization=access.organization, budget=budget, actor=access.user, now=timezone.now())
    messages.success(request, f"{budget.name} is archived. Its history stays.")
    return redirect("budgets", org_slug=access.organization.slug)


def _edit_form(budget: Budget, now: datetime, data: Any = None) -> BudgetForm:
    limit = base_at(budget, limits_of([budget])[budget.id], now)
    return BudgetForm.of(budget, limit, terms_of(budget), data)


def _create_form(request: HttpRequest, access: Access) -> BudgetCreateForm:
    if request.method == "POST":
        return create_form(access.organization, request.POST)
    wanted = {name: request.GET[name] for name in ("scope", "value", "tag_name", "within") if name in request.GET}
    return create_form(access.organization, initial=wanted)


def _stale(request: HttpRequest, access: Access, budget_id: int, form: BudgetForm, problem: Problem) -> HttpResponse:
    """The form anew, with the values as they are now and those that were not saved beside them."""
    current = _in_force(access, budget_id)
    anew = _edit_form(current, timezone.now())
    return _edit_page(request, current, anew, status=problem.status, compared=compared(form, anew))


def _edit_page(request: HttpRequest, budget: Budget, form: BudgetForm, *, status: int, **context: Any) -> HttpResponse:
    context |= {"nav": "budgets", "budget": budget, "form": form}
    return render(request, "budgets/budget_edit.html", context, status=status)


def _in_force(access: Access, budget_id: int) -> Budget:
    budgets = Budget.objects.in_force().with_scope()
    return get_object_or_404(budgets, organization=access.organization, id=budget_id)


def _to(access: Access, budget: Budget) -> HttpResponse:
    return redirect("budget", org_slug=access.organization.slug, budget_id=budget.id)
