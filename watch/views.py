"""Pages of alert rules: everybody sees them, roles that may edit channels change them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from alerts.models import AlertRule, Channel, Severity
from alerts.rule_kinds import KINDS, Measure, Parameter, RuleKind, networks_of, values_of
from alerts.rules import rule_create, rule_delete, rule_mute, rule_test, rule_update
from alerts.selectors import AlertFilter, alert_list, firing_by_rule, rule_list
from alerts.standing import channel_ids_of
from alerts.views import SEVERITY_TONES, STATE_TONES
from common.display import count, moment, usd
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.roles import Permission
from watch.forms import AS_IT_COMES, MUTES, RuleForm
from watch.preview import DAYS, PREVIEWED, WHY_NOT, told_lately
from watch.scopes import Names

form_page = require_http_methods(["GET", "HEAD", "POST"])
LATEST = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One rule as the list shows it."""

    rule: AlertRule
    scope: str
    severity: str
    tone: str
    firing: int
    muted: bool
    previewed: bool


@require_safe
@organization_page()
def rules(request: HttpRequest, access: Access) -> HttpResponse:
    now, found = timezone.now(), rule_list(organization_id=access.organization.id)
    names, firing = Names(access.organization, found), firing_by_rule(organization_id=access.organization.id)
    rows = [
        Row(
            each, names.of(each), _severity(each), _tone(each), firing.get(each.id, 0),
            each.muted_until is not None and each.muted_until > now, each.kind in PREVIEWED,
        )
        for each in found
    ]  # fmt: skip
    context = {"nav": "alerts", "now": now, "rows": rows, "may_edit": access.may(Permission.EDIT_CHANNELS)}
    return render(request, "watch/rules.html", context)


@require_safe
@organization_page()
def rule(request: HttpRequest, access: Access, rule_id: int) -> HttpResponse:
    found, now = _rule(access, rule_id), timezone.now()
    alerts = alert_list(
        organization_id=access.organization.id, narrowed=AlertFilter(rule_id=found.id), after=None, limit=LATEST
    )
    channels = Channel.objects.filter(organization=access.organization, id__in=channel_ids_of(found)).order_by("name")
    context = {
        "nav": "alerts",
        "now": now,
        "rule": found,
        "scope": Names(access.organization, [found]).of(found),
        "severity": _severity(found),
        "tone": _tone(found),
        "parameters": _spoken(found),
        "channels": list(channels),
        "muted": found.muted_until is not None and found.muted_until > now,
        "alerts": [(each, SEVERITY_TONES[Severity(each.severity)], STATE_TONES[each.state]) for each in alerts],
        "mutes": MUTES,
        "previewed": found.kind in PREVIEWED,
        "why_not": _why_not(found.kind),
        "may_edit": access.may(Permission.EDIT_CHANNELS),
    }
    return render(request, "watch/rule.html", context)


@form_page
@organization_page(Permission.EDIT_CHANNELS)
def create(request: HttpRequest, access: Access) -> HttpResponse:
    """First what to be told of, then the form for that kind, which the URL names."""
    kind = request.GET.get("kind")
    if kind is None:
        kinds = [(each, KINDS[each].sentence) for each in RuleKind]
        return render(request, "watch/rule_choose.html", {"nav": "alerts", "kinds": kinds})
    if kind not in RuleKind.values:
        raise Http404
    data = request.POST if request.method == "POST" else None
    form = RuleForm(
        data, organization=access.organization, kind=RuleKind(kind),
        initial={"name": RuleKind(kind).label, "severity": _first_severity(kind)},
    )  # fmt: skip
    if form.is_valid():
        try:
            made = rule_create(
                organization=access.organization, kind=kind, draft=form.draft(), actor=access.user, now=timezone.now()
            )
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{made.name} is read from the next minute on. Send a test to see who is told.")
            return _to(access, made)
    context = {"kind": RuleKind(kind), "sentence": KINDS[RuleKind(kind)].sentence, "why_not": _why_not(kind)}
    return _form(request, form, context, 422 if form.errors else 200)


@form_page
@organization_page(Permission.EDIT_CHANNELS)
def edit(request: HttpRequest, access: Access, rule_id: int) -> HttpResponse:
    """The version of the form must be that of the rule: 412 shows what somebody else made of it meanwhile."""
    found = _rule(access, rule_id)
    form = RuleForm.of(found, request.POST if request.method == "POST" else None)
    context = {
        "rule": found,
        "kind": RuleKind(found.kind),
        "sentence": found.spec.sentence,
        "why_not": _why_not(found.kind),
    }
    if form.is_valid():
        version = form.cleaned_data["version"] or 0
        try:
            rule_update(rule=found, version=version, draft=form.draft(), actor=access.user, now=timezone.now())
        except ValidationError as error:
            form.refuse(error)
        except Problem as problem:
            current = _rule(access, rule_id)
            return _form(request, RuleForm.of(current), context | {"rule": current, "stale": True}, problem.status)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved.")
            return _to(access, found)
    return _form(request, form, context, 422 if form.errors else 200)


