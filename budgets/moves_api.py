"""Transfers between budgets, and pauses, over the API."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.amounts import to_text
from budgets.approvals.serializers import PAUSE, TRANSFER, PauseWriteSerializer, TransferWriteSerializer
from budgets.limits import limits_now
from budgets.models import Budget
from budgets.pauses import budget_pause, budget_resume
from budgets.transfers import transfer
from common.api import problems, query_parameters
from common.ids import parse_id
from common.preconditions import etag
from common.problems import Fault, Problem, invalid
from tenants.api_base import TenantAPIView, object_of
from tenants.models import AccessToken


class MovingView(TenantAPIView):
    """One budget in force, moved by an access token."""

    scopes = {"POST": "budgets:write", "DELETE": "budgets:write"}

    def mover(self) -> AccessToken:
        token = self.token()
        if token is None:
            raise Problem("insufficient-scope")
        return token

    def budget(self, identifier: str) -> Budget:
        return object_of(
            Budget.objects.in_force().with_scope().filter(organization_id=self.caller.organization_id), identifier
        )


class TransfersView(MovingView):
    @extend_schema(
        operation_id="budgets_transfer",
        summary="Give a part of a limit to another budget",
        description="To one that lies in the same team (or at the top of the organization), counts the same unit and"
        " has the same period; until that period ends. At most what is left.",
        request=TransferWriteSerializer,
        responses={201: TRANSFER, **problems(400, 404, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        source, now = self.budget(identifier), timezone.now()
        serializer = TransferWriteSerializer(data=request.data, context={"unit": source.unit})
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        others = Budget.objects.in_force().with_scope().filter(organization_id=self.caller.organization_id)
        target = others.filter(id=parse_id(given["to"]) or 0).first()
        if target is None:
            raise invalid(Fault("/to", "unknown_reference", "is not a budget in force of this organization"))
        _, row = transfer(
            organization=self.organization(),
            source=source,
            target=target,
            amount=given["amount"],
            reason=given["reason"],
            actor=self.mover(),
            now=now,
        )
        limits = limits_now([source, target], now)
        sides = {
            name: {"budget": {"id": str(each.id), "name": each.name}, "limit": to_text(each.unit, limits[each.id])}
            for name, each in (("from", source), ("to", target))
        }
        answer = {"unit": source.unit, "amount": to_text(source.unit, row.amount), "until": row.ends_at}
        return Response(answer | sides, status=201)


class PauseView(MovingView):
    @extend_schema(
        operation_id="budgets_pause",
        summary="Pause a budget",
        description="Until then it counts and refuses nothing. At most 90 days; another end replaces the present one.",
        request=PauseWriteSerializer,
        responses={200: OpenApiResponse(PAUSE), **problems(400, 404, 409, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        budget, now = self.budget(identifier), timezone.now()
        serializer = PauseWriteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        paused = budget_pause(
            organization=self.organization(),
            budget=budget,
            until=serializer.validated_data["until"],
            actor=self.mover(),
            now=now,
        )
        return _paused(paused, now)

    @extend_schema(
        operation_id="budgets_resume",
        summary="End the pause of a budget",
        responses={200: OpenApiResponse(PAUSE), **problems(404, 409)},
    )
    def delete(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        budget, now = self.budget(identifier), timezone.now()
        resumed = budget_resume(organization=self.organization(), budget=budget, actor=self.mover(), now=now)
        return _paused(resumed, now)


def _paused(budget: Budget, now: datetime) -> Response:
    until = budget.paused_until if budget.paused_until is not None and budget.paused_until > now else None
    body: dict[str, Any] = {"budget": {"id": str(budget.id), "name": budget.name}, "paused_until": until}
    answer = Response(body)
    answer["ETag"] = etag(budget.version)
    return answer
