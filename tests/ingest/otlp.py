"""OTLP requests as exporters send them, in JSON; `as_protobuf` says the same in protobuf."""

import itertools
import time
from base64 import b64encode
from typing import Any

from google.protobuf import json_format

from ingest.formats.otlp.wire import Signal

_ids = itertools.count(1)


def value(said: Any) -> dict[str, Any]:
    if isinstance(said, bool):
        return {"boolValue": said}
    if isinstance(said, int):
        return {"intValue": str(said)}
    return {"doubleValue": said} if isinstance(said, float) else {"stringValue": said}


def attributes(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(said[key])} for key in said]


def span(said: dict[str, Any], *, parent: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A span of half a second that began a minute ago; keyword arguments replace fields."""
    start = time.time_ns() - 60 * 10**9
    return {
        "traceId": parent["traceId"] if parent else f"{next(_ids):032x}",
        "spanId": f"{next(_ids):016x}",
        **({"parentSpanId": parent["spanId"]} if parent else {}),
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 500_000_000),
        "attributes": attributes(said),
    } | fields


def traces(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> dict[str, Any]:
    return _request("Spans", "spans", spans, resource)


def log(said: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(time.time_ns()), "attributes": attributes(said)} | fields


def logs(*records: dict[str, Any], resource: dict[str, Any] | None = None) -> dict[str, Any]:
    return _request("Logs", "logRecords", records, resource)


def counter(name: str, points: list[dict[str, Any]], *, temporality: int = 1) -> dict[str, Any]:
    total = {"dataPoints": points, "aggregationTemporality": temporality, "isMonotonic": True}
    return {"name": name, "unit": "tokens", "sum": total}


def point(number: int | float, said: dict[str, Any], *, at: int) -> dict[str, Any]:
    counted = {"asInt": str(number)} if isinstance(number, int) else {"asDouble": number}
    times = {"startTimeUnixNano": str(at - 60 * 10**9), "timeUnixNano": str(at)}
    return {"attributes": attributes(said), **times, **counted}


def metrics(*described: dict[str, Any], resource: dict[str, Any] | None = None) -> dict[str, Any]:
    return _request("Metrics", "metrics", described, resource)


def _request(kind: str, name: str, records: Any, resource: dict[str, Any] | None) -> dict[str, Any]:
    scoped = {"scope": {"name": "test"}, name: list(records)}
    group = {"resource": {"attributes": attributes(resource or {})}, f"scope{kind}": [scoped]}
    return {f"resource{kind}": [group]}


def as_protobuf(signal: Signal, request: dict[str, Any]) -> bytes:
    """The request in protobuf; its ids are base64 in protobuf's own JSON, and hex in OTLP's."""
    return json_format.ParseDict(_with_base64_ids(request), signal.request()).SerializeToString()


def _with_base64_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_base64_ids(item) for item in node]
    if not isinstance(node, dict):
        return node
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        key: b64encode(bytes.fromhex(inner)).decode() if key in ids else _with_base64_ids(inner)
        for key, inner in node.items()
    }
