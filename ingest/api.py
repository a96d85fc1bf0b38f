"""POST /api/v1/events: who is calling, is every event well-formed, is it durable? Only then 202."""

from typing import Any, ClassVar

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import as_problem, problems, query_parameters
from common.db import outage
from common.problems import Problem
from ingest.body import read_body
from ingest.formats import native
from ingest.intake import TakenIn, take_in
from ingest.limits import refused
from ingest.openapi import BATCH_REQUEST
from ingest.selectors import ingest_status
from ingest.serializers import AcceptedSerializer, IngestStatusSerializer
from tenants.api_base import TenantAPIView


class AnyParser(BaseParser):
    """Leaves the body alone: `ingest.body` reads it with its own limits."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        return {}


class IngestionView(TenantAPIView):
    """The base of every endpoint that usage comes in by: each answer says where the caller stands with its quotas."""

    # What the counts of refused requests are kept under: the format or tool, as in `take_in`.
    source: ClassVar[str] = "native"
    parser_classes = [AnyParser]

    def handle_exception(self, exc: Exception) -> Response:
        problem = as_problem(exc) or outage(exc)
        if self.request.method == "POST" and self._in_scope and problem is not None:
            exc = refused(problem, caller=self.caller, source=self.source, now=timezone.now())
        return super().handle_exception(exc)


class EventsView(IngestionView):
    """Usage in."""

    scopes = {"POST": "usage:write"}

    @extend_schema(
        operation_id="events_report",
        summary="Report usage",
        description='1 to 1,000 events as `{"events": […]}`, one bare event, or NDJSON; gzip allowed; at most 1 MiB'
        " inflated. The batch is atomic. 202 means that every event is committed. An id that is known with the same"
        " content counts as a duplicate, with other content the batch is refused.",
        request=BATCH_REQUEST,
        responses={
            202: OpenApiResponse(AcceptedSerializer),
            **problems(400, 408, 409, 413, 415, 429),
        },
        parameters=[OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip", "identity"])],
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        media_type = _media_type(request)
        decoded = native.decode(media_type, read_body(request._request), limit=settings.EVENT_BATCH_LIMIT)
        taken = take_in(caller=self.caller, decoded=decoded, source=self.source, now=timezone.now())
        return accepted_response(request, taken)


def accepted_response(request: Request, taken: TakenIn, **more: Any) -> Response:
    """202: everything in the batch is committed once this answer leaves."""
    answer: dict[str, Any] = {
        "accepted": taken.accepted,
        "duplicates": taken.duplicates,
        "request_id": request._request.request_id,  # type: ignore[attr-defined]
        **more,
    }
    return Response(
        answer | ({"warnings": taken.warnings} if taken.warnings else {}), status=202, headers=taken.headers
    )


def _media_type(request: Request) -> str:
    media_type: str = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type not in {native.JSON, native.NDJSON}:
        raise Problem("unsupported-media-type", f"Send {native.JSON} or {native.NDJSON}.")
    return media_type


class IngestStatusView(TenantAPIView):
    """How far settling is behind."""

    scopes = {"GET": "usage:read"}

    @extend_schema(
        operation_id="ingest_status",
        summary="How far behind is settling?",
        responses={200: IngestStatusSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        status = ingest_status(organization_id=self.caller.organization_id, now=timezone.now())
        return Response(IngestStatusSerializer(status).data)
