"""The page of a cost review, made to be printed too."""

from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from analytics.filters import InvalidAddress
from analytics.page import sensible
from analytics.ranges import InvalidRange
from analytics.review_periods import MONTH, WEEK, ReviewPeriod, last_ended, parse_period
from analytics.reviews import review
from common.display import count
from common.ids import parse_id
from tenants.access import Access, organization_page


@require_safe
@organization_page()
@sensible
def cost_review(request: HttpRequest, access: Access) -> HttpResponse:
    """`period`: 2026-11 or 2026-W47, the last whole month for none; `team`: a team and everything below it."""
    now, zone = timezone.now(), ZoneInfo(access.organization.timezone)
    try:
        period = parse_period(request.GET.get("period", ""), now, zone)
    except InvalidRange as error:
        raise InvalidAddress(str(error)) from error
    team_id = _team(request, access)
    path = reverse("review", kwargs={"org_slug": access.organization.slug})
    team = {"team": str(team_id)} if team_id else {}

    def url(of: ReviewPeriod) -> str:
        return f"{path}?{urlencode({'period': of.parameter, **team})}"

    found = review(access.organization, period, now=now, team_id=team_id)
    latest = last_ended(period.every, now, zone)
    context: dict[str, Any] = {
        "nav": "review",
        "now": now,
        "review": found,
        "because": f"mostly {found.total.because.lower()}" if found.total.because else "",
        "versus": f"vs {period.previous.label}",
        "unpriced_text": f"{count(found.unpriced_requests)} requests have no price yet: the true spend is higher.",
        "zone": zone.key,
        "whole_url": f"{path}?{urlencode({'period': period.parameter})}" if team_id else "",
        "earlier_url": url(period.previous),
        "later_url": url(period.next) if period.first < latest.first else "",
        "kinds": [
            {"text": text, "url": url(last_ended(every, now, zone)), "current": period.every == every}
            for every, text in ((WEEK, "Weekly"), (MONTH, "Monthly"))
        ],
    }
    return render(request, "analytics/review.html", context)


def _team(request: HttpRequest, access: Access) -> int | None:
    given = request.GET.get("team", "")
    if not given:
        return None
    team_id = parse_id(given)
    return access.team(0 if team_id is None else team_id).id
