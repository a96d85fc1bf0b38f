"""Putting an alert off, from its page."""

from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from alerts.models import Alert
from alerts.services import alert_snooze
from common.display import moment
from common.problems import Problem
from tenants.access import Access, organization_page
from tenants.roles import Permission

# Hours → how they read on the button's list.
SNOOZES = {1: "1 hour", 4: "4 hours", 24: "1 day", 72: "3 days", 168: "7 days"}


@require_POST
@organization_page(Permission.EDIT_CHANNELS)
def snooze(request: HttpRequest, access: Access, alert_id: int) -> HttpResponse:
    found = get_object_or_404(Alert, organization=access.organization, id=alert_id)
    hours = next((each for each in SNOOZES if str(each) == request.POST.get("hours")), None)
    now = timezone.now()
    if hours is None:
        messages.error(request, "Choose for how long.")
    else:
        until = now + timedelta(hours=hours)
        try:
            alert_snooze(alert=found, until=until, actor=access.user, now=now)
        except Problem as problem:
            messages.info(request, problem.detail)
        else:
            messages.success(request, f"Nobody is told more until {moment(until)}; if it still fires then, they are.")
    return redirect("alert", org_slug=access.organization.slug, alert_id=found.id)
