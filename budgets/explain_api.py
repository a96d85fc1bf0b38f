"""Why a call is, was or would be refused, over the API: for whoever reads budgets, and for a key about itself."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.explain import Question, explain, question_of
from budgets.explain_serializers import (
    EXPLANATION,
    REFUSAL_LIST,
    REFUSED_REQUEST,
    explanation_shape,
    refusal_shape,
)
from budgets.refusals import RefusalFilter, cursor_after, position_at, refusals, refusals_of_request
from budgets.reservations.models import Reason
from budgets.windows import BEGINNING
from common.api import page_limit, page_of, problems, query_parameters
from common.ids import parse_id
from common.problems import Fault, Problem, invalid
from tenants.api_base import TenantAPIView
from tenants.models import VirtualKey

LABELS = ("customer", "feature", "agent", "user")
MAX_LABEL = 200
MAX_TOKENS = 10**12
_TAG = re.compile(r"tag\.([a-z0-9_]{1,40})")
_DIGITS = re.compile(r"[0-9]{1,13}")
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_BOOLEANS = {"true": True, "false": False}

EXPLAIN_PARAMETERS = [
    OpenApiParameter("virtual_key", str, description="the id of a key; a virtual key asks about itself and needs none"),
    OpenApiParameter("at", str, description="RFC 3339, not in the future; now by default"),
    OpenApiParameter("provider", str),
    OpenApiParameter("model", str),
    *(OpenApiParameter(name, str) for name in LABELS),
    OpenApiParameter("tag.<name>", str, description="a tag of the call, any number of times"),
    OpenApiParameter("input_tokens", int, description="of the call"),
    OpenApiParameter("max_output_tokens", int, description="what it would hold at most for its answer"),
]


class KeyOrReaderView(TenantAPIView):
    """A virtual key needs `me` and learns about itself; an access token needs `budgets:read`."""

    scopes: ClassVar[dict[str, str]] = {}

    def own_key(self) -> int | None:
        """The calling virtual key; None for a token that may read everything. Problem 403."""
        self.caller.require("me" if self.caller.virtual_key_id is not None else "budgets:read")
        return self.caller.virtual_key_id


class ExplainView(KeyOrReaderView):
    @extend_schema(
        operation_id="explain",
        summary="Which budgets apply to a key, and whether a call would be allowed",
        description="At any moment up to now: the limit in force, what was used, held and left, when it resets, who may"
        " raise it, and every reason for which a call like this is or would have been refused. `unknown` says what"
        " cannot be known of a past moment. Nothing is held. A virtual key asks about itself.",
        parameters=EXPLAIN_PARAMETERS,
        responses={200: OpenApiResponse(EXPLANATION), **problems()},
    )
    def get(self, request: Request) -> Response:
        own, now = self.own_key(), timezone.now()
        tags = frozenset(name for name in request.GET if _TAG.fullmatch(name))
        known = {"virtual_key", "at", "provider", "model", "input_tokens", "max_output_tokens", *LABELS}
        given = query_parameters(request, tags | known)
        key = _key(self.caller.organization_id, given.get("virtual_key", "" if own is None else str(own)), own)
        return Response(explanation_shape(explain(_question(given, key, now))))


class RefusalsView(KeyOrReaderView):
    @extend_schema(
        operation_id="refusals_list",
        summary="Calls that were refused, newest first",
        description="With those that a budget in shadow would have refused. Kept for 90 days. A virtual key sees its"
        " own.",
        parameters=[
            OpenApiParameter("reason", str, enum=Reason.values),
            OpenApiParameter("virtual_key", str),
            OpenApiParameter("budget", str),
            OpenApiParameter("shadow", str, enum=list(_BOOLEANS)),
            OpenApiParameter("limit", int, description="1 to 100"),
            OpenApiParameter("cursor", str, description="`next` of the page before"),
        ],
        responses={200: REFUSAL_LIST, **problems()},
    )
    def get(self, request: Request) -> Response:
        own = self.own_key()
        given = query_parameters(request, frozenset({"reason", "virtual_key", "budget", "shadow", "limit", "cursor"}))
        limit = page_limit(given)
        narrowed = RefusalFilter(
            reason=_one_of(given, "reason", {reason: reason for reason in Reason.values}),
            virtual_key_id=own if own is not None else _id(given, "virtual_key"),
            budget_id=_id(given, "budget"),
            shadow=_one_of(given, "shadow", _BOOLEANS),
        )
        found = refusals(
            organization_id=self.caller.organization_id,
            narrowed=narrowed,
            after=position_at(given["cursor"]) if "cursor" in given else None,
            limit=limit + 1,
        )
        rows = [refusal_shape(each) for each in found]
        return page_of(rows, limit=limit, cursor=cursor_after(found[limit - 1]) if len(found) > limit else None)


class RefusalView(KeyOrReaderView):
    @extend_schema(
        operation_id="refusals_get",
        summary="Why one request was refused",
        description="By the `request_id` of the refusal, which is in its body and in `X-Request-Id`.",
        responses={200: OpenApiResponse(REFUSED_REQUEST), **problems(404)},
    )
    def get(self, request: Request, request_id: str) -> Response:
        own = self.own_key()
        query_parameters(request, frozenset())
        found = refusals_of_request(
            organization_id=self.caller.organization_id, request_id=request_id, virtual_key_id=own
        )
        if not found:
            raise Problem("not-found")
        return Response(
            {
                "request_id": request_id,
                "refused": any(not each.refusal.shadow for each in found),
                "reasons": [refusal_shape(each) for each in found],
            }
        )


def _key(organization_id: int, text: str, own: int | None) -> VirtualKey:
    """The key that is asked about. Another than its own is as unknown to a virtual key as one that does not exist."""
    if not text:
        raise invalid(Fault("/virtual_key", "required", "names the key to explain"))
    wanted = parse_id(text)
    keys = VirtualKey.objects.select_related("team", "organization").filter(organization_id=organization_id)
    found: VirtualKey | None = keys.filter(id=wanted or 0).first() if own in (None, wanted) else None
    if found is None:
        raise invalid(Fault("/virtual_key", "unknown_reference", "is not a virtual key of this organization"))
    return found


def _question(given: Mapping[str, str], key: VirtualKey, now: datetime) -> Question:
    texts = {name: _label(given, name) for name in ("provider", "model", *LABELS)}
    tags = {found[1]: _label(given, name) for name in given if (found := _TAG.fullmatch(name))}
    return question_of(
        key=key,
        at=_at(given["at"], now) if "at" in given else now,
        now=now,
        provider=texts["provider"],
        model=texts["model"],
        labels={name: texts[name] for name in LABELS},
        tags=tags,
        input_tokens=_tokens(given, "input_tokens"),
        max_output_tokens=_tokens(given, "max_output_tokens"),
    )


def _at(text: str, now: datetime) -> datetime:
    try:
        at = msgspec.convert(text, _Moment)
    except msgspec.ValidationError as error:
        detail = "must be a time with a zone, such as 2026-11-24T10:00:00Z"
        raise invalid(Fault("/at", "invalid", detail)) from error
    if not BEGINNING <= at <= now:
        raise invalid(Fault("/at", "out_of_range", "must not be in the future, or before 2015"))
    return at


def _label(given: Mapping[str, str], name: str) -> str:
    text = given.get(name, "")
    if len(text) > MAX_LABEL or any(ord(character) < 32 for character in text):
        raise invalid(Fault(f"/{name}", "invalid", f"must be at most {MAX_LABEL} characters, none of them control"))
    return text


def _tokens(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "0")
    if _DIGITS.fullmatch(text) is None or int(text) > MAX_TOKENS:
        raise invalid(Fault(f"/{name}", "out_of_range", f"must be a whole number from 0 to {MAX_TOKENS}"))
    return int(text)


def _id(given: Mapping[str, str], name: str) -> int | None:
    """The id; one that is none of ours finds nothing."""
    return (parse_id(given[name]) or 0) if name in given else None


def _one_of(given: Mapping[str, str], name: str, choices: Mapping[str, Any]) -> Any:
    if name not in given:
        return None
    if given[name] not in choices:
        raise invalid(Fault(f"/{name}", "invalid", f"must be one of {', '.join(choices)}"))
    return choices[given[name]]
