"""Trying a budget from its form, before it is saved; and what past windows came to, beside the limit."""

from collections.abc import Callable, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from budgets.amounts import AmountError, from_person
from budgets.create_form import BudgetCreateForm, create_form
from budgets.forms import BudgetForm
from budgets.models import Budget, Scope
from budgets.past_use import past_slots, past_use
from budgets.terms import ActionTerm, measure_checked
from budgets.trial import budget_drafted, budget_redrafted
from budgets.trial_page import past_sentence, trial_page
from budgets.untold import untold, untold_sentence
from common.ids import parse_id
from common.periods import Period
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.models import Organization
from tenants.roles import Permission

# The name of the button that tries what the form says.
TRY = "try"
_MEASURE = (
    "scope", "value", "tag_name", "within", "unit", "period", "rolling_days", "fiscal_year_start_month", "week_start",
    "timezone",
)  # fmt: skip
Draft = tuple[Budget, Sequence[ActionTerm]]


def wants_trial(request: HttpRequest) -> bool:
    return TRY in request.POST


def tried_create(request: HttpRequest, form: BudgetCreateForm, page: Callable[..., HttpResponse]) -> HttpResponse:
    """What a new budget would have done. `page` renders the form with more context and a status."""
    form.fields["name"].required = False

    def draft() -> Draft:
        terms = form.terms()
        budget = budget_drafted(
            organization=form.organization,
            measure=form.measure(),
            limit=form.cleaned_data["limit"],
            thresholds=form.cleaned_data["thresholds"],
            terms=terms,
            now=timezone.now(),
        )
        return budget, terms.actions

    return _tried(request, form, draft, page)


def tried_edit(
    request: HttpRequest, form: BudgetForm, budget: Budget, page: Callable[..., HttpResponse]
) -> HttpResponse:  # fmt: skip
    """What the budget would have done as the form has it."""
    form.fields["name"].required = False

    def draft() -> Draft:
        terms = form.terms()
        changed = budget_redrafted(
            budget=budget,
            limit=form.cleaned_data["limit"],
            thresholds=form.cleaned_data["thresholds"],
            terms=terms,
            now=timezone.now(),
        )
        return changed, terms.actions

    return _tried(request, form, draft, page)


def _tried(
    request: HttpRequest, form: BudgetForm, draft: Callable[[], Draft], page: Callable[..., HttpResponse]
) -> HttpResponse:  # fmt: skip
    """Asked for by HTMX the back-test alone, with what is wrong with the form in its place; else the whole page."""
    context: dict[str, Any] = {}
    if form.is_valid():
        try:
            budget, actions = draft()
            context["trial"] = trial_page(budget, actions, timezone.now())
        except ValidationError as error:
            form.refuse(error)
        except Problem as problem:
            form.add_error(None, problem.detail)
    if not getattr(request, "htmx", False):
        return page(form, status=422 if form.errors else 200, **context)
    wrong = [(form[name].label if name in form.fields else "", errors) for name, errors in form.errors.items()]
    return render(request, "budgets/_trial.html", context | {"wrong": wrong})


@require_safe
@organization_page(Permission.EDIT_BUDGETS)
def past_use_part(request: HttpRequest, access: Access) -> HttpResponse:
    """A sentence for below the limit's field, of what the form says by now or of a budget that is there; empty as long
    as it does not say enough."""
    budget = _saved(request, access) if "budget" in request.GET else _described(request, access.organization)
    sentence = ""
    if budget is not None:
        with_limit = bool(budget.limit)
        found = past_use(budget, now=timezone.now(), limit=budget.limit if with_limit else None)
        sentence = past_sentence(budget, found, with_limit=with_limit) or _nothing_known(budget)
    return render(request, "budgets/_past_use.html", {"sentence": sentence})


def _nothing_known(budget: Budget) -> str:
    """Why there is nothing to say of past windows, if it is that sums do not tell."""
    slots = past_slots(budget, timezone.now())
    return untold_sentence(budget, untold(budget, Period(slots[0].start, slots[-1].end))) if slots else ""


def _saved(request: HttpRequest, access: Access) -> Budget:
    in_force = Budget.objects.in_force().with_scope().filter(organization=access.organization)
    budget = get_object_or_404(in_force, id=parse_id(request.GET["budget"]))
    budget.limit = _limit(request, budget.unit)
    return budget


def _described(request: HttpRequest, organization: Organization) -> Budget | None:
    """The budget that the form describes, as far as it measures something; None where it does not yet."""
    given = request.GET.copy()
    for name, value in {"scope": Scope.ORGANIZATION, "period": "month", "week_start": "monday"}.items():
        given.setdefault(name, str(value))
    given.setdefault("timezone", organization.timezone)
    form = create_form(organization, given)
    if any(name in form.errors for name in _MEASURE):
        return None
    try:
        measure = form.measure()
        columns = measure_checked(measure)
    except ValidationError:
        return None
    return Budget(organization=organization, timezone=measure.timezone, limit=_limit(request, measure.unit), **columns)


def _limit(request: HttpRequest, unit: str) -> int:
    """The limit that is being typed; 0 while it is none."""
    try:
        return from_person(unit, request.GET.get("limit", ""))
    except AmountError:
        return 0
