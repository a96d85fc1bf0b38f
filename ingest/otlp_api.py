"""OTLP/HTTP: POST /v1/traces, /v1/logs, /v1/metrics. Outside /api, because OpenTelemetry's exporters ask there.

What is well-formed in a request is taken in all or nothing. What is not is told as OTLP tells it, in `partialSuccess`
of a 200: an exporter throws away a request that is refused, and with it the usage that was fine.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from common.api import problems, query_parameters
from common.problems import Fault, Problem
from ingest import spans
from ingest.api import AnyParser
from ingest.body import read_body
from ingest.foreign import VIRTUAL_KEY_PARAMETER, for_named_key, take_in_valid
from ingest.formats.base import Decoded
from ingest.formats.otlp import logs, metrics, traces, wire
from ingest.formats.otlp.common import Found
from ingest.openapi import otlp_answer, otlp_request
from tenants.api_base import TenantAPIView

_AGENTS_SPANS = "spans of coding agents are not billed; their log events are (OTEL_LOGS_EXPORTER=otlp)"
_AGENTS_METRICS = (
    "token counts of coding agents are billed from their log events (OTEL_LOGS_EXPORTER=otlp), or from metrics with"
    " OTEL_RESOURCE_ATTRIBUTES=costhub.usage_from=metrics"
)
_TOLD = 5


class _EncodingOfTheRequest(BaseContentNegotiation):
    """An OTLP answer has the encoding of its request, whatever Accept says; the views encode it themselves."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class _OtlpView(TenantAPIView):
    """One signal: reads, takes in, answers in the encoding it was asked in."""

    scopes = {"POST": "usage:write"}
    parser_classes = [AnyParser]
    content_negotiation_class = _EncodingOfTheRequest
    signal: wire.Signal

    def take(self, request: Request, found: Found, note: str = "") -> HttpResponse:
        """Takes in what was found and tells what was not taken; `note` is for what is billed from another signal."""
        if len(found.events) > settings.EVENT_BATCH_LIMIT:
            limit = settings.EVENT_BATCH_LIMIT
            raise Problem("batch-too-large", f"A request holds at most {limit} model calls.", extra={"limit": limit})
        decoded = for_named_key(request, Decoded(found.events, found.pointers))
        _, invalid = take_in_valid(self.caller, decoded, source="otlp", now=timezone.now())
        faults = [*found.faults, *invalid]
        message = _message(faults, note if found.elsewhere else "")
        media_type = self.media_type(request)
        body = wire.answer(self.signal, media_type, rejected=len(faults), message=message)
        return HttpResponse(body, content_type=media_type)

    def body(self, request: Request) -> tuple[str, bytes]:
        query_parameters(request, frozenset())
        return self.media_type(request), read_body(request._request)

    @staticmethod
    def media_type(request: Request) -> str:
        media_type: str = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if media_type not in {wire.JSON, wire.PROTOBUF}:
            raise Problem("unsupported-media-type", f"Send {wire.PROTOBUF} or {wire.JSON}.")
        return media_type


def _message(faults: Sequence[Fault], note: str) -> str:
    told = [f"{fault.pointer}: {fault.detail}" for fault in faults[:_TOLD]]
    more = [f"and {len(faults) - _TOLD} more"] if len(faults) > _TOLD else []
    return "; ".join([*told, *more, *([note] if note else [])])


Handler = TypeVar("Handler", bound=Callable[..., Any])


def _documented(signal: wire.Signal, summary: str, description: str) -> Callable[[Handler], Handler]:
    return extend_schema(
        operation_id=f"otlp_{signal.name}",
        summary=summary,
        description=f"OTLP/HTTP, protobuf or JSON, gzip allowed, at most 1 MiB inflated and 1,000 calls. {description}"
        " Answers in the request's encoding; what could not be taken is counted in `partialSuccess`.",
        request=otlp_request(signal.groups),
        responses={**otlp_answer(signal.rejected), **problems(408, 409, 413, 415)},
        parameters=[
            OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip", "identity"]),
            VIRTUAL_KEY_PARAMETER,
        ],
    )


class TracesView(_OtlpView):
    """Spans of model calls."""

    signal = wire.TRACES

    @_documented(
        wire.TRACES,
        "Report usage as OpenTelemetry traces",
        "Spans with gen_ai.usage.*, llm.usage.* or llm.token_count.* become events, unless a descendant carries usage.",
    )
    def post(self, request: Request) -> HttpResponse:
        tree = traces.read(*self.body(request))
        found = spans.billed(self.caller.organization_id, tree, now=timezone.now())
        return self.take(request, found, _AGENTS_SPANS)


class LogsView(_OtlpView):
    """Log events of coding agents."""

    signal = wire.LOGS

    @_documented(
        wire.LOGS,
        "Report coding agents' calls as OpenTelemetry logs",
        "Events of Claude Code, Gemini CLI and Codex CLI that tell an answered call are billed; other records pass.",
    )
    def post(self, request: Request) -> HttpResponse:
        return self.take(request, logs.read(*self.body(request)))


class MetricsView(_OtlpView):
    """Counters of coding agents."""

    signal = wire.METRICS

    @_documented(
        wire.METRICS,
        "Report coding agents' counters as OpenTelemetry metrics",
        "Counters of tokens are billed where the resource says costhub.usage_from=metrics; other metrics pass.",
    )
    def post(self, request: Request) -> HttpResponse:
        return self.take(request, metrics.read(*self.body(request)), _AGENTS_METRICS)
