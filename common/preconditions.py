"""Changing what the caller saw (RFC 9110): `If-Match` names the version, `ETag` tells it."""

import re

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from common.problems import Problem

IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description='The ETag of the version you saw, e.g. "3", or *.'
)
ETAG = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 201], description="The version.")
# Entity tags in quotes, with commas between them.
_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def etag(version: int) -> str:
    return f'"{version}"'


def names_version(request: Request, version: int) -> bool:
    """Whether the caller means to change this version, or whichever it is. Problem 428 when they do not say."""
    header = request.META.get("HTTP_IF_MATCH", "").strip()
    if not header:
        raise Problem("precondition-required", 'Send If-Match with the ETag of the version you saw, such as "3".')
    strong = {tag for weak, tag in _ENTITY_TAG.findall(header) if not weak}
    return header == "*" or str(version) in strong
