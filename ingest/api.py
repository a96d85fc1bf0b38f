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
from ingest.foreign import VIRTUAL_KEY_PARAMETER, for_named_key, take_in_foreign
from ingest.formats import cloudevents, litellm, native
from ingest.formats.base import Decoded
from ingest.intake import TakenIn, take_in
from ingest.limits import refused
from ingest.openapi import BATCH_REQUEST, LITELLM_REQUEST
from ingest.selectors import ingest_status
from ingest.serializers import AcceptedSerializer, IngestStatusSerializer, TakenSerializer
from tenants.api_base import TenantAPIView
from usage.key_networks import key_networks


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

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key_networks.note(request._request, self.caller, timezone.now())

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
        description='1 to 1,000 events as `{"events": […]}`, one bare event, NDJSON, or CloudEvents 1.0 whose `data` is'
        " the event (structured, batched, or binary with headers ce-…); gzip allowed; at most 1 MiB inflated. The batch"
        " is atomic. 202 means that every event is committed. An id that is known with the same content counts as a"
        " duplicate, with other content the batch is refused.",
        request=BATCH_REQUEST,
        responses={
            202: OpenApiResponse(AcceptedSerializer),
            **problems(400, 408, 409, 413, 415, 429),
        },
        parameters=[OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip", "identity"])],
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        media_type, now = _media_type(request, native.JSON, native.NDJSON, *_CLOUD_EVENTS), timezone.now()
        if media_type in _CLOUD_EVENTS or "ce-specversion" in request.headers:
            decoded = _of_cloud_events(media_type, request)
            return accepted_response(request, take_in_foreign(self.caller, decoded, source="cloudevents", now=now))
        decoded = native.decode(media_type, read_body(request._request), limit=settings.EVENT_BATCH_LIMIT)
        return accepted_response(request, take_in(caller=self.caller, decoded=decoded, source=self.source, now=now))


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


def _media_type(request: Request, *known: str) -> str:
    media_type: str = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type not in known:
        raise Problem("unsupported-media-type", f"Send one of {', '.join(known)}.")
    return media_type


_CLOUD_EVENTS = (cloudevents.EVENT, cloudevents.BATCH)


def _of_cloud_events(media_type: str, request: Request) -> Decoded:
    body = read_body(request._request)
    if media_type in _CLOUD_EVENTS:
        return cloudevents.decode(media_type, body, limit=settings.EVENT_BATCH_LIMIT)
    if media_type != native.JSON:
        raise Problem("unsupported-media-type", f"A CloudEvent with headers ce-… carries {native.JSON}.")
    attributes = {name[3:].lower(): value for name, value in request.headers.items() if name.lower().startswith("ce-")}
    return cloudevents.decode_binary(attributes, body)


class LiteLLMView(IngestionView):
    """Usage in, as LiteLLM's proxy tells it."""

    source = "litellm"
    scopes = {"POST": "usage:write"}

    @extend_schema(
        operation_id="litellm_report",
        summary="Report usage as LiteLLM's StandardLoggingPayload",
        description="What LiteLLM's `generic_api` callback sends: an array, one payload, or NDJSON; at most 1,000"
        " payloads and 1 MiB. The batch is atomic. `ignored` counts what is no call of a model.",
        request=LITELLM_REQUEST,
        responses={202: OpenApiResponse(TakenSerializer), **problems(408, 409, 413, 415)},
        parameters=[
            OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip", "identity"]),
            VIRTUAL_KEY_PARAMETER,
        ],
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        media_type = _media_type(request, litellm.JSON, litellm.NDJSON)
        body = read_body(request._request)
        decoded = for_named_key(request, litellm.decode(media_type, body, limit=settings.EVENT_BATCH_LIMIT))
        taken = take_in_foreign(self.caller, decoded, source=self.source, now=timezone.now())
        return accepted_response(request, taken, ignored=decoded.ignored)


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
