"""Repricing over the API: start a run, read its preview and progress, apply and undo it."""

from collections.abc import Callable

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import decode_cursor, encode_cursor, page_limit, page_of, problems, query_parameters
from corrections import wake
from corrections.models import RepriceRun
from corrections.runs import advance
from corrections.selectors import runs_of
from corrections.serializers import REPRICING_PAGE, RepriceWriteSerializer, RepricingSerializer
from corrections.services import Asked, repricing_apply, repricing_start, repricing_undo
from tenants.api_base import TenantAPIView, object_of

PAGES = [
    OpenApiParameter("limit", int, description="1 to 100"),
    OpenApiParameter("cursor", str, description="`next` of the page before"),
]
_LARGEST_ID = 2**63 - 1


class RepricingsView(TenantAPIView):
    scopes = {"GET": "prices:read", "POST": "prices:write"}

    @extend_schema(
        operation_id="repricings_list",
        summary="Repricings, newest first",
        parameters=PAGES,
        responses={200: REPRICING_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, frozenset({"limit", "cursor"}))
        limit = page_limit(given)
        (before,) = decode_cursor(given["cursor"], (int,)) if "cursor" in given else (_LARGEST_ID,)
        runs = runs_of(self.caller.organization_id).filter(id__lt=max(0, min(before, _LARGEST_ID)))
        found = list(runs[: limit + 1])
        rows = [dict(RepricingSerializer(run).data) for run in found]
        return page_of(rows, limit=limit, cursor=encode_cursor(found[limit - 1].id) if len(found) > limit else None)

    @extend_schema(
        operation_id="repricings_start",
        summary="Start a repricing",
        description="Previewed first; nothing is booked before `apply`. The answer holds the preview of a small scope.",
        request=RepriceWriteSerializer,
        responses={201: RepricingSerializer, **problems(400, 409, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = RepriceWriteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        now = timezone.now()
        run = repricing_start(
            organization=self.organization(), asked=Asked(**serializer.validated_data), actor=self.token(), now=now
        )
        if advance(self.caller.organization_id, run.id, now):
            wake.after_commit()
        run.refresh_from_db()
        return Response(RepricingSerializer(run).data, status=201)


class RepricingView(TenantAPIView):
    scopes = {"GET": "prices:read"}

    @extend_schema(
        operation_id="repricings_get",
        summary="A repricing: its preview, progress and what it has booked",
        responses={200: RepricingSerializer, **problems(404)},
    )
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        return Response(RepricingSerializer(object_of(runs_of(self.caller.organization_id), identifier)).data)


class _ActView(TenantAPIView):
    scopes = {"POST": "prices:write"}

    def act(self, request: Request, identifier: str, service: Callable[..., RepriceRun]) -> Response:
        query_parameters(request, frozenset())
        run = object_of(runs_of(self.caller.organization_id), identifier)
        run = service(run=run, actor=self.token(), now=timezone.now())
        wake.after_commit()
        return Response(RepricingSerializer(run).data, status=202)


class RepricingApplyView(_ActView):
    @extend_schema(
        operation_id="repricings_apply",
        summary="Book what the preview found",
        description="At the prices of the moment of booking, in batches; read the run to see how far it is.",
        request=None,
        responses={202: RepricingSerializer, **problems(404, 409)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        return self.act(request, identifier, repricing_apply)


class RepricingUndoView(_ActView):
    @extend_schema(
        operation_id="repricings_undo",
        summary="Book the reverse of exactly what the run has booked",
        description="409 while a later run that priced the same usage stands.",
        request=None,
        responses={202: RepricingSerializer, **problems(404, 409)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        return self.act(request, identifier, repricing_undo)
