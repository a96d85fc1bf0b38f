"""Our own JSON and NDJSON. Token convention: OpenTelemetry's (input includes cached, output includes reasoning)."""

import json
import re
from typing import Any

import msgspec

from common.api import MAX_DEPTH, nesting
from common.problems import Fault, Problem
from ingest.formats.base import Decoded

JSON, NDJSON = "application/json", "application/x-ndjson"
_decoder = msgspec.json.Decoder()
_JSON_SPACE = re.compile(rb"[ \t\r\n]*\Z")


def decode(media_type: str, body: bytes, *, limit: int) -> Decoded:
    """The events of a body, unchecked, and the pointer to each. Problem 400, 413 or 422 when it is no batch at all."""
    document = decoded_json(media_type, body)
    events, pointers = _ndjson(document) if media_type == NDJSON else _json(document)
    if not events:
        raise _refused("", "empty_batch", "a batch holds at least one event")
    if len(events) > limit:
        raise Problem("batch-too-large", f"A batch holds at most {limit} events.", extra={"limit": limit})
    return Decoded(events, pointers)


def decoded_json(media_type: str, body: bytes) -> Any:
    """JSON, or the list of the lines of NDJSON, read strictly: no name twice, bounded depth. Problem 400 or 422."""
    if _JSON_SPACE.match(body):
        raise Problem("malformed-json", "The body is empty.")
    try:
        document = _decoder.decode_lines(body) if media_type == NDJSON else _decoder.decode(body)
    except RecursionError as error:
        raise Problem("too-deep", f"At most {MAX_DEPTH} levels of nesting are read.") from error
    except msgspec.ValidationError as error:
        # The one thing JSON itself allows that the decoder cannot hold: a number beyond a double.
        raise _refused("", "out_of_range", "holds a number that is out of range") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("malformed-json", "The body is not JSON.") from error
    names = _names(document)
    if names is None and nesting(body) > MAX_DEPTH:
        raise Problem("too-deep", f"At most {MAX_DEPTH} levels of nesting are read.")
    if names is None or names != _colons(body):
        _refuse_repeated_names(media_type, body)
    return document


def _json(document: Any) -> tuple[list[Any], list[str]]:
    if not isinstance(document, dict):
        raise _refused("", "type", "must be an object")
    if "events" not in document:
        return [document], [""]
    if len(document) > 1:
        unknown = next(name for name in document if name != "events")
        raise _refused(f"/{unknown[:40]}", "unknown_field", "is not a known field")
    events = document["events"]
    if not isinstance(events, list):
        raise _refused("/events", "type", "must be an array")
    return events, [f"/events/{index}" for index in range(len(events))]


def _ndjson(lines: list[Any]) -> tuple[list[Any], list[str]]:
    return lines, [f"/{index}" for index in range(len(lines))]


def _refused(pointer: str, code: str, detail: str) -> Problem:
    return Problem(
        "validation-error", "The batch is not valid; nothing was stored.", errors=(Fault(pointer, code, detail),)
    )


def _names(document: Any) -> int | None:
    """How many names the objects of a well-shaped body hold; None when it has another shape."""
    if isinstance(document, dict) and isinstance(document.get("events"), list):
        outer, events = len(document), document["events"]
    else:
        outer, events = 0, document if isinstance(document, list) else [document]
    total = outer
    for event in events:
        if not isinstance(event, dict):
            return None
        total += len(event)
        for value in event.values():
            kind = type(value)
            if kind is dict:
                total += len(value)
                if any(type(inner) in (dict, list) for inner in value.values()):
                    return None
            elif kind is list:
                return None
    return total


def _colons(body: bytes) -> int:
    """How many names a body writes: the colons outside its strings. Equal to what was decoded unless one came twice."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(body.split(b'"')[::2]).count(b":")


def _refuse_repeated_names(media_type: str, body: bytes) -> None:
    for text in body.splitlines() if media_type == NDJSON else [body]:
        if text.strip():
            json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise Problem("malformed-json", "A name stands twice in one object.")
    return dict(pairs)
