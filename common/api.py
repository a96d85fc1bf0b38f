"""What every DRF view shares: strict JSON in, problems out, cursor pages."""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.response import Response

from common.problems import CONTENT_TYPE, Fault, Problem, excerpt, problem_response, unauthenticated

MAX_DEPTH = 20
PAGE_LIMIT = 100


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it: UTF-8, no duplicate names, no NaN, bounded depth. Numbers with a point stay strings."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise Problem("body-too-large", f"At most {limit} bytes are read.", extra={"limit": limit})
        if nesting(body) > MAX_DEPTH:
            raise Problem("too-deep", f"At most {MAX_DEPTH} levels of nesting are read.")
        try:
            return json.loads(
                body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=str
            )
        except ValueError as error:
            raise Problem("malformed-json", excerpt(str(error))) from error


_TEXT = {"type": "string"}
_FAULT_FIELDS = ("pointer", "code", "detail")
_FAULT = {"type": "object", "required": list(_FAULT_FIELDS), "properties": dict.fromkeys(_FAULT_FIELDS, _TEXT)}
# RFC 9457, as every error answer.
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "instance", "request_id"), _TEXT),
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": _FAULT},
    },
}


def problems(*statuses: int) -> dict[tuple[int, str], Any]:
    """The error answers of an operation, for its `extend_schema`; those that any request may get are added."""
    return {(status, CONTENT_TYPE): PROBLEM_SCHEMA for status in sorted({400, 401, 403, 405, 406, 422, 503, *statuses})}


def nesting(body: bytes) -> int:
    """The deepest level of brackets outside strings, without building anything."""
    deepest = depth = 0
    for byte in _outside_strings(body).translate(None, _NO_BRACKETS):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _outside_strings(body: bytes) -> bytes:
    return b"".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def problem_handler(error: Exception, context: dict[str, Any]) -> Any:
    """Any error below a DRF view as a problem; None for a bug, which goes on to be reported as one."""
    problem = as_problem(error)
    if problem is None:
        return None
    return problem_response(problem, context["request"]._request)


_SLUGS: dict[type[Exception], str] = {
    Http404: "not-found",
    exceptions.NotFound: "not-found",
    exceptions.NotAuthenticated: "unauthenticated",
    exceptions.AuthenticationFailed: "unauthenticated",
    PermissionDenied: "forbidden",
    exceptions.PermissionDenied: "forbidden",
    exceptions.MethodNotAllowed: "method-not-allowed",
    exceptions.UnsupportedMediaType: "unsupported-media-type",
    exceptions.NotAcceptable: "not-acceptable",
    exceptions.ParseError: "malformed-json",
}


def as_problem(error: Exception) -> Problem | None:
    """The problem that an expected error is; None for a bug."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationError):
        return Problem("validation-error", errors=tuple(_django_faults(error)))
    if isinstance(error, exceptions.ValidationError):
        return Problem("validation-error", errors=tuple(_faults(error.detail, "")))
    slug = next((slug for kind, slug in _SLUGS.items() if isinstance(error, kind)), None)
    if slug == "unauthenticated":
        return unauthenticated()
    return Problem(slug, str(error) if slug == "forbidden" else "") if slug else None


def _django_faults(error: ValidationError) -> list[Fault]:
    if not hasattr(error, "error_dict"):
        return [Fault("", "invalid", message) for message in error.messages]
    return [
        Fault("" if name == "__all__" else f"/{name}", "invalid", message)
        for name, messages in error.message_dict.items()
        for message in messages
    ]


def _faults(detail: Any, pointer: str) -> list[Fault]:
    if isinstance(detail, dict):
        return [
            fault
            for name, inner in detail.items()
            for fault in _faults(inner, pointer if name == "non_field_errors" else f"{pointer}/{excerpt(str(name))}")
        ]
    if isinstance(detail, list):
        inners = enumerate(detail)
        return [
            fault
            for index, inner in inners
            for fault in _faults(inner, f"{pointer}/{index}" if isinstance(inner, dict) and inner else pointer)
        ]
    return [Fault(pointer, getattr(detail, "code", "invalid"), str(detail))]


def query_parameters(request: Any, allowed: frozenset[str]) -> dict[str, str]:
    """The query string as a dict; Problem 422 for a parameter that is unknown or stands twice."""
    faults = [
        Fault(f"/{excerpt(name)}", "unknown_parameter" if name not in allowed else "repeated", "not understood here")
        for name, values in request.GET.lists()
        if name not in allowed or len(values) > 1
    ]
    if faults:
        raise Problem("validation-error", "A query parameter is not understood.", errors=tuple(faults))
    return {name: values[-1] for name, values in request.GET.lists()}


def encode_cursor(*parts: str | int) -> str:
    return urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_cursor(text: str, kinds: tuple[type, ...]) -> list[Any]:
    """The parts of a cursor that `encode_cursor` made; Problem 422 for anything else."""
    try:
        parts = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError) as error:
        raise Problem("validation-error", errors=(Fault("/cursor", "invalid", "is not a cursor"),)) from error
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise Problem("validation-error", errors=(Fault("/cursor", "invalid", "is not a cursor"),))
    return parts


def page_limit(parameters: Mapping[str, str]) -> int:
    text = parameters.get("limit", str(PAGE_LIMIT))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= PAGE_LIMIT):
        raise Problem("validation-error", errors=(Fault("/limit", "out_of_range", f"must be from 1 to {PAGE_LIMIT}"),))
    return int(text)


def page_of(rows: list[dict[str, Any]], *, limit: int, cursor: str | None) -> Response:
    """One page of a list: at most `limit` rows of the `limit + 1` that were asked for, and where to go on."""
    return Response({"data": rows[:limit], "next": cursor if len(rows) > limit else None})
