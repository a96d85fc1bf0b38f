"""Authorizations over the API: may this call be made, and what has become of it."""

from typing import Any, ClassVar

import redis
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from budgets.reservations import lifecycle
from budgets.reservations.authorize import LEASE_MS, authorize
from budgets.reservations.reference import Reference
from budgets.reservations.serializers import AUTHORIZATION, AuthorizationCreateSerializer, call_of
from common.api import problems, query_parameters
from common.ids import parse_id
from common.problems import Fault, Problem, invalid
from tenants.access import organization_scope
from tenants.authentication import BearerAuthentication, Caller, authenticate_often
from tenants.models import VirtualKey
from usage.key_networks import key_networks

VIRTUAL_KEY = OpenApiParameter("virtual_key", str, description="For access tokens: the key whose call it is.")
_AWAY = "The counters cannot be asked right now."


class AuthorizationBase(APIView):
    """Outside of any transaction: a refusal is written down although the request ends with a problem."""

    scopes: ClassVar[dict[str, str]] = {}

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Callers come before every model call: one that was proven is believed for some seconds."""
        return [BearerAuthentication(authenticate_often)]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key_networks.note(request._request, self.caller, timezone.now())

    @property
    def caller(self) -> Caller:
        if not isinstance(self.request.auth, Caller):
            raise TypeError("this view needs BearerAuthentication")
        return self.request.auth

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, redis.RedisError):
            exc = Problem("budget-unavailable", _AWAY, headers={"Retry-After": "2"})
        return super().handle_exception(exc)

    def named_key(self, text: str | None) -> tuple[int, int]:
        """(virtual key, team) of the caller, or for an access token of the key that it names."""
        own = self.caller.virtual_key_id
        if own is not None:
            if text is not None:
                raise invalid(Fault("/virtual_key", "not_allowed", "a virtual key asks for itself only"))
            return own, self.caller.team_id or 0
        if text is None:
            raise invalid(Fault("/virtual_key", "required", "an access token names the key whose call it is"))
        with organization_scope(self.caller.organization_id):
            found = VirtualKey.objects.filter(
                organization_id=self.caller.organization_id, id=parse_id(text) or 0
            ).values_list("id", "team_id")
            pair = found.first()
        if pair is None:
            raise invalid(Fault("/virtual_key", "unknown_reference", "is not a key of this organization"))
        key_id, team_id = pair
        return int(key_id), int(team_id)


class AuthorizationsView(AuthorizationBase):
    scopes = {"POST": "usage:write"}

    @extend_schema(
        operation_id="authorizations_create",
        summary="May this call be made?",
        description="Every budget that applies must have room; what the call may cost is held until its usage event"
        f" names the `authorization`, until it is released, or until its lease of {LEASE_MS // 1000} s ends. The same"
        " `id` with the same content gets the same answer while it is held, and 409 `authorization-ended` after that;"
        " with other content 409 `authorization-conflict`. A refused id is asked anew. 402 names the budget that"
        " refuses; 403 `model-not-allowed`; 429 a rate per minute; 503 `budget-unavailable` while counters cannot be"
        " asked and a budget allows nothing unchecked.",
        request=AuthorizationCreateSerializer,
        responses={201: AUTHORIZATION, **problems(400, 402, 409, 413, 415, 429)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = AuthorizationCreateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        virtual_key_id, team_id = self.named_key(given.get("virtual_key"))
        granted = authorize(
            organization_id=self.caller.organization_id,
            call=call_of(given, virtual_key_id=virtual_key_id, team_id=team_id),
            request_id=getattr(request._request, "request_id", ""),
            now=timezone.now(),
        )
        answer = Response(granted.as_json(), status=201)
        answer["Location"] = f"/api/v1/authorizations/{granted.authorization}"
        return answer


class AuthorizationView(AuthorizationBase):
    scopes = {"GET": "usage:write", "DELETE": "usage:write"}

    @extend_schema(
        operation_id="authorizations_get",
        summary="An authorization and what has become of it",
        description="Known while it is held and for an hour after.",
        parameters=[VIRTUAL_KEY],
        responses={200: AUTHORIZATION, **problems(404)},
    )
    def get(self, request: Request, identifier: str) -> Response:
        return Response(lifecycle.show(**self.named(request, identifier)).as_json())

    @extend_schema(
        operation_id="authorizations_release",
        summary="The call was not made: let go what is held",
        description="Doing it again changes nothing. 409 once its usage came in or its lease has ended.",
        parameters=[VIRTUAL_KEY],
        responses={204: OpenApiResponse(description="Nothing is held any more."), **problems(404, 409)},
    )
    def delete(self, request: Request, identifier: str) -> Response:
        lifecycle.release(**self.named(request, identifier))
        return Response(status=204)

    def named(self, request: Request, identifier: str) -> dict[str, Any]:
        """Whose authorization the path names; Problem 404 for what cannot be one."""
        key_id, _ = self.named_key(query_parameters(request, frozenset({"virtual_key"})).get("virtual_key"))
        reference = Reference.parse(identifier)
        if reference is None:
            raise Problem("not-found")
        return {
            "organization_id": self.caller.organization_id, "reference": reference, "virtual_key_id": key_id,
        }  # fmt: skip


class AuthorizationRenewView(AuthorizationView):
    scopes = {"POST": "usage:write"}
    http_method_names = ["post", "options"]

    @extend_schema(
        operation_id="authorizations_renew",
        summary="Begin the lease anew",
        description="For calls that take longer than the lease. 409 once it has ended.",
        parameters=[VIRTUAL_KEY],
        request=None,
        responses={200: AUTHORIZATION, **problems(404, 409)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        return Response(lifecycle.renew(**self.named(request, identifier)).as_json())
