"""Pages of an organization's own prices: its rules and its flat fees. The price list itself: `analytics.prices`."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from common.problems import Problem
from pricing.drafts import checked
from pricing.forms import CommitmentForm, RuleForm
from pricing.models import Commitment, PriceProvider, PriceRule
from pricing.preview import preview
from pricing.selectors import rules_of
from pricing.services import commitment_add, commitment_stop, rule_add, rule_end
from tenants.access import Access, organization_page
from tenants.roles import Permission
from tenants.selectors import team_tree

form_page = require_http_methods(["GET", "HEAD", "POST"])
# As many as an organization can have in force, and some that are over.
SHOWN = 1_200
_TONES = {"in_force": ("In force", "good"), "ahead": ("Ahead", "info"), "ended": ("Ended", "")}


@require_safe
@organization_page()
def price_rules(request: HttpRequest, access: Access) -> HttpResponse:
    now, zone = timezone.now(), ZoneInfo(access.organization.timezone)
    found = PriceRule.objects.filter(organization=access.organization).order_by("-effective_from", "-id")[:SHOWN]
    rows = [_rule_row(rule, zone, now) for rule in found]
    context = {
        "nav": "prices",
        "tab": "rules",
        "now": now,
        "zone": zone.key,
        "present": [row for row in rows if row["state"] != "ended"],
        "over": [row for row in rows if row["state"] == "ended"],
        "may_edit": access.may(Permission.EDIT_PRICES),
    }
    return render(request, "pricing/rules.html", context)


@form_page
@organization_page(Permission.EDIT_PRICES)
def price_rule_add(request: HttpRequest, access: Access) -> HttpResponse:
    """Three ways on from a filled form: see what it means, add it, or confirm prices that look like a slip."""
    now = timezone.now()
    initial = {name: request.GET[name] for name in ("provider", "model", "tier", "kind") if name in request.GET}
    form = RuleForm(request.POST or None, organization=access.organization, initial=initial)
    context: dict[str, Any] = {"doubts": [], "preview": None}
    if form.is_valid():
        try:
            draft = checked(form.draft(now), now)
            context["preview"] = preview(draft, rules_of(access.organization.id), now)
            if "preview" not in request.POST:
                rule = rule_add(
                    organization=access.organization, draft=draft, actor=access.user, now=now,
                    confirmed=form.cleaned_data["confirm"],
                )  # fmt: skip
                messages.success(request, f"{rule.name} counts for usage that arrives from now on.")
                return redirect("price_rules", org_slug=access.organization.slug)
        except ValidationError as error:
            form.refuse(error)
        except Problem as problem:
            context["doubts"] = [fault.detail for fault in problem.errors]
    status = 422 if form.errors or context["doubts"] else 200
    context |= {"nav": "prices", "form": form, "zone": access.organization.timezone, "providers": _providers()}
    return render(request, "pricing/rule_form.html", context, status=status)


@form_page
@organization_page(Permission.EDIT_PRICES)
def price_rule_end(request: HttpRequest, access: Access, rule_id: int) -> HttpResponse:
    now = timezone.now()
    rule = get_object_or_404(PriceRule, organization=access.organization, id=rule_id)
    if request.method != "POST":
        context = {"nav": "prices", "rule": rule, "ahead": rule.state(now) == "ahead"}
        return render(request, "pricing/rule_end.html", context)
    try:
        rule_end(organization=access.organization, rule=rule, at=None, actor=access.user, now=now)
    except Problem as problem:
        messages.error(request, problem.detail)
    else:
        messages.success(request, f"{rule.name} has ended. What it priced keeps its price.")
    return redirect("price_rules", org_slug=access.organization.slug)


@require_safe
@organization_page()
def commitments(request: HttpRequest, access: Access) -> HttpResponse:
    now, zone = timezone.now(), ZoneInfo(access.organization.timezone)
    found = Commitment.objects.filter(organization=access.organization).select_related("team").order_by("-id")[:SHOWN]
    context = {
        "nav": "prices",
        "tab": "commitments",
        "now": now,
        "zone": zone.key,
        "rows": [_commitment_row(commitment, now) for commitment in found],
        "may_edit": access.may(Permission.EDIT_PRICES),
    }
    return render(request, "pricing/commitments.html", context)


@form_page
@organization_page(Permission.EDIT_PRICES)
def commitment_new(request: HttpRequest, access: Access) -> HttpResponse:
    now = timezone.now()
    today = now.astimezone(ZoneInfo(access.organization.timezone)).date()
    form = CommitmentForm(
        request.POST or None, teams=team_tree(access.organization), initial={"first_day": today.replace(day=1)}
    )
    if form.is_valid():
        try:
            made = commitment_add(organization=access.organization, draft=form.draft(), actor=access.user, now=now)
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{made.name} is booked hour by hour; what is due already follows in minutes.")
            return redirect("commitments", org_slug=access.organization.slug)
    context = {"nav": "prices", "form": form, "zone": access.organization.timezone, "providers": _providers()}
    return render(request, "pricing/commitment_form.html", context, status=422 if form.errors else 200)


@form_page
@organization_page(Permission.EDIT_PRICES)
def commitment_end(request: HttpRequest, access: Access, commitment_id: int) -> HttpResponse:
    commitment = get_object_or_404(Commitment, organization=access.organization, id=commitment_id)
    if request.method != "POST":
        return render(request, "pricing/commitment_end.html", {"nav": "prices", "commitment": commitment})
    now = timezone.now()
    try:
        commitment_stop(organization=access.organization, commitment=commitment, at=None, actor=access.user, now=now)
    except Problem as problem:
        messages.error(request, problem.detail)
    else:
        messages.success(request, f"{commitment.name} is stopped. What is booked stays booked.")
    return redirect("commitments", org_slug=access.organization.slug)


def _rule_row(rule: PriceRule, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    state = rule.state(now)
    text, tone = _TONES[state]
    withdrawn = rule.effective_to == rule.effective_from
    return {
        "rule": rule,
        "state": state,
        "text": "Withdrawn" if withdrawn else text,
        "tone": tone,
        "since": rule.effective_from.astimezone(zone),
        "until": rule.effective_to.astimezone(zone) if rule.effective_to else None,
    }


def _commitment_row(commitment: Commitment, now: datetime) -> dict[str, Any]:
    ahead = now < commitment.fee.start
    state = "ended" if commitment.has_ended(now) else "ahead" if ahead else "in_force"
    text, tone = _TONES[state]
    return {
        "commitment": commitment,
        "state": state,
        "text": text,
        "tone": tone,
        "booked_until": None if commitment.booked_until <= commitment.fee.start else commitment.booked_until,
    }


def _providers() -> list[str]:
    return list(PriceProvider.objects.order_by("id").values_list("id", flat=True))
