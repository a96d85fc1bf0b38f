"""Our own JSON and NDJSON. Token convention: OpenTelemetry's (input includes cached, output includes reasoning)."""

import json
import re
from typing import Any

import msgspec

from common.api import MAX_DEPTH, nesting
from common.problems import Fault, Problem
from ingest.formats.base import Decoded

JSON, NDJSON = "application/json", "application/x-ndjson"
MEDIA_TYPES = frozenset({JSON, NDJSON})
_decoder = msgspec.json.Decoder()
_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')
_JSON_SPACE = re.compile(rb"[ \t\r\n]*\Z")


def decode(media_type: str, body: bytes, *, limit: int) -> Decoded:
    """The events of a body, unchecked, and the pointer to each. Problem 400, 413 or 422 when it is no batch at all."""
    document = decoded_json(media_type, body)
    events, pointers = _ndjson(document) if media_type == NDJSON else _json(document)
    if not events:
        raise _refused("", "empty_batch", "a batch holds at least one event")
    if len(events) > limit:
        raise Problem("batch-too-large", f"A batch holds at most {limit} events.", extra={"limit": limit})
    # Control characters come escaped or not at all; DEL alone may stand for itself.
    return Decoded(events, pointers, clean=b"\\" not in body and b"\x7f" not in body)


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
    if not _is_plain(document, body):
        if nesting(body) > MAX_DEPTH:
            raise Problem("too-deep", f"At most {MAX_DEPTH} levels of nesting are read.")
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


def _is_plain(document: Any, body: bytes) -> bool:
    """Whether the body provably has our shape and no object in it holds a name twice; False means: look closer.

    Counts what is written against what was decoded. A repeated name is written more often than it is decoded, anything
    nested elsewhere shows as more brackets, and text that looks like either only leads to the closer look.
    """
    if isinstance(document, list):
        events, brackets, names, objects = document, 0, 0, len(document)
    elif isinstance(document, dict) and isinstance(document.get("events"), list):
        events, brackets, names = document["events"], 1, len(document)
        objects = 1 + len(events)
    else:
        events, brackets, names, objects = [document], 0, 0, 1
    if set(map(type, events)) != {dict}:
        return False
    names += sum(map(len, events))
    for inner in ("usage", "tags"):
        found = [value for event in events if type(value := event.get(inner)) is dict]
        names += sum(map(len, found))
        objects += len(found)
    return (
        body.count(b"[") == brackets
        and body.count(b"{") == objects
        and body.count(b'":') == names
        and _SPACED_COLON.search(body) is None
    )


def _refuse_repeated_names(media_type: str, body: bytes) -> None:
    for text in body.splitlines() if media_type == NDJSON else [body]:
        if text.strip():
            json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise Problem("malformed-json", "A name stands twice in one object.")
    return dict(pairs)
