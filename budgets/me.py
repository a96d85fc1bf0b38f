"""GET /api/v1/me: what the holder of a virtual key may know about itself."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.applying import Subject, budgets_applying
from budgets.selectors import people_who_may_change, states_of
from budgets.serializers import ME, BudgetSerializer, MePeriodSerializer, MeSpendSerializer
from budgets.windows import BEGINNING
from common.api import problems, query_parameters
from common.periods import Period, PeriodKind, period_at
from pricing.normalize import normalize
from tenants.api_base import TenantAPIView
from tenants.models import VirtualKey
from usage.dimensions import TAG_PREFIX
from usage.questions import Dimension
from usage.selectors import SpendQuery, total
from usage.watched import WATCHABLE

NAMED = frozenset(WATCHABLE)
_TAG = re.compile(r"tag\.[a-z0-9_]{1,40}")


class MeView(TenantAPIView):
    scopes = {"GET": "me"}

    @extend_schema(
        operation_id="me",
        summary="The calling virtual key: its spend, its budgets, what is left",
        description="For virtual keys only; an access token gets 403. `day` and `month` are the current ones in the"
        " organization's time zone, `total` is all there ever was. Usage counts once it is settled, within seconds."
        " `budgets` are all that the key's usage counts in, the organization's first. Name what a call would carry"
        " (`customer`, `feature`, `agent`, `user`, `model`, `tag.<name>`) for the budgets on that as well.",
        parameters=[OpenApiParameter(name, str) for name in (*NAMED, "tag.<name>")],
        responses={200: OpenApiResponse(ME), **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, NAMED | {name for name in request.GET if _TAG.fullmatch(name)})
        now = timezone.now()
        key = VirtualKey.objects.select_related("team", "organization").get(
            organization_id=self.caller.organization_id, id=self.caller.credential_id
        )
        budgets = budgets_applying(key.organization_id, _subject(key, given))
        return Response(
            _names(key)
            | {
                "spend": _spend(key, now),
                "budgets": [BudgetSerializer(state).data for state in states_of(budgets, now)],
                "may_raise": [
                    {"email": person.user.email, "role": person.role}
                    for person in people_who_may_change(key.organization_id)
                ],
            }
        )


def _subject(key: VirtualKey, given: Mapping[str, str]) -> Subject:
    """A call of the key that carries these names."""
    named = {name: value for name, value in given.items() if name in NAMED}
    if "model" in named:
        named["model"] = normalize("", named["model"])[1]
    tags = {name.removeprefix(TAG_PREFIX): value for name, value in given.items() if name not in NAMED}
    return Subject(key.team_id, key.id, tags=tags, **named)


def _names(key: VirtualKey) -> dict[str, Any]:
    organization, team = key.organization, key.team
    return {
        "organization": {
            "id": str(organization.id),
            "slug": organization.slug,
            "name": organization.name,
            "timezone": organization.timezone,
        },
        "team": {"id": str(team.id), "slug": team.slug, "name": team.name},
        "virtual_key": {"id": str(key.id), "name": key.name, "mode": key.mode, "expires_at": key.expires_at},
    }


def _spend(key: VirtualKey, now: datetime) -> dict[str, Any]:
    zone = ZoneInfo(key.organization.timezone)
    day, month = period_at(PeriodKind.DAY, now, zone), period_at(PeriodKind.MONTH, now, zone)
    always = Period(BEGINNING, max(day.end, month.end))
    return {
        "day": MePeriodSerializer(_sums(key, day)).data,
        "month": MePeriodSerializer(_sums(key, month)).data,
        "total": MeSpendSerializer(_sums(key, always)).data,
    }


def _sums(key: VirtualKey, period: Period) -> dict[str, Any]:
    filters: dict[str, list[str]] = {Dimension.VIRTUAL_KEY: [str(key.id)]}
    spend = total(SpendQuery(key.organization_id, period.start, period.end, filters=filters))
    return {"start": period.start, "end": period.end, **asdict(spend)}
