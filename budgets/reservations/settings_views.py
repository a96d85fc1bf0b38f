"""Pages of call limits: requests and tokens per minute, lists of allowed models, the ladder of cheaper ones."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from budgets.create_form import INDENT
from budgets.forms import compared, sentence
from budgets.history import known_names
from budgets.reservations.models import LadderStep, ModelAllowance, RateLimit
from budgets.reservations.services import (
    Seen,
    Setting,
    allowance_set,
    ladder_step_set,
    rate_limit_set,
    setting_remove,
)
from budgets.reservations.settings_forms import AllowanceForm, RateForm, SettingForm, StepForm, known_models
from budgets.reservations.settings_lines import call_limits, owner_of
from common.filters import filter_choices
from common.ids import parse_id
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.models import Organization, Team, User, VirtualKey
from tenants.roles import Permission
from tenants.selectors import team_tree

form_page = require_http_methods(["GET", "HEAD", "POST"])

Save = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Kind:
    """What may be set: its words, its form, and what saves what the form says."""

    slug: str
    model: type[RateLimit] | type[ModelAllowance] | type[LadderStep]
    form: type[SettingForm]
    save: Save
    # On the page, between "New" and whose it is.
    noun: str
    lede: str
    # What becomes of calls once it is removed.
    without: str

    def name_of(self, setting: Setting) -> str:
        return setting.from_model if isinstance(setting, LadderStep) else owner_of(setting)


def _save_rate(organization: Organization, form: Any, limit: RateLimit | None, **who: Any) -> object:
    grantee, given = _grantee(form, limit), form.cleaned_data
    return rate_limit_set(
        organization=organization, grantee=grantee, requests=given["requests"], tokens=given["tokens"], **who
    )


def _save_allowance(organization: Organization, form: Any, allowance: ModelAllowance | None, **who: Any) -> object:
    grantee, names = _grantee(form, allowance), form.cleaned_data["names"]
    return allowance_set(organization=organization, grantee=grantee, names=names, **who)


def _save_step(organization: Organization, form: Any, step: LadderStep | None, **who: Any) -> object:
    given = form.cleaned_data
    from_model = given["from_model"] if step is None else step.from_model
    return ladder_step_set(organization=organization, from_model=from_model, to_model=given["to_model"], **who)


def _grantee(form: Any, setting: RateLimit | ModelAllowance | None) -> Any:
    return form.grantee if setting is None else setting.team or setting.virtual_key


KINDS = {
    kind.slug: kind
    for kind in (
        Kind(
            "rates", RateLimit, RateForm, _save_rate, "limit per minute",
            "A call that does not fit is answered 429, with the seconds to wait in Retry-After. It is in force within"
            " seconds.",
            "Its calls are no longer slowed down by it. Limits of the teams above still count.",
        ),
        Kind(
            "models", ModelAllowance, AllowanceForm, _save_allowance, "list of allowed models",
            "Every model that is not on the list is refused with 403. It is in force within seconds.",
            "Every model may be called again, unless a list of its team or of one above it says otherwise.",
        ),
        Kind(
            "ladder", LadderStep, StepForm, _save_step, "cheaper model",
            "A budget that degrades lets the call through and names the cheaper model in its answer; the caller"
            " decides.",
            "Budgets that degrade suggest nothing in its place.",
        ),
    )
}  # fmt: skip


@require_safe
@organization_page()
def limits(request: HttpRequest, access: Access) -> HttpResponse:
    organization, now = access.organization, timezone.now()
    about = _about(request, organization)
    context = {
        "nav": "call_limits",
        "now": now,
        "found": call_limits(organization.id, about=about, now=now),
        "about": about,
        "about_key": isinstance(about, VirtualKey),
        "filters": _filters(organization, about),
        "clear_url": request.path if about else "",
        "may_edit": access.may(Permission.EDIT_BUDGETS),
    }
    return render(request, "budgets/call_limits.html", context)


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def create(request: HttpRequest, access: Access, kind: str) -> HttpResponse:
    asked, data = _kind(kind), request.POST if request.method == "POST" else None
    form = asked.form(data, organization=access.organization, initial={"on": request.GET.get("on", "")})
    if form.is_valid():
        try:
            _save(asked, access, form, None, seen=None)
        except Problem as problem:
            _refuse(form, problem)
        else:
            messages.success(request, f"The {asked.noun} is set.")
            return _back(access)
    return _form_page(request, access, asked, form, status=422 if form.errors else 200)


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def edit(request: HttpRequest, access: Access, kind: str, setting_id: int) -> HttpResponse:
    """What is set must be what the form showed: 412 shows what somebody else made of it meanwhile."""
    asked, setting = _found(access, kind, setting_id)
    form = asked.form(
        request.POST if request.method == "POST" else None, organization=access.organization, setting=setting
    )
    status, differing = 422, None
    if form.is_valid():
        try:
            _save(asked, access, form, setting, seen=form.seen_before)
        except Problem as problem:
            if problem.slug == "stale-write":
                _, setting = _found(access, kind, setting_id)
                anew = asked.form(organization=access.organization, setting=setting)
                status, differing, form = problem.status, compared(form, anew), anew
            else:
                _refuse(form, problem)
        else:
            messages.success(request, f"The {asked.noun} is saved.")
            return _back(access)
    status = status if form.errors or differing else 200
    return _form_page(request, access, asked, form, status=status, setting=setting, compared=differing)


@form_page
@organization_page(Permission.EDIT_BUDGETS)
def remove(request: HttpRequest, access: Access, kind: str, setting_id: int) -> HttpResponse:
    asked, setting = _found(access, kind, setting_id)
    if request.method != "POST":
        context = {"nav": "call_limits", "kind": asked, "name": asked.name_of(setting)}
        return render(request, "budgets/call_limit_remove.html", context)
    setting_remove(organization=access.organization, setting=setting, actor=access.user, now=timezone.now())
    messages.success(request, f"The {asked.noun} of {asked.name_of(setting)} is removed.")
    return _back(access)


def _save(kind: Kind, access: Access, form: SettingForm, setting: Setting | None, *, seen: Seen) -> None:
    """Problem when the service refuses it."""
    who: dict[str, User | Seen | datetime] = {"actor": access.user, "now": timezone.now(), "seen": seen}
    kind.save(access.organization, form, setting, **who)


def _refuse(form: SettingForm, problem: Problem) -> None:
    if problem.slug == "stale-write":
        form.add_error(form.fixed, "It has one already. Change that one instead.")
    for fault in problem.errors:
        form.add_error({"/to": "to_model"}.get(fault.pointer), sentence(fault.detail))


def _form_page(
    request: HttpRequest, access: Access, kind: Kind, form: SettingForm, *, status: int, setting: Any = None,
    **context: Any,
) -> HttpResponse:  # fmt: skip
    context |= {
        "nav": "call_limits",
        "kind": kind,
        "form": form,
        "name": kind.name_of(setting) if setting else "",
        "models": known_models(known_names(access.organization.id, timezone.now()).values),
    }
    return render(request, "budgets/call_limit_form.html", context, status=status)


def _kind(slug: str) -> Kind:
    if slug not in KINDS:
        raise Http404("No such kind of limit")
    return KINDS[slug]


def _found(access: Access, slug: str, setting_id: int) -> tuple[Kind, Setting]:
    kind = _kind(slug)
    found: Any = get_object_or_404(kind.model, organization=access.organization, id=setting_id)
    return kind, found


def _about(request: HttpRequest, organization: Organization) -> Team | VirtualKey | None:
    """The key or team of the URL; one that is not known is as good as not given."""
    key, team = (parse_id(request.GET.get(name, "")) for name in ("key", "team"))
    if key is not None:
        return VirtualKey.objects.filter(organization=organization, id=key).first()
    return None if team is None else Team.objects.filter(organization=organization, id=team).first()


def _filters(organization: Organization, about: Team | VirtualKey | None) -> list[dict[str, Any]]:
    keys = VirtualKey.objects.filter(organization=organization).select_related("team").order_by("name", "id")
    teams = [(str(node.team.id), INDENT * node.depth + node.team.name) for node in team_tree(organization)]
    choices: dict[str, tuple[str, list[tuple[str, str]]]] = {
        "team": ("Calls of team", teams),
        "key": ("Calls of key", [(str(key.id), f"{key.name} ({key.team.name})") for key in keys]),
    }
    chosen = {} if about is None else {"team" if isinstance(about, Team) else "key": str(about.id)}
    return filter_choices(choices, chosen)


def _back(access: Access) -> HttpResponse:
    return redirect("call_limits", org_slug=access.organization.slug)
