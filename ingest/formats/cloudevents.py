"""CloudEvents 1.0 over HTTP: structured, batched and binary. Token convention: that of our own event, which is `data`.

The envelope fills in what the event leaves out: `data.id` is otherwise the envelope's `id` (its hash where it cannot be
one of ours), `data.time` otherwise its `time`. `source` and `type` are required, as CloudEvents demands, and not kept:
an event's id is unique in its organization whatever the source. Extension attributes pass; `data` itself is as strict
as our own JSON.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from common.problems import Fault, Problem
from ingest.formats import native
from ingest.formats.base import Decoded
from ingest.formats.foreign import identifier
from ingest.formats.foreign_json import not_valid

EVENT, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_REQUIRED = ("id", "source", "type", "specversion")
_FILLED = ("id", "time")


@dataclass
class _Batch:
    """What came out of the envelopes so far."""

    events: list[Any] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    # Pointers of what an envelope filled in, and where it stands there.
    filled: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def add(self, envelope: Mapping[str, Any], data: Any, at: str, inside: str) -> None:
        """An envelope at pointer `at` whose event is at `inside`."""
        faults = _faults(envelope, at)
        if faults:
            self.faults += faults
            return
        if isinstance(data, dict):
            given = {"id": identifier(envelope["id"]), "time": envelope.get("time")}
            missing = [name for name in _FILLED if name not in data and given[name] is not None]
            data = data | {name: given[name] for name in missing}
            self.filled |= {f"{inside}/{name}": f"{at}/{name}" for name in missing}
        self.events.append(data)
        self.pointers.append(inside)

    def decoded(self) -> Decoded:
        if self.faults:
            raise not_valid(*self.faults)
        return Decoded(self.events, self.pointers, place=lambda pointer: self.filled.get(pointer, pointer))


def decode(media_type: str, body: bytes, *, limit: int) -> Decoded:
    """The events of a structured or batched body. Problem 400, 413 or 422 when it is none."""
    document = native.decoded_json(native.JSON, body)
    if media_type == BATCH:
        if not isinstance(document, list):
            raise not_valid(Fault("", "type", "must be an array"))
        if not document:
            raise not_valid(Fault("", "empty_batch", "a batch holds at least one event"))
        if len(document) > limit:
            raise Problem("batch-too-large", f"A batch holds at most {limit} events.", extra={"limit": limit})
    batch = _Batch()
    for index, envelope in enumerate(document if media_type == BATCH else [document]):
        _open(batch, envelope, f"/{index}" if media_type == BATCH else "")
    return batch.decoded()


def decode_binary(attributes: Mapping[str, str], body: bytes) -> Decoded:
    """The event of binary mode: attributes from the headers `ce-…`, percent-encoded, and the event as the body."""
    envelope = {name: unquote(value) for name, value in attributes.items()}
    batch = _Batch()
    batch.add(envelope, native.decoded_json(native.JSON, body), "", "")
    return batch.decoded()


def _open(batch: _Batch, envelope: Any, at: str) -> None:
    if not isinstance(envelope, dict):
        batch.faults.append(Fault(at, "type", "must be an object"))
    elif "data_base64" in envelope:
        batch.add(envelope, _from_base64(envelope["data_base64"], at), at, f"{at}/data_base64")
    elif "data" in envelope:
        batch.add(envelope, envelope["data"], at, f"{at}/data")
    else:
        batch.faults.append(Fault(f"{at}/data", "required", "is required"))


def _from_base64(text: Any, at: str) -> Any:
    try:
        body = b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        body = b""
    if not body:
        raise not_valid(Fault(f"{at}/data_base64", "invalid", "must be the event's JSON in base64"))
    return native.decoded_json(native.JSON, body)


def _faults(envelope: Mapping[str, Any], at: str) -> list[Fault]:
    faults = [
        Fault(f"{at}/{name}", "required", "is required")
        for name in _REQUIRED
        if not isinstance(envelope.get(name), str) or not envelope[name]
    ]
    if not faults and envelope["specversion"] != "1.0":
        faults.append(Fault(f"{at}/specversion", "invalid", "must be 1.0"))
    content_type = envelope.get("datacontenttype") or native.JSON
    if str(content_type).partition(";")[0].strip().lower() != native.JSON:
        faults.append(Fault(f"{at}/datacontenttype", "invalid", f"must be {native.JSON}"))
    return faults
