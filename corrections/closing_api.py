"""Closed months over the API: the list of what was signed, and the sign-off."""

import re
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import decode_cursor, encode_cursor, page_limit, page_of, problems, query_parameters
from common.periods import Period
from common.problems import Fault, Problem, invalid
from common.strict import StrictBooleanField, StrictCharField, StrictSerializer
from corrections.months import month_close, name_of, next_to_close
from corrections.serializers import UsdField
from tenants.api_base import TenantAPIView
from tenants.models import Organization
from usage.models import ClosedMonth

_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_LARGEST_ID = 2**63 - 1


class MonthCloseSerializer(StrictSerializer[Any]):
    month = StrictCharField(max_length=7, help_text='"2026-10": the oldest month that is not closed')
    note = StrictCharField(max_length=500, required=False, allow_blank=True)
    accept_unpriced = StrictBooleanField(required=False, help_text="close although usage of it has no price")


class ClosedMonthSerializer(serializers.Serializer[ClosedMonth]):
    id = serializers.CharField()
    month = serializers.SerializerMethodField()
    start = serializers.DateTimeField(source="starts_at")
    end = serializers.DateTimeField(source="ends_at")
    timezone = serializers.CharField()
    events = serializers.IntegerField()
    requests = serializers.IntegerField()
    unpriced_requests = serializers.IntegerField()
    list_cost = UsdField()
    cost = UsdField()
    closed_at = serializers.DateTimeField()
    closed_by = serializers.CharField()
    note = serializers.CharField()

    def get_month(self, month: ClosedMonth) -> str:
        return name_of(Period(month.starts_at, month.ends_at), self.context["organization"])


CLOSED_MONTH_PAGE = inline_serializer(
    "ClosedMonthPage", {"data": ClosedMonthSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


class ClosedMonthsView(TenantAPIView):
    scopes = {"GET": "usage:read", "POST": "org:write"}

    @extend_schema(
        operation_id="closed_months_list",
        summary="Months that were signed off, newest first",
        parameters=[
            OpenApiParameter("limit", int, description="1 to 100"),
            OpenApiParameter("cursor", str, description="`next` of the page before"),
        ],
        responses={200: CLOSED_MONTH_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, frozenset({"limit", "cursor"}))
        limit = page_limit(given)
        (before,) = decode_cursor(given["cursor"], (int,)) if "cursor" in given else (_LARGEST_ID,)
        own = ClosedMonth.objects.filter(organization=self.caller.organization_id)
        # Months are closed in order, so their ids are in order as well.
        found = list(own.filter(id__lt=max(0, min(before, _LARGEST_ID))).order_by("-id")[: limit + 1])
        context = {"organization": self.organization()}
        rows = [dict(ClosedMonthSerializer(month, context=context).data) for month in found]
        return page_of(rows, limit=limit, cursor=encode_cursor(found[limit - 1].id) if len(found) > limit else None)

    @extend_schema(
        operation_id="closed_months_close",
        summary="Sign a month off",
        description="Months are closed in order, after they have ended, and never opened again: what is corrected"
        " later counts in the open month.",
        request=MonthCloseSerializer,
        responses={201: ClosedMonthSerializer, **problems(400, 409, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = MonthCloseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given, now, organization = serializer.validated_data, timezone.now(), self.organization()
        month = month_close(
            organization=organization,
            start=_start(organization, given["month"], now),
            note=given.get("note", ""),
            accept_unpriced=given.get("accept_unpriced", False),
            actor=self.token(),
            now=now,
        )
        return Response(ClosedMonthSerializer(month, context={"organization": organization}).data, status=201)


def _start(organization: Organization, month: str, now: datetime) -> datetime:
    """The start of the month that is next to close, if it is the one meant; else one that is not (and refused)."""
    if not _MONTH.fullmatch(month):
        raise invalid(Fault("/month", "invalid", 'must be a month such as "2026-10"'))
    following = next_to_close(organization, now)
    if following is None:
        raise Problem("conflict", "No month is ready to be closed: months are closed after they have ended.")
    return following.start if name_of(following, organization) == month else datetime.min.replace(tzinfo=UTC)
