"""POST /api/v1/events: who is calling, is every event well-formed, is it durable? Only then 202."""

import logging
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import problems, query_parameters
from common.ids import parse_id
from common.problems import Fault, Problem
from ingest import inbox, schema, wake
from ingest.body import read_body
from ingest.formats import native
from ingest.openapi import BATCH_REQUEST
from ingest.selectors import ingest_status
from ingest.serializers import AcceptedSerializer, IngestStatusSerializer
from pricing.resolve import price_book
from tenants.api_base import TenantAPIView
from tenants.models import VirtualKey
from usage.records import Reported

log = logging.getLogger(__name__)

# A provider's figure that differs from ours by more than this is worth a word in the answer.
COST_TOLERANCE = Decimal("0.01")


class AnyParser(BaseParser):
    """Leaves the body alone: `ingest.body` reads it with its own limits."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        return {}


class EventsView(TenantAPIView):
    """Usage in."""

    scopes = {"POST": "usage:write"}
    parser_classes = [AnyParser]

    @extend_schema(
        operation_id="events_report",
        summary="Report usage",
        description='1 to 1,000 events as `{"events": […]}`, one bare event, or NDJSON; gzip allowed; at most 1 MiB'
        " inflated. The batch is atomic. 202 means that every event is committed. An id that is known with the same"
        " content counts as a duplicate, with other content the batch is refused.",
        request=BATCH_REQUEST,
        responses={
            202: OpenApiResponse(AcceptedSerializer),
            **problems(400, 408, 409, 413, 415),
        },
        parameters=[OpenApiParameter("Content-Encoding", str, OpenApiParameter.HEADER, enum=["gzip", "identity"])],
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        now = timezone.now()
        media_type = _media_type(request)
        raw, pointers = native.decode(media_type, read_body(request._request), limit=settings.EVENT_BATCH_LIMIT)
        try:
            wires, events = schema.parse_events(raw, pointers=pointers, now=now)
        except schema.InvalidEventsError as error:
            raise _refused(error) from error
        by_key = self._by_key(wires, events, pointers)
        accepted = inbox.accept(organization_id=self.caller.organization_id, events=by_key, now=now)
        if accepted.accepted:
            wake.after_commit()
        answer: dict[str, Any] = {
            "accepted": accepted.accepted,
            "duplicates": accepted.duplicates,
            "request_id": request._request.request_id,  # type: ignore[attr-defined]
        }
        warnings = _cost_warnings(events, pointers)
        return Response(answer | ({"warnings": warnings} if warnings else {}), status=202)

    def _by_key(
        self, wires: Sequence[schema.WireEvent], events: list[Reported], pointers: Sequence[str]
    ) -> dict[int, list[Reported]]:
        """Whose usage it is: the calling key's own, or with an access token the key that each event names."""
        own = self.caller.virtual_key_id
        if own is not None:
            faults = [
                [Fault(f"{pointer}/virtual_key", "not_allowed", "a virtual key reports for itself only")]
                for wire, pointer in zip(wires, pointers, strict=True)
                if isinstance(wire.virtual_key, str)
            ]
            if faults:
                raise _refused(schema.InvalidEventsError(faults, len(events)))
            return {own: events}
        return self._by_named_key(wires, events, pointers)

    def _by_named_key(
        self, wires: Sequence[schema.WireEvent], events: list[Reported], pointers: Sequence[str]
    ) -> dict[int, list[Reported]]:
        named = {wire.virtual_key: parse_id(wire.virtual_key) for wire in wires if isinstance(wire.virtual_key, str)}
        known = set(
            VirtualKey.objects.filter(
                organization_id=self.caller.organization_id, id__in=[key for key in named.values() if key]
            ).values_list("id", flat=True)
        )
        by_key: dict[int, list[Reported]] = {}
        faults = []
        for wire, event, pointer in zip(wires, events, pointers, strict=True):
            key_id = named[wire.virtual_key] if isinstance(wire.virtual_key, str) else None
            if not isinstance(wire.virtual_key, str):
                faults.append(
                    [Fault(f"{pointer}/virtual_key", "required", "an access token names the key it reports for")]
                )
            elif key_id not in known or key_id is None:
                faults.append(
                    [Fault(f"{pointer}/virtual_key", "unknown_reference", "is not a key of this organization")]
                )
            else:
                by_key.setdefault(key_id, []).append(event)
        if faults:
            raise _refused(schema.InvalidEventsError(faults, len(events)))
        return by_key


def _media_type(request: Request) -> str:
    media_type: str = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type not in {native.JSON, native.NDJSON}:
        raise Problem("unsupported-media-type", f"Send {native.JSON} or {native.NDJSON}.")
    return media_type


def _refused(error: schema.InvalidEventsError) -> Problem:
    return Problem("validation-error", error.summary, errors=error.faults)


def _cost_warnings(events: Sequence[Reported], pointers: Sequence[str]) -> list[dict[str, str]]:
    """Where the provider's figure and ours differ by over a hundredth. Both are stored; neither replaces the other."""
    priced = [
        (event, pointer) for event, pointer in zip(events, pointers, strict=True) if event.reported_cost is not None
    ]
    if not priced:
        return []
    book = price_book()
    warnings = []
    for event, pointer in priced:
        rate = book.resolve(event.provider, event.model, event.service_tier, event.time).rate
        ours = rate.cost(event.buckets) if rate is not None and event.cache == "miss" else None
        theirs = Decimal(event.reported_cost or 0) / 1000
        if ours is not None and abs(theirs - ours) > COST_TOLERANCE * max(Decimal(ours), theirs):
            warnings.append(
                {
                    "pointer": f"{pointer}/cost",
                    "code": "cost_differs",
                    "detail": "differs from the list price by over 1 %",
                }
            )
    return warnings


class IngestStatusView(TenantAPIView):
    """How far settling is behind."""

    scopes = {"GET": "usage:read"}

    @extend_schema(
        operation_id="ingest_status",
        summary="How far behind is settling?",
        responses={200: IngestStatusSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        status = ingest_status(organization_id=self.caller.organization_id, now=timezone.now())
        return Response(IngestStatusSerializer(status).data)
