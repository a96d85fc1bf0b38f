"""The base of API views: authenticated, scoped, and inside the caller's organization for the whole request."""

from contextlib import ExitStack
from typing import Any, ClassVar, TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.ids import parse_id
from common.problems import Problem
from tenants.access import organization_scope
from tenants.authentication import Caller
from tenants.models import AccessToken, Organization

AnyModel = TypeVar("AnyModel", bound=Model)


class TenantAPIView(APIView):
    """Opens `organization_scope` once the caller is known, and closes it when the answer stands.

    `scopes` names what a token needs for each method. What a refused request had written is rolled back.
    """

    scopes: ClassVar[dict[str, str]] = {}
    caller: Caller
    _in_scope = False

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self._scope:
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not isinstance(request.auth, Caller):
            raise TypeError("a tenant view needs BearerAuthentication")
        self.caller = request.auth
        self._scope.enter_context(organization_scope(self.caller.organization_id))
        self._in_scope = True

    def handle_exception(self, exc: Exception) -> Response:
        # DRF turns the exception into an answer, so the transaction would otherwise commit.
        if self._in_scope:
            transaction.set_rollback(True)
        return super().handle_exception(exc)

    def organization(self) -> Organization:
        return Organization.objects.get(id=self.caller.organization_id)

    def token(self) -> AccessToken | None:
        """The access token that calls, for the audit trail; None for a virtual key."""
        if self.caller.virtual_key_id is not None:
            return None
        return AccessToken.objects.get(organization_id=self.caller.organization_id, id=self.caller.credential_id)


def object_of(queryset: QuerySet[AnyModel], identifier: str) -> AnyModel:
    """The object of this id, or the one 404 that a missing, malformed or foreign id gets."""
    number = parse_id(identifier)
    if number is None:
        raise Problem("not-found")
    return get_object_or_404(queryset, id=number)
