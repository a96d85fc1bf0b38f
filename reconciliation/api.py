"""POST /api/v1/billed-usage and GET /api/v1/reconciliation."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import problems, query_parameters
from common.money import to_usd
from common.problems import Fault, invalid
from reconciliation.exports.base import MAX_NAME, ExportError
from reconciliation.exports.reading import items_of
from reconciliation.parameters import parse_month
from reconciliation.selectors import Totals, comparison, month_of, totals
from reconciliation.serializers import ReconciliationSerializer, UploadedSerializer
from reconciliation.services import billed_usage_store
from tenants.api_base import TenantAPIView

_PAGE = {"type": "object", "properties": {"data": {"type": "array", "items": {"type": "object"}}}, "required": ["data"]}


class BilledUsageView(TenantAPIView):
    """What providers billed."""

    scopes = {"POST": "reconciliation:write"}

    @extend_schema(
        operation_id="billed_usage_upload",
        summary="Upload what a provider billed",
        description="A page of OpenAI's /v1/organization/costs or /v1/organization/usage/completions, or of Anthropic's"
        " cost_report or usage_report/messages, as it came; or an array of pages. The same content again changes"
        " nothing; other content of a day is a new version of it, and the old one is kept.",
        request={"application/json": {"oneOf": [_PAGE, {"type": "array", "items": _PAGE}]}},
        responses={200: UploadedSerializer, **problems(400, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        try:
            uploaded = billed_usage_store(
                organization=self.organization(), items=items_of(request.data), actor=self.token(), now=timezone.now()
            )
        except ExportError as error:
            raise invalid(Fault(error.pointer, "invalid", error.detail)) from error
        return Response(UploadedSerializer(uploaded).data)


class ReconciliationView(TenantAPIView):
    """A provider's bill beside our figure."""

    scopes = {"GET": "reconciliation:read"}

    @extend_schema(
        operation_id="reconciliation_get",
        summary="A provider's bill of a month beside our figure",
        description="Per day of UTC and model. `difference` is what the bill has more than `counted` and `accepted`;"
        " `explained` sums to it. Days without a bill are left out.",
        parameters=[
            OpenApiParameter("provider", str, required=True),
            OpenApiParameter("month", str, required=True, description="such as 2026-10"),
        ],
        responses={200: ReconciliationSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, frozenset({"provider", "month"}))
        month, provider = parse_month(given.get("month", "")), given.get("provider", "")
        if month is None:
            raise invalid(Fault("/month", "invalid", "must be a month such as 2026-10"))
        if not 0 < len(provider) <= MAX_NAME or "\x00" in provider:
            raise invalid(Fault("/provider", "required", "names the provider"))
        first, end = month_of(month)
        found = comparison(organization_id=self.caller.organization_id, provider=provider, first=first, end=end)
        lines = [{"day": line.day, "model": line.model, **_sums(totals([line]))} for line in found.lines]
        answer = {"provider": provider, "month": given["month"], "total": _sums(found.total), "data": lines}
        return Response(ReconciliationSerializer(answer).data)


def _sums(sums: Totals) -> dict[str, Any]:
    return {
        "billed": to_usd(sums.billed),
        "counted": to_usd(sums.ours),
        "accepted": to_usd(sums.accepted),
        "difference": to_usd(sums.difference),
        "explained": {name: to_usd(amount) for name, amount in sums.parts.items()},
    }
