"""JSON whose shape is somebody else's: unknown fields pass, depth is bounded, numbers with a point stay exact."""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

from common.api import nesting
from common.problems import Fault, Problem

# Prompts and tool schemas travel in these payloads, so they are nested deeper than anything of ours.
MAX_DEPTH = 100
Shape = TypeVar("Shape")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError("a number out of range") from error


_decoder = msgspec.json.Decoder(float_hook=_decimal)


def decode(body: bytes, *, lines: bool = False) -> Any:
    """The document, or with `lines` a list of those on the lines. Problem 400 or 422."""
    return _guarded(lambda: _decoder.decode_lines(body) if lines else _decoder.decode(body), body)


def decode_as(body: bytes, decoder: "msgspec.json.Decoder[Shape]") -> Shape:
    """The document in the decoder's shape. Problem 400, or 422 with a pointer to where the shape is another."""
    document: Shape = _guarded(lambda: decoder.decode(body), body)
    return document


def _guarded(decoding: Callable[[], Any], body: bytes) -> Any:
    if nesting(body) > MAX_DEPTH:
        raise Problem("too-deep", f"At most {MAX_DEPTH} levels of nesting are read.")
    try:
        return decoding()
    except RecursionError as error:
        raise Problem("too-deep", f"At most {MAX_DEPTH} levels of nesting are read.") from error
    except msgspec.ValidationError as error:
        raise not_valid(Fault(_pointer(str(error)), "type", "has the wrong type or is out of range")) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("malformed-json", "The body is not JSON.") from error


def not_valid(*faults: Fault) -> Problem:
    return Problem("validation-error", "The batch is not valid; nothing was stored.", errors=faults)


def _pointer(message: str) -> str:
    """`… - at `$.spans[0].name`` → /spans/0/name."""
    path = re.search(r"at `\$([^`]*)`", message)
    steps: list[tuple[str, str]] = re.findall(r"\.([A-Za-z0-9_]+)|\[([0-9]+)\]", path[1]) if path else []
    return "".join(f"/{name or index}" for name, index in steps)
