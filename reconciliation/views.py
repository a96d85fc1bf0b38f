"""The pages of reconciliation: everybody sees them; owners, admins and finance upload bills and accept differences."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from common.display import usd_signed
from common.ids import parse_id
from reconciliation.exports.base import MAX_NAME, ExportError
from reconciliation.forms import LIMIT, AcceptForm, ExportForm, too_large
from reconciliation.models import AcceptedDifference
from reconciliation.parameters import parse_month
from reconciliation.selectors import (
    Comparison,
    accepted_list,
    billed_providers,
    comparison,
    latest_billed_day,
    month_of,
)
from reconciliation.services import Uploaded, billed_usage_store, difference_undo, differences_accept
from tenants.access import Access, organization_page
from tenants.roles import Permission
from tenants.selectors import team_tree
from tenants.views import form_page

# What a multipart form adds around its file.
FORM_BYTES = 65_536
CAUSES = {
    "unrouted": "Billed, and not reported to CostHub: calls that went around it.",
    "unpriced": "Reported without a known price: set one, and it settles by itself.",
    "mispriced": "The same tokens at another price: a discount, a tier or a price that has changed.",
    "duplicate": "Counted more often than billed: retries or two reporters of the same calls.",
    "timing": "Taken back by the day beside it: calls around midnight UTC.",
    "unexplained": "Nothing in the figures says why.",
}


@form_page
@organization_page()
def reconciliation(request: HttpRequest, access: Access) -> HttpResponse:
    """A month of a provider; with `model`, its days. What is posted accepts or undoes differences."""
    if request.method != "POST":
        return _page(request, access, None)
    access.require(Permission.RECONCILE)
    if request.POST.get("action") == "undo":
        return _undo(request, access)
    if request.POST.get("action") == "accept":
        return _accept(request, access)
    raise Http404("No such action")


def _accept(request: HttpRequest, access: Access) -> HttpResponse:
    form = AcceptForm(request.POST, tree=team_tree(access.organization))
    provider, model = request.GET.get("provider", ""), _model(request)
    if form.is_valid():
        try:
            booked = differences_accept(
                organization=access.organization,
                provider=provider,
                model=model,
                expected=form.cleaned_data["expected"],
                team=access.team(int(form.cleaned_data["team"])),
                note=form.cleaned_data["note"],
                actor=access.user,
                now=timezone.now(),
            )
        except ValidationError as error:
            form.refuse(error)
        else:
            messages.success(request, f"{usd_signed(booked)} is booked.")
            return redirect(request.get_full_path())
    return _page(request, access, form, status=422)


def _model(request: HttpRequest) -> str:
    """The model that is looked at. An address cannot tell "" from none, so that the one without a name is a space."""
    return request.GET.get("model", "").strip()[:MAX_NAME]


def _undo(request: HttpRequest, access: Access) -> HttpResponse:
    everything = AcceptedDifference.objects.filter(organization=access.organization)
    entry = get_object_or_404(everything, id=parse_id(request.POST.get("accepted", "")) or 0)
    try:
        difference_undo(entry=entry, actor=access.user, now=timezone.now())
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        messages.success(request, f"{usd_signed(-entry.amount)} is booked back.")
    return redirect(request.get_full_path())


def _page(request: HttpRequest, access: Access, form: AcceptForm | None, *, status: int = 200) -> HttpResponse:
    organization_id = access.organization.id
    providers = billed_providers(organization_id=organization_id)
    latest = latest_billed_day(organization_id=organization_id) or timezone.now().date()
    first, end = month_of(parse_month(request.GET.get("month", "")) or latest)
    provider = request.GET.get("provider", "")
    if provider not in providers:
        provider = providers[0] if providers else ""
    found = comparison(organization_id=organization_id, provider=provider, first=first, end=end)
    context: dict[str, Any] = {
        "nav": "reconciliation",
        "found": found,
        "month": f"{first:%Y-%m}",
        "providers": providers,
        "causes": [(name, text) for name, text in CAUSES.items() if name in found.total.parts],
        "may_act": access.may(Permission.RECONCILE),
        "accepted": accepted_list(organization_id=organization_id, provider=provider, first=first, end=end),
        "models": found.by_model(),
    }
    if "model" in request.GET:
        context |= _days(access, found, _model(request), form)
    return render(request, "reconciliation/reconciliation.html", context, status=status)


def _days(access: Access, found: Comparison, model: str, form: AcceptForm | None) -> dict[str, Any]:
    """The days of one model, and the form that accepts their differences."""
    lines = [line for line in found.lines if line.model == model]
    open_lines = any(line.difference for line in lines)
    if access.may(Permission.RECONCILE) and open_lines:
        form = form or AcceptForm(tree=team_tree(access.organization))
    return {"model": model, "drilled": True, "lines": lines, "form": form}


# Checking the token reads the body; how long it is must be looked at before that.
@csrf_exempt
@form_page
@organization_page(Permission.RECONCILE)
def upload(request: HttpRequest, access: Access) -> HttpResponse:
    """The form that takes an export."""
    if request.method == "POST" and int(request.META.get("CONTENT_LENGTH") or 0) > LIMIT + FORM_BYTES:
        return _upload_page(request, ExportForm(), status=413, refusal=too_large())
    return _upload(request, access) if request.method == "POST" else _upload_page(request, ExportForm())


@csrf_protect
def _upload(request: HttpRequest, access: Access) -> HttpResponse:
    form = ExportForm(request.POST, files=request.FILES)
    if form.is_valid():
        items = form.cleaned_data["file"]
        try:
            uploaded = billed_usage_store(
                organization=access.organization, items=items, actor=access.user, now=timezone.now()
            )
        except ExportError as error:
            form.add_error("file", str(error))
        else:
            messages.success(request, _said(uploaded))
            query = urlencode({"month": f"{max(item.day for item in items):%Y-%m}"})
            return redirect(f"{reverse('reconciliation', args=[access.organization.slug])}?{query}")
    return _upload_page(request, form, status=413 if form.has_code("too_large") else 422)


def _said(uploaded: Uploaded) -> str:
    parts = [f"{uploaded.new} new"]
    if uploaded.changed:
        parts.append(f"{uploaded.changed} changed (the version before is kept)")
    if uploaded.unchanged:
        parts.append(f"{uploaded.unchanged} known as they are")
    return f"Days of the export: {', '.join(parts)}."


def _upload_page(request: HttpRequest, form: ExportForm, *, status: int = 200, refusal: str = "") -> HttpResponse:
    context = {"nav": "reconciliation", "form": form, "refusal": refusal}
    return render(request, "reconciliation/upload.html", context, status=status)
