"""Requests for more and the organization's policy of approvals over the API."""

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.applying import Subject, budgets_applying
from budgets.approvals.policies import policy_set
from budgets.approvals.selectors import increase_requests, open_requests, policy_of
from budgets.approvals.serializers import (
    INCREASE_PAGE,
    DecisionWriteSerializer,
    IncreaseSerializer,
    IncreaseWriteSerializer,
    PolicySerializer,
    PolicyWriteSerializer,
)
from budgets.approvals.services import Asker, asker_of, increase_ask, increase_decide, increase_withdraw
from budgets.models import Budget, IncreaseRequest
from common.api import decode_cursor, encode_cursor, page_limit, page_of, problems, query_parameters
from common.preconditions import ETAG, etag
from common.problems import Fault, Problem, invalid
from tenants.api_base import TenantAPIView, object_of
from tenants.models import AccessToken, VirtualKey

WHO = (
    " A virtual key asks for the budgets that its usage counts in, and sees its own requests; an access token needs"
    " `budgets:write` to ask and `budgets:read` to look."
)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description='The ETag of the version you saw, e.g. "1"; may be left out.'
)
CURSOR = [
    OpenApiParameter("limit", int, description="1 to 100"),
    OpenApiParameter("cursor", str, description="`next` of the page before"),
]


class AskingView(TenantAPIView):
    """Who may ask may be a key or a token, each with a scope of its own; so the methods look at it themselves."""

    def asker(self, scope: str) -> Asker:
        if self.caller.virtual_key_id is not None:
            self.caller.require("me")
            return VirtualKey.objects.get(organization_id=self.caller.organization_id, id=self.caller.virtual_key_id)
        self.caller.require(scope)
        return AccessToken.objects.get(organization_id=self.caller.organization_id, id=self.caller.credential_id)

    def requests_of(self, asker: Asker) -> QuerySet[IncreaseRequest]:
        """What the caller may see: a key its own, a token all."""
        found = increase_requests(self.caller.organization_id)
        return found.filter(asker=asker_of(asker)) if isinstance(asker, VirtualKey) else found


