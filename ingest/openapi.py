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
BATCH_REQUEST = {
    "application/json": {"anyOf": [_BATCH, EVENT_SCHEMA]},
    "application/x-ndjson": {"type": "string", "description": "One event a line."},
}
