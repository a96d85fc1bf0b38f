"""Closing months: their figures, what to look at before, the sign-off, and what happens to usage that comes after."""

from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from common.problems import Problem
from corrections.forms import SignOffForm
from corrections.models import AT_WORK
from corrections.months import Month, month_close, months, name_of, next_to_close, refusal_set
from corrections.selectors import runs_of
from tenants.access import Access, organization_page
from tenants.roles import Permission

form_page = require_http_methods(["GET", "HEAD", "POST"])


@form_page
@organization_page()
def closing(request: HttpRequest, access: Access) -> HttpResponse:
    """Everybody sees the months; who may, signs the next one off."""
    if request.method == "POST":
        access.require(Permission.CLOSE_MONTHS)
    organization, now = access.organization, timezone.now()
    following = next_to_close(organization, now)
    form = SignOffForm(
        request.POST if request.method == "POST" else None, initial={"start": following.start if following else None}
    )
    if form.is_valid() and _closed(request, access, form, now):
        return redirect("closing", org_slug=organization.slug)
    zone = ZoneInfo(organization.timezone)
    rows = [_row(month, access, zone, now) for month in months(organization, now)]
    context = {
        "nav": "closing",
        "now": now,
        "zone": zone.key,
        "rows": rows,
        "next": next((row for row in rows if following and row["month"].period == following), None),
        "form": form,
        "runs": runs_of(organization.id).filter(state__in=AT_WORK).count(),
        "may_close": access.may(Permission.CLOSE_MONTHS),
        "refuses": organization.refuses_closed,
    }
    return render(request, "corrections/closing.html", context, status=422 if form.errors else 200)


@require_POST
@organization_page(Permission.CLOSE_MONTHS)
def closing_policy(request: HttpRequest, access: Access) -> HttpResponse:
    refuses = request.POST.get("refuses") == "1"
    refusal_set(organization=access.organization, refuses=refuses, actor=access.user, now=timezone.now())
    messages.success(
        request,
        "Usage of closed months is refused from now on."
        if refuses
        else "Usage of closed months counts in the open month from now on.",
    )
    return redirect("closing", org_slug=access.organization.slug)


def _closed(request: HttpRequest, access: Access, form: SignOffForm, now: datetime) -> bool:
    given = form.cleaned_data
    try:
        month = month_close(
            organization=access.organization, start=given["start"], note=given["note"],
            accept_unpriced=given["accept_unpriced"], actor=access.user, now=now,
        )  # fmt: skip
    except ValidationError as error:
        form.refuse(error)
        return False
    except Problem as problem:
        form.add_error(None, problem.detail)
        return False
    messages.success(request, f"The month is closed and signed by {month.closed_by}.")
    return True


def _row(month: Month, access: Access, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    state, tone = ("Closed", "good") if month.closed else ("Ended", "warn") if month.period.end <= now else ("Open", "")
    last = month.period.end - timedelta(microseconds=1)
    middle = month.period.start + (month.period.end - month.period.start) / 2
    return {
        "month": month,
        "name": name_of(month.period, access.organization),
        "title": f"{middle.astimezone(zone):%B %Y}",
        "days": urlencode({"start": _day(month.period.start, zone), "end": _day(min(last, now), zone)}),
        "state": state,
        "tone": tone,
    }


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()
