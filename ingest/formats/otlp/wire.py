"""OTLP requests in both encodings, read into one form: what protobuf and JSON say alike must become the same events.

The structs name the fields of OTLP's JSON that are read (ids are hex there, 64-bit integers may be strings), under the
very names that the protobuf classes give them, so that one walk serves both. Unknown fields pass, as OTLP demands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2

from common.problems import Problem
from ingest.formats import foreign_json
from ingest.formats.foreign import moment

JSON, PROTOBUF = "application/json", "application/x-protobuf"
Number = int | str | None
# What an attribute can say here; lists and maps of it are read as nothing.
Value = str | bool | int | float
_DIGITS = frozenset("0123456789")


class _Struct(msgspec.Struct, rename="camel", gc=False):
    """A message of OTLP/JSON."""


class AnyValue(_Struct):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Number = None
    double_value: float | str | None = None


class KeyValue(_Struct):
    key: str = ""
    value: AnyValue | None = None


class Resource(_Struct):
    attributes: list[KeyValue] | None = None


class Scope(_Struct):
    name: str | None = None


class Status(_Struct):
    code: int | str | None = None


class Span(_Struct):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    start_time_unix_nano: Number = None
    end_time_unix_nano: Number = None
    attributes: list[KeyValue] | None = None
    status: Status | None = None


class ScopeSpans(_Struct):
    scope: Scope | None = None
    spans: list[Span] | None = None


class ResourceSpans(_Struct):
    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None


class Traces(_Struct):
    resource_spans: list[ResourceSpans] | None = None


class LogRecord(_Struct):
    time_unix_nano: Number = None
    observed_time_unix_nano: Number = None
    event_name: str | None = None
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    trace_id: str | None = None
    span_id: str | None = None


class ScopeLogs(_Struct):
    scope: Scope | None = None
    log_records: list[LogRecord] | None = None


class ResourceLogs(_Struct):
    resource: Resource | None = None
    scope_logs: list[ScopeLogs] | None = None


class Logs(_Struct):
    resource_logs: list[ResourceLogs] | None = None


class Point(_Struct):
    start_time_unix_nano: Number = None
    time_unix_nano: Number = None
    as_int: Number = None
    as_double: float | str | None = None
    attributes: list[KeyValue] | None = None


class Sum(_Struct):
    data_points: list[Point] | None = None
    aggregation_temporality: int | str | None = None


class Metric(_Struct):
    name: str | None = None
    sum: Sum | None = None


class ScopeMetrics(_Struct):
    scope: Scope | None = None
    metrics: list[Metric] | None = None


class ResourceMetrics(_Struct):
    resource: Resource | None = None
    scope_metrics: list[ScopeMetrics] | None = None


class Metrics(_Struct):
    resource_metrics: list[ResourceMetrics] | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """One of OTLP's three: its path names in JSON, how a request is read, and what it is answered with."""

    name: str
    groups: str
    scopes: str
    records: str
    decoder: "msgspec.json.Decoder[Any]"
    request: type[Message]
    response: type[Message]
    # How the answer names what was left out.
    rejected: str


TRACES = Signal(
    "traces",
    "resourceSpans",
    "scopeSpans",
    "spans",
    msgspec.json.Decoder(Traces),
    trace_service_pb2.ExportTraceServiceRequest,
    trace_service_pb2.ExportTraceServiceResponse,
    "rejectedSpans",
)
LOGS = Signal(
    "logs",
    "resourceLogs",
    "scopeLogs",
    "logRecords",
    msgspec.json.Decoder(Logs),
    logs_service_pb2.ExportLogsServiceRequest,
    logs_service_pb2.ExportLogsServiceResponse,
    "rejectedLogRecords",
)
METRICS = Signal(
    "metrics",
    "resourceMetrics",
    "scopeMetrics",
    "metrics",
    msgspec.json.Decoder(Metrics),
    metrics_service_pb2.ExportMetricsServiceRequest,
    metrics_service_pb2.ExportMetricsServiceResponse,
    "rejectedDataPoints",
)


