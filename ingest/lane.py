"""The express lane of POST /api/v1/events: answered before sessions, CSRF, templates and DRF, none of which it needs.

The view in `ingest.api` describes the endpoint and answers every other method and format; this middleware does the same
for our own format without the machinery around it, because it is what applications call all day.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from common.api import query_parameters
from common.db import outage
from common.problems import Problem, problem_response
from ingest.body import read_body
from ingest.formats import native
from ingest.intake import TakenIn, take_in
from ingest.limits import refused
from tenants.authentication import Caller, authenticate_often
from usage.key_networks import key_networks

PATH = "/api/v1/events"
SOURCE = "native"
_json = msgspec.json.Encoder()


class ExpressLaneMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or request.path != PATH or request.content_type not in native.MEDIA_TYPES:
            return self.get_response(request)
        if "HTTP_CE_SPECVERSION" in request.META:
            return self.get_response(request)  # a CloudEvent in binary mode
        request.get_host()  # refuses a Host that is not ours
        now = timezone.now()
        try:
            caller = authenticate_often(request, now)
            caller.require("usage:write")
        except Problem as problem:
            return problem_response(problem, request)
        key_networks.note(request, caller, now)
        try:
            taken = accept(request, caller, now)
        except (Problem, DatabaseError, InterfaceError) as error:
            answered = error if isinstance(error, Problem) else outage(error)
            if answered is None:
                raise
            return problem_response(refused(answered, caller=caller, source=SOURCE, now=now), request)
        return answer(request, taken)


def accept(request: HttpRequest, caller: Caller, now: datetime) -> TakenIn:
    """Everything between a proven caller and the answer; Problem for what is refused."""
    query_parameters(request, frozenset())
    decoded = native.decode(request.content_type or "", read_body(request), limit=settings.EVENT_BATCH_LIMIT)
    return take_in(caller=caller, decoded=decoded, source=SOURCE, now=now)


def answer(request: HttpRequest, taken: TakenIn) -> HttpResponse:
    """202: everything in the batch is committed."""
    body: dict[str, Any] = {
        "accepted": taken.accepted,
        "duplicates": taken.duplicates,
        "request_id": request.request_id,  # type: ignore[attr-defined]
    }
    if taken.warnings:
        body["warnings"] = taken.warnings
    return HttpResponse(_json.encode(body), status=202, content_type="application/json", headers=taken.headers)
