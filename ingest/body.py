"""Reading a request's body without trusting its length, its speed or its compression."""

import socket
import time
import zlib
from contextlib import nullcontext, suppress
from typing import IO, cast

from django.conf import settings
from django.http import HttpRequest
from gunicorn.http.errors import ParseException

from common.problems import Problem
from ingest.patience import patience

DRAIN_SECONDS = 2


def read_body(request: HttpRequest) -> bytes:
    """The body, inflated where it came as gzip. Problem 413 past the limit, 415 for another coding, 408 when slow."""
    coding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if coding not in {"identity", "gzip"}:
        raise Problem("unsupported-media-type", "Content-Encoding must be gzip or absent.")
    limit = settings.EVENT_BODY_LIMIT
    raw = _read(request, limit)
    return _inflated(raw, limit) if coding == "gzip" else raw


def _too_large(limit: int) -> Problem:
    return Problem(
        "body-too-large",
        f"The body may hold at most {limit} bytes.",
        extra={"limit": limit},
    )


def _read(request: HttpRequest, limit: int) -> bytes:
    length = request.META.get("CONTENT_LENGTH") or ""
    # Django reads nothing of a chunked body; the server's own stream ends where the body does.
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    stream: IO[bytes] = request.META["wsgi.input"] if chunked else cast("IO[bytes]", request)
    connection = request.META.get("gunicorn.socket")
    waiting = patience.within(connection, settings.EVENT_BODY_SECONDS) if connection is not None else nullcontext()
    started = time.monotonic()
    try:
        with waiting:
            body = stream.read(limit + 1)
    except (OSError, ParseException) as error:
        raise Problem("malformed-body", "The body was cut off.") from error
    if len(body) > limit:
        if connection is not None:
            _hang_up(stream, connection, limit)
        raise _too_large(limit)
    if len(body) < int(length or 0) or (chunked and time.monotonic() - started >= settings.EVENT_BODY_SECONDS):
        raise Problem("request-timeout")
    return body


def _hang_up(stream: IO[bytes], connection: socket.socket, limit: int) -> None:
    """Reads a little more, so that a sender slightly over the limit is there to hear the answer, and then no more."""
    with patience.within(connection, DRAIN_SECONDS), suppress(OSError, ParseException):
        stream.read(limit)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


def _inflated(raw: bytes, limit: int) -> bytes:
    """Inflates no more than the limit, however much the stream would make of itself."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        body = inflater.decompress(raw, limit + 1)
    except zlib.error as error:
        raise Problem("malformed-body", "The body is not gzip.") from error
    if len(body) > limit:
        raise _too_large(limit)
    if not inflater.eof or inflater.unused_data:
        raise Problem("malformed-body", "The gzip stream is cut off or followed by something else.")
    return body
