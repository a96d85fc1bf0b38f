"""Pages that make, change and archive budgets."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from budgets.forms import BudgetCreateForm, BudgetForm, scope_choices, written
from budgets.models import Budget
from budgets.services import budget_archive, budget_create, budget_update
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.models import VirtualKey
from tenants.roles import Permission
from tenants.selectors import team_tree

form_page = require_http_methods(["GET", "HEAD", "POST"])


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def create(request: HttpRequest, access: Access) -> HttpResponse:
    form = _create_form(request, access)
    if form.is_valid():
        try:
            budget = budget_create(
                organization=access.organization,
                name=form.cleaned_data["name"],
                measure=form.measure(),
                limit=form.cleaned_data["limit"],
                thresholds=form.cleaned_data["thresholds"],
                actor=access.user,
                now=timezone.now(),
            )
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{budget.name} counts from the start of its period.")
            return _to(access, budget)
    status = 422 if form.errors else 200
    return render(request, "budgets/budget_create.html", {"nav": "budgets", "form": form}, status=status)


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def edit(request: HttpRequest, access: Access, budget_id: int) -> HttpResponse:
    """The version of the form must be that of the budget: 412 shows what somebody else made of it meanwhile."""
    budget = _in_force(access, budget_id)
    form = BudgetForm.of(budget, request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            budget_update(
                organization=access.organization,
                budget=budget,
                actor=access.user,
                now=timezone.now(),
                **form.cleaned_data,
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


def _create_form(request: HttpRequest, access: Access) -> BudgetCreateForm:
    keys = VirtualKey.objects.filter(organization=access.organization, revoked_at__isnull=True)
    choices = scope_choices(
        access.organization, team_tree(access.organization), list(keys.select_related("team").order_by("name", "id"))
    )
    if request.method == "POST":
        return BudgetCreateForm(request.POST, organization=access.organization, choices=choices)
    wanted = {"scope": request.GET["scope"]} if "scope" in request.GET else {}
    return BudgetCreateForm(organization=access.organization, choices=choices, initial=wanted)


def _stale(request: HttpRequest, access: Access, budget_id: int, form: BudgetForm, problem: Problem) -> HttpResponse:
    """The form anew, with the values as they are now and those that were not saved beside them."""
    current = _in_force(access, budget_id)
    now = written(current.name, current.limit, current.thresholds)
    lost = written(form.cleaned_data["name"], form.cleaned_data["limit"], form.cleaned_data["thresholds"])
    compared = [(form.fields[name].label or name.capitalize(), now[name], lost[name]) for name in now]
    return _edit_page(request, current, BudgetForm.of(current), status=problem.status, compared=compared)


def _edit_page(request: HttpRequest, budget: Budget, form: BudgetForm, *, status: int, **context: Any) -> HttpResponse:
    context |= {"nav": "budgets", "budget": budget, "form": form}
    return render(request, "budgets/budget_edit.html", context, status=status)


def _in_force(access: Access, budget_id: int) -> Budget:
    budgets = Budget.objects.in_force().with_scope()
    return get_object_or_404(budgets, organization=access.organization, id=budget_id)


def _to(access: Access, budget: Budget) -> HttpResponse:
    return redirect("budget", org_slug=access.organization.slug, budget_id=budget.id)