class BudgetIncreasesView(AskingView):
    @extend_schema(
        operation_id="increase_requests_of_budget",
        summary="Requests for more on one budget, newest first",
        description=WHO,
        parameters=CURSOR,
        responses={200: INCREASE_PAGE, **problems(404)},
    )
    def get(self, request: Request, identifier: str) -> Response:
        asker, now = self.asker("budgets:read"), timezone.now()
        budget = _budget(self, asker, identifier)
        return _page(request, self.requests_of(asker).filter(budget=budget), now, frozenset())

    @extend_schema(
        operation_id="increase_requests_ask",
        summary="Ask for more",
        description="Whoever may decide is asked by email, and the organization's channels hear of it. One request of"
        " a caller per budget may wait (409)." + WHO,
        request=IncreaseWriteSerializer,
        parameters=[ETAG],
        responses={201: IncreaseSerializer, **problems(400, 404, 409, 415, 429)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        asker, now = self.asker("budgets:write"), timezone.now()
        budget = _budget(self, asker, identifier)
        serializer = IncreaseWriteSerializer(data=request.data, context={"unit": budget.unit})
        serializer.is_valid(raise_exception=True)
        asked = increase_ask(
            organization=self.organization(), budget=budget, asker=asker, now=now, **serializer.validated_data
        )
        answer = _answer(asked, now, status=201)
        answer["Location"] = f"/api/v1/increase-requests/{asked.id}"
        return answer


class IncreasesView(TenantAPIView):
    scopes = {"GET": "budgets:read"}

    @extend_schema(
        operation_id="increase_requests_list",
        summary="Requests for more, newest first",
        parameters=[OpenApiParameter("waiting", bool, description="only those that wait, or only the others"), *CURSOR],
        responses={200: INCREASE_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        now, organization_id = timezone.now(), self.caller.organization_id
        waiting = request.GET.get("waiting")
        if waiting not in {None, "true", "false"}:
            raise invalid(Fault("/waiting", "invalid", "must be true or false"))
        found = increase_requests(organization_id)
        if waiting is not None:
            is_open = Q(id__in=open_requests(organization_id, now).values("id"))
            found = found.filter(is_open if waiting == "true" else ~is_open)
        return _page(request, found, now, frozenset({"waiting"}))


class IncreaseView(AskingView):
    @extend_schema(
        operation_id="increase_requests_get",
        summary="One request for more",
        description=WHO,
        parameters=[ETAG],
        responses={200: IncreaseSerializer, **problems(404)},
    )
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        return _answer(object_of(self.requests_of(self.asker("budgets:read")), identifier), timezone.now())

    @extend_schema(
        operation_id="increase_requests_withdraw",
        summary="Take a request of your own back",
        description="409 once it is decided." + WHO,
        responses={204: OpenApiResponse(description="It waits no more."), **problems(404, 409)},
    )
    def delete(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        asker = self.asker("budgets:write")
        found = object_of(self.requests_of(asker), identifier)
        increase_withdraw(organization=self.organization(), request_id=found.id, actor=asker, now=timezone.now())
        return Response(status=204)


class DecisionView(TenantAPIView):
    scopes = {"POST": "budgets:write"}

    @extend_schema(
        operation_id="increase_requests_decide",
        summary="Approve or deny a request for more",
        description="Once and for good: a second decision is 409, or 412 with the ETag of the version before it in"
        " `If-Match`. Approved, the limit is higher when the answer comes. A token does not decide on what it asked"
        " for itself (403).",
        request=DecisionWriteSerializer,
        parameters=[IF_MATCH, ETAG],
        responses={200: IncreaseSerializer, **problems(400, 404, 409, 412, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        now, token = timezone.now(), self.token()
        if token is None:
            raise Problem("insufficient-scope")
        found = object_of(increase_requests(self.caller.organization_id), identifier)
        serializer = DecisionWriteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        decided = increase_decide(
            organization=self.organization(),
            request_id=found.id,
            version=_matched(request, found),
            approve=given["decision"] == "approve",
            note=given["note"],
            by=token,
            now=now,
        )
        return _answer(decided, now)


class PolicyView(TenantAPIView):
    scopes = {"GET": "budgets:read", "PUT": "budgets:write"}

    @extend_schema(
        operation_id="approval_policy_get",
        summary="How much managers may approve",
        responses={200: PolicySerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        return Response(PolicySerializer(policy_of(self.caller.organization_id)).data)

    @extend_schema(
        operation_id="approval_policy_set",
        summary="Set how much managers may approve",
        description="On budgets of their teams, together within 30 days on one budget. Both null: nothing.",
        request=PolicyWriteSerializer,
        responses={200: PolicySerializer, **problems(400, 415)},
    )
    def put(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = PolicyWriteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        token = self.token()
        if token is None:
            raise Problem("insufficient-scope")
        policy = policy_set(
            organization=self.organization(), actor=token, now=timezone.now(), **serializer.validated_data
        )
        return Response(PolicySerializer(policy).data)


def _budget(view: TenantAPIView, asker: Asker, identifier: str) -> Budget:
    """A budget in force that the caller sees; for a key one that its usage counts in, else the 404 of any other."""
    organization_id = view.caller.organization_id
    found = object_of(Budget.objects.in_force().with_scope().filter(organization_id=organization_id), identifier)
    if isinstance(asker, VirtualKey):
        applying = budgets_applying(organization_id, Subject(asker.team_id, asker.id))
        if found.id not in {budget.id for budget in applying}:
            raise Problem("not-found")
    return found


def _matched(request: Request, found: IncreaseRequest) -> int | None:
    """The version the caller saw; None when they do not say. An ETag that was never one is version 0."""
    header = request.META.get("HTTP_IF_MATCH", "").strip()
    if header in {"", "*"}:
        return None
    return found.version if header == etag(found.version) else 0


def _page(request: Request, found: QuerySet[IncreaseRequest], now: datetime, filters: frozenset[str]) -> Response:
    given = query_parameters(request, frozenset({"limit", "cursor"}) | filters)
    limit = page_limit(given)
    if "cursor" in given:
        (before,) = decode_cursor(given["cursor"], (int,))
        found = found.filter(id__lt=max(0, min(before, 2**63 - 1)))
    rows = list(found.order_by("-id")[: limit + 1])
    cursor = encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
    return page_of([_shape(row, now) for row in rows], limit=limit, cursor=cursor)


def _shape(asked: IncreaseRequest, now: datetime) -> dict[str, Any]:
    return dict(IncreaseSerializer(asked, context={"now": now}).data)


def _answer(asked: IncreaseRequest, now: datetime, *, status: int = 200) -> Response:
    answer = Response(_shape(asked, now), status=status)
    answer["ETag"] = etag(asked.version)
    return answer