@dataclass(frozen=True, slots=True)
class Record:
    """A span, log record or metric (`message`), what it stands in, and where in the JSON form of the request."""

    message: Any
    resource: dict[str, Value]
    scope: str
    pointer: str


def records(signal: Signal, media_type: str, body: bytes) -> Iterator[Record]:
    """Everything in a request. Problem 400 or 422 when it is none."""
    request = _protobuf(signal, body) if media_type == PROTOBUF else foreign_json.decode_as(body, signal.decoder)
    for group_index, group in enumerate(_list(request, signal.groups)):
        resource = attributes(group.resource)
        for scope_index, scoped in enumerate(_list(group, signal.scopes)):
            at = f"/{signal.groups}/{group_index}/{signal.scopes}/{scope_index}/{signal.records}"
            scope = (scoped.scope.name or "") if scoped.scope else ""
            for index, message in enumerate(_list(scoped, signal.records)):
                yield Record(message, resource, scope, f"{at}/{index}")


def _protobuf(signal: Signal, body: bytes) -> Message:
    request = signal.request()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise Problem("malformed-body", f"The body is not an OTLP request of {signal.name}.") from error
    return request


def _list(message: Any, camel: str) -> Any:
    return getattr(message, "".join(f"_{char.lower()}" if char.isupper() else char for char in camel)) or ()


def attributes(message: Any) -> dict[str, Value]:
    """The attributes of a resource, span, log record or data point; the last of a name counts."""
    if not message:
        return {}
    pairs = ((pair.key, scalar(pair.value)) for pair in message.attributes or ())
    return {key: value for key, value in pairs if value is not None}


def scalar(value: Any) -> Value | None:
    """An AnyValue that is text, a truth value or a number."""
    if isinstance(value, common_pb2.AnyValue):
        kind = value.WhichOneof("value")
        return getattr(value, kind) if kind in {"string_value", "bool_value", "int_value", "double_value"} else None
    if value is None:
        return None
    given = (value.string_value, value.bool_value, value.int_value, value.double_value)
    return next((said for said in given if said is not None), None)


def hexadecimal(value: bytes | str | None, digits: int) -> str:
    """An id as lower-case hex; "" when it is absent, all zeros, or no id of this length."""
    text = value.hex() if isinstance(value, bytes) else (value or "").lower()
    return text if len(text) == digits and text.strip("0") and not set(text) - set("0123456789abcdef") else ""


def nanoseconds(value: Number) -> int:
    """A 64-bit time; 0 when it says none."""
    if isinstance(value, str):
        return int(value) if value and len(value) <= 20 and not set(value) - _DIGITS else 0
    return value or 0


def moment_of(value: Number) -> str:
    """A time in nanoseconds as RFC 3339, cut to the microsecond. Raises Unreadable."""
    return moment(nanoseconds(value) // 1000)


def number_of(point: Any) -> Value | None:
    """What a data point counts."""
    if isinstance(point, Message):
        kind = point.WhichOneof("value")
        number: Value | None = getattr(point, kind) if kind else None
        return number
    return point.as_int if point.as_int is not None else point.as_double  # type: ignore[no-any-return]


def sum_of(metric: Any) -> Any:
    """The sum that a metric is, or None for gauges and histograms."""
    if isinstance(metric, Message):
        return metric.sum if metric.HasField("sum") else None  # type: ignore[attr-defined]
    return metric.sum


def answer(signal: Signal, media_type: str, *, rejected: int = 0, message: str = "") -> bytes:
    """The export response in the request's encoding; without a message, that everything was taken."""
    partial = {signal.rejected: str(rejected), "errorMessage": message} if message else None
    if media_type == JSON:
        return msgspec.json.encode({"partialSuccess": partial} if partial else {})
    response = signal.response()
    if partial:
        snake = "".join(f"_{char.lower()}" if char.isupper() else char for char in signal.rejected)
        setattr(response.partial_success, snake, rejected)  # type: ignore[attr-defined]
        response.partial_success.error_message = message  # type: ignore[attr-defined]
    return response.SerializeToString()
