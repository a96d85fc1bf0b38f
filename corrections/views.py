"""Pages of repricing: runs, a new one with its preview, progress, and what can be done about it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from common.problems import Problem
from corrections import wake
from corrections.forms import RepricingForm
from corrections.models import RepriceRun, RunState
from corrections.runs import advance
from corrections.selectors import TONES, flipped_budgets, model_parts, runs_of, team_parts
from corrections.services import (
    repricing_apply,
    repricing_cancel,
    repricing_retry,
    repricing_start,
    repricing_undo,
    scope_in_words,
)
from tenants.access import Access, organization_page
from tenants.roles import Permission

form_page = require_http_methods(["GET", "HEAD", "POST"])
SHOWN = 100
DEFAULT_DAYS = 30

_ACTIONS: dict[str, tuple[Callable[..., RepriceRun], str]] = {
    "apply": (repricing_apply, "The differences are being booked."),
    "cancel": (repricing_cancel, "The run is cancelled. Nothing was booked."),
    "undo": (repricing_undo, "The reverse of everything it booked is being booked."),
    "retry": (repricing_retry, "The run goes on where it stopped."),
}


@require_safe
@organization_page()
def repricings(request: HttpRequest, access: Access) -> HttpResponse:
    zone = ZoneInfo(access.organization.timezone)
    context = {
        "nav": "prices",
        "tab": "repricings",
        "now": timezone.now(),
        "zone": zone.key,
        "rows": [run_row(run, zone) for run in runs_of(access.organization.id)[:SHOWN]],
        "may_edit": access.may(Permission.EDIT_PRICES),
    }
    return render(request, "corrections/repricings.html", context)


@form_page
@organization_page(Permission.EDIT_PRICES)
def repricing_new(request: HttpRequest, access: Access) -> HttpResponse:
    now, zone = timezone.now(), ZoneInfo(access.organization.timezone)
    today = now.astimezone(zone).date()
    initial: dict[str, Any] = {"first_day": today - timedelta(days=DEFAULT_DAYS), "last_day": today}
    initial |= {name: request.GET[name] for name in ("provider", "model", "reason") if name in request.GET}
    form = RepricingForm(request.POST if request.method == "POST" else None, zone=zone, initial=initial)
    if form.is_valid():
        try:
            run = repricing_start(organization=access.organization, asked=form.asked(), actor=access.user, now=now)
        except ValidationError as error:
            form.refuse(_by_field(error))
        except Problem as problem:
            form.add_error(None, problem.detail)
        else:
            # A small scope is previewed by the time its page is shown; the rest is a worker's.
            if advance(access.organization.id, run.id, now):
                wake.after_commit()
            return redirect("repricing", org_slug=access.organization.slug, run_id=run.id)
    context = {"nav": "prices", "form": form, "zone": zone.key}
    return render(request, "corrections/repricing_new.html", context, status=422 if form.errors else 200)


@require_safe
@organization_page()
def repricing(request: HttpRequest, access: Access, run_id: int) -> HttpResponse:
    """One run; asked for by HTMX, the part of it that moves."""
    zone = ZoneInfo(access.organization.timezone)
    run = get_object_or_404(RepriceRun, organization=access.organization, id=run_id)
    context = run_row(run, zone) | {
        "nav": "prices",
        "now": timezone.now(),
        "zone": zone.key,
        "teams": team_parts(run),
        "models": model_parts(run),
        "flips": [(flip, flip.period_start.astimezone(zone).date()) for flip in flipped_budgets(run)],
        "may_edit": access.may(Permission.EDIT_PRICES),
        "actions": possible_actions(run),
    }
    part = bool(getattr(request, "htmx", False))
    return render(request, "corrections/_run.html" if part else "corrections/repricing.html", context)


@require_POST
@organization_page(Permission.EDIT_PRICES)
def repricing_act(request: HttpRequest, access: Access, run_id: int, action: str) -> HttpResponse:
    run = get_object_or_404(RepriceRun, organization=access.organization, id=run_id)
    if action not in _ACTIONS:
        raise Http404("No such action")
    act, said = _ACTIONS[action]
    try:
        act(run=run, actor=access.user, now=timezone.now())
    except Problem as problem:
        messages.error(request, problem.detail)
    else:
        wake.after_commit()
        messages.success(request, said)
    return redirect("repricing", org_slug=access.organization.slug, run_id=run.id)


def possible_actions(run: RepriceRun) -> set[str]:
    """What can be asked of a run as it stands."""
    possible = {
        RunState.PREVIEWING: {"cancel"},
        RunState.PREVIEWED: {"apply", "cancel"},
        RunState.APPLYING: {"undo"},
        RunState.APPLIED: {"undo"},
    }
    actions = possible.get(RunState(run.step), set())
    return (actions - {"apply"}) | {"retry"} if run.state == RunState.FAILED else actions


def run_row(run: RepriceRun, zone: ZoneInfo) -> dict[str, Any]:
    """What a page says of a run. Days are dates: templates turn an aware moment into UTC before they write its day."""
    # Where the preview stands, it says how many events a later step has to go through.
    total = run.events if run.previewed_at else None
    return {
        "run": run,
        "tone": TONES.get(RunState(run.state), ""),
        "scope": scope_in_words(run),
        "first_day": run.starts_at.astimezone(zone).date(),
        "last_day": (run.ends_at - timedelta(microseconds=1)).astimezone(zone).date(),
        "created_at": run.created_at.astimezone(zone),
        "total": total,
        "done": min(run.events_done, total) if total is not None else run.events_done,
    }


def _by_field(error: ValidationError) -> ValidationError:
    """The service's refusal under the names of the form's fields."""
    names = {"start": "first_day", "end": "last_day"}
    return ValidationError({names.get(name, name): errors for name, errors in error.error_dict.items()})