@require_safe
@organization_page()
def preview(request: HttpRequest, access: Access, rule_id: int) -> HttpResponse:
    """What it would have told lately, for the kinds that can be read again."""
    found, now = _rule(access, rule_id), timezone.now()
    if found.kind not in PREVIEWED:
        raise Http404
    subjects, told = told_lately(access.organization, found, now)
    context = {
        "nav": "alerts",
        "now": now,
        "rule": found,
        "days": DAYS,
        "subjects": [subject.label for subject in subjects],
        "told": told,
        "may_edit": access.may(Permission.EDIT_CHANNELS),
    }
    return render(request, "watch/rule_preview.html", context)


@form_page
@organization_page(Permission.EDIT_CHANNELS)
def delete(request: HttpRequest, access: Access, rule_id: int) -> HttpResponse:
    found = _rule(access, rule_id)
    if request.method != "POST":
        return render(request, "watch/rule_delete.html", {"nav": "alerts", "rule": found})
    rule_delete(rule=found, version=found.version, actor=access.user, now=timezone.now())
    messages.success(request, f"{found.name} is deleted. Its alerts stay.")
    return redirect("alert_rules", org_slug=access.organization.slug)


@require_POST
@organization_page(Permission.EDIT_CHANNELS)
def mute(request: HttpRequest, access: Access, rule_id: int) -> HttpResponse:
    """For some hours, or with none from now on no more."""
    found, now = _rule(access, rule_id), timezone.now()
    hours = next((each for each in MUTES if str(each) == request.POST.get("hours")), None)
    until = None if hours is None else now + timedelta(hours=hours)
    rule_mute(rule=found, until=until, actor=access.user, now=now)
    if until is None:
        messages.success(request, f"{found.name} tells its channels again.")
    else:
        messages.success(request, f"{found.name} tells nobody until {moment(until)}. What fires is written down.")
    return _to(access, found)


@require_POST
@organization_page(Permission.EDIT_CHANNELS)
def test(request: HttpRequest, access: Access, rule_id: int) -> HttpResponse:
    found = _rule(access, rule_id)
    alert = rule_test(rule=found, actor=access.user, now=timezone.now())
    if alert is None:
        messages.info(request, "A test went out a moment ago.")
        return _to(access, found)
    messages.success(request, "A test is on its way; what comes of it shows here.")
    return redirect("alert", org_slug=access.organization.slug, alert_id=alert.id)


def _rule(access: Access, rule_id: int) -> AlertRule:
    rules = AlertRule.objects.present().select_related("organization")
    return get_object_or_404(rules, organization=access.organization, id=rule_id)


def _to(access: Access, found: AlertRule) -> HttpResponse:
    return redirect("alert_rule", org_slug=access.organization.slug, rule_id=found.id)


def _form(request: HttpRequest, form: RuleForm, context: dict[str, Any], status: int) -> HttpResponse:
    return render(request, "watch/rule_form.html", {"nav": "alerts", "form": form, **context}, status=status)


def _why_not(kind: str) -> str:
    """Why a rule of this kind cannot be tried on the past; empty where it can."""
    return WHY_NOT.get(RuleKind(kind), "")


def _first_severity(kind: str) -> str:
    return "" if kind == RuleKind.BUDGET_THRESHOLD else Severity.WARNING.value


def _severity(found: AlertRule) -> str:
    return Severity(found.severity).label if found.severity else AS_IT_COMES


def _tone(found: AlertRule) -> str:
    return SEVERITY_TONES[Severity(found.severity)] if found.severity else ""


def _spoken(found: AlertRule) -> list[tuple[str, str]]:
    """The parameters with their labels, as people write them."""
    values, networks = values_of(found.kind, found.parameters), networks_of(found.kind, found.parameters)
    return [
        *((each.label, _written(each, values[each.name])) for each in found.spec.parameters),
        *((each.label, ", ".join(each.written(networks[each.name])) or "None named") for each in found.spec.networks),
    ]


def _written(parameter: Parameter, value: int) -> str:
    match parameter.measure:
        case Measure.USD:
            return usd(value)
        case Measure.TIMES:
            return f"{parameter.written(value)}×"
    return count(value)
