"""The unpriced inbox: what has no price, and pricing it with one click."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from common.display import dollars
from common.problems import Problem
from corrections import wake
from corrections.forms import PriceForm
from corrections.inbox import UnpricedModel
from corrections.likeness import Like
from corrections.models import AT_WORK, RepriceRun
from corrections.pricing_inbox import Suggestion, backfill, price_at, price_like, suggestions, unpriced_model
from corrections.runs import advance
from corrections.selectors import runs_of
from pricing.models import ListPrice
from pricing.reasons import reason_in_words
from pricing.terms import Units
from tenants.access import Access, organization_page
from tenants.models import Team, VirtualKey
from tenants.roles import Permission

form_page = require_http_methods(["GET", "HEAD", "POST"])
MOST_NAMES = 3


@require_safe
@organization_page()
def unpriced(request: HttpRequest, access: Access) -> HttpResponse:
    zone, now = ZoneInfo(access.organization.timezone), timezone.now()
    found = suggestions(access.organization.id, now)
    teams = dict(Team.objects.filter(organization=access.organization).values_list("id", "name"))
    keys = dict(VirtualKey.objects.filter(organization=access.organization).values_list("id", "name"))
    context = {
        "nav": "unpriced",
        "now": now,
        "zone": zone.key,
        "rows": [_row(each, zone, teams, keys) for each in found],
        "requests": sum(each.usage.requests for each in found),
        "runs": runs_of(access.organization.id).filter(state__in=AT_WORK, unpriced_only=True),
        "may_edit": access.may(Permission.EDIT_PRICES),
    }
    return render(request, "corrections/unpriced.html", context)


@form_page
@organization_page(Permission.EDIT_PRICES)
def unpriced_price(request: HttpRequest, access: Access) -> HttpResponse:
    """Prices for one model: entered, those of a listed one (one click), or those that are known by now (one click)."""
    usage = _asked_usage(access, request.GET)
    now = timezone.now()
    if "like_model" in request.POST:
        like = Like(request.POST.get("like_provider", ""), request.POST["like_model"])
        return _priced(
            request,
            access,
            lambda: price_like(organization=access.organization, usage=usage, like=like, actor=access.user, now=now),
        )
    if "known" in request.POST:
        reason = f"A price of {usage.model} is known now"
        return _priced(
            request,
            access,
            lambda: backfill(organization=access.organization, usage=usage, reason=reason, actor=access.user, now=now),
        )
    return _entered(request, access, usage, now)


def _entered(request: HttpRequest, access: Access, usage: UnpricedModel, now: datetime) -> HttpResponse:
    """The form; what is far from known prices has to be confirmed."""
    form = PriceForm(request.POST if request.method == "POST" else None)
    doubts: list[str] = []
    if form.is_valid():
        try:
            run = price_at(
                organization=access.organization, usage=usage, units=form.units(), actor=access.user, now=now,
                confirmed=form.cleaned_data["confirm"],
            )  # fmt: skip
        except ValidationError as error:
            form.refuse(error)
        except Problem as problem:
            doubts = [fault.detail for fault in problem.errors] or [problem.detail]
        else:
            return _to_run(access, run)
    context = {"nav": "unpriced", "form": form, "usage": usage, "doubts": doubts}
    return render(request, "corrections/unpriced_price.html", context, status=422 if form.errors or doubts else 200)


def _priced(request: HttpRequest, access: Access, price: Callable[[], RepriceRun]) -> HttpResponse:
    try:
        run = price()
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except Problem as problem:
        messages.error(request, problem.detail)
    else:
        return _to_run(access, run)
    return redirect("unpriced", org_slug=access.organization.slug)


def _asked_usage(access: Access, given: Mapping[str, Any]) -> UnpricedModel:
    provider, model = str(given.get("provider", "")), str(given.get("model", ""))
    try:
        return unpriced_model(access.organization.id, provider, model)
    except Problem as problem:
        raise Http404(problem.detail) from problem


def _to_run(access: Access, run: RepriceRun) -> HttpResponse:
    # A small backlog is looked at and booked before its page is shown; the rest is a worker's.
    steps = (advance(access.organization.id, run.id, timezone.now()) for _ in range(2))
    if all(steps):
        wake.after_commit()
    return redirect("repricing", org_slug=access.organization.slug, run_id=run.id)


def _row(each: Suggestion, zone: ZoneInfo, teams: dict[int, str], keys: dict[int, str]) -> dict[str, Any]:
    usage = each.usage
    return {
        "usage": usage,
        "reason": reason_in_words(usage.reason),
        "first_seen": usage.first_seen.astimezone(zone),
        "last_seen": usage.last_seen.astimezone(zone),
        "teams": _named(usage.teams, teams),
        "keys": _named(usage.keys, keys),
        "like": each.like,
        "like_says": _says(each.like) if each.like else "",
        "known_now": each.known_now,
    }


def _named(ids: tuple[int, ...], names: dict[int, str]) -> str:
    known = sorted(names[each] for each in ids if each in names)
    more = len(known) - MOST_NAMES
    return ", ".join(known[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _says(price: ListPrice) -> str:
    """ "$0.10 in, $0.40 out per million"."""
    units: Units = price.units
    named = [(units.get(unit), word) for unit, word in (("input", "in"), ("output", "out"))]
    parts = [f"{dollars(Decimal(amount))} {word}" for amount, word in named if amount]
    return f"{', '.join(parts)} per million" if parts else ""
