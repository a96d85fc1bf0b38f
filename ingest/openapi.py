"""The request body of POST /api/v1/events, from the very types that check it."""

from typing import Any

import msgspec

from ingest.schema import WireEvent


def _resolved(node: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its references written out, because it is embedded where they would not resolve."""
    if isinstance(node, dict):
        if "$ref" in node:
            return _resolved(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
        return {
            name: value.replace("\\Z", "$") if name == "pattern" else _resolved(value, definitions)
            for name, value in node.items()
        }
    if isinstance(node, list):
        return [_resolved(item, definitions) for item in node]
    return node


_, _definitions = msgspec.json.schema_components([WireEvent], ref_template="{name}")
EVENT_SCHEMA = _resolved(_definitions["WireEvent"], _definitions)
_BATCH = {
    "type": "object",
    "required": ["events"],
    "additionalProperties": False,
    "properties": {"events": {"type": "array", "minItems": 1, "maxItems": 1000, "items": EVENT_SCHEMA}},
}
_CLOUD_EVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        **{name: {"type": "string", "minLength": 1} for name in ("id", "source", "type")},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "data": EVENT_SCHEMA | {"required": ["provider", "model", "usage"]},
    },
}
BATCH_REQUEST = {
    "application/json": {"anyOf": [_BATCH, EVENT_SCHEMA]},
    "application/x-ndjson": {"type": "string", "description": "One event a line."},
    "application/cloudevents+json": _CLOUD_EVENT,
    "application/cloudevents-batch+json": {"type": "array", "minItems": 1, "maxItems": 1000, "items": _CLOUD_EVENT},
}
# What LiteLLM and OpenTelemetry send is specified by them; here is no more than the outermost shape.
LITELLM_PAYLOAD = {
    "type": "object",
    "required": ["id", "startTime", "model", "status"],
    "properties": {
        "id": {"type": "string"},
        "model": {"type": "string"},
        "status": {"enum": ["success", "failure"]},
        "startTime": {"type": "number"},
        "endTime": {"type": "number"},
        **{f"{part}_tokens": {"type": "integer", "minimum": 0} for part in ("prompt", "completion", "total")},
    },
}
LITELLM_REQUEST = {
    "application/json": {"anyOf": [{"type": "array", "minItems": 1, "items": LITELLM_PAYLOAD}, LITELLM_PAYLOAD]},
    "application/x-ndjson": {"type": "string", "description": "One payload a line."},
}


def otlp_request(groups: str) -> dict[str, Any]:
    """An OTLP export request whose only field is `groups`, such as resourceSpans."""
    return {
        "application/json": {
            "type": "object",
            "properties": {groups: {"type": "array", "items": {"type": "object"}}},
        },
        "application/x-protobuf": {"type": "string", "format": "binary"},
    }


def otlp_answer(rejected: str) -> dict[tuple[int, str], Any]:
    """An OTLP export response, in the encoding of the request."""
    partial = {"type": "object", "properties": {rejected: {"type": "string"}, "errorMessage": {"type": "string"}}}
    return {
        (200, "application/json"): {"type": "object", "properties": {"partialSuccess": partial}},
        (200, "application/x-protobuf"): {"type": "string", "format": "binary"},
    }
