"""Traces over the API: a list of them, and one as a tree of what its calls cost."""

from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api_parameters import bounded, name_checked, range_of
from analytics.traces import page_of_traces, place_at, trace_tree
from analytics.tree import Line
from budgets.fields import UsdField
from common.api import page_limit, problems, query_parameters
from common.problems import Fault, invalid
from tenants.api_base import TenantAPIView
from usage.models import Trace
from usage.traces import MAX_CALLS, Place, TraceOrder, TraceQuery, trace_find, traces

ORDERS: tuple[TraceOrder, ...] = ("newest", "dearest")
MAX_SPANS = 1_000
_NAMES = ("session", "customer", "user", "agent")


class TraceSerializer(serializers.Serializer[Trace]):
    """Sums of a trace, everything booked since included."""

    id = serializers.CharField(source="trace_id")
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    session = serializers.CharField(allow_blank=True)
    customer = serializers.CharField(allow_blank=True)
    user = serializers.CharField(source="end_user", allow_blank=True)
    cost = UsdField()
    calls = serializers.IntegerField(source="events")
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    unpriced_requests = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()


class SpanSerializer(serializers.Serializer[Line]):
    """A call, or a span that calls name as their parent and that is none itself: its `event` is null."""

    depth = serializers.IntegerField()
    span_id = serializers.CharField(source="node.span_id", allow_blank=True)
    event = serializers.CharField(source="node.call.id", allow_null=True, default=None)
    time = serializers.DateTimeField(source="node.time")
    provider = serializers.CharField(source="node.call.provider", allow_null=True, default=None)
    model = serializers.CharField(source="node.call.model", allow_null=True, default=None)
    agent = serializers.CharField(source="node.call.agent", allow_null=True, allow_blank=True, default=None)
    status = serializers.CharField(source="node.call.status", allow_null=True, default=None)
    latency_ms = serializers.IntegerField(source="node.call.latency_ms", allow_null=True, default=None)
    input_tokens = serializers.IntegerField(source="node.call.input_tokens", default=0)
    output_tokens = serializers.IntegerField(source="node.call.output_tokens", default=0)
    cost = UsdField(source="node.cost", help_text="of the call itself")
    total = UsdField(source="node.total", help_text="with everything below it")
    retried = serializers.BooleanField(
        source="node.retried", help_text="failed or cancelled, and called again by the same parent with the same model"
    )


class AgentShareSerializer(serializers.Serializer[Any]):
    agent = serializers.CharField(allow_blank=True, help_text='"": none was named')
    calls = serializers.IntegerField()
    failed = serializers.IntegerField()
    cost = UsdField()
    wasted = UsdField(help_text="of calls that were retried")


TRACE_PAGE = inline_serializer(
    "TracePage", {"data": TraceSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)
TRACE_TREE = inline_serializer(
    "TraceTree",
    {
        "trace": TraceSerializer(),
        "wasted": UsdField(),
        "agents": AgentShareSerializer(many=True),
        "spans": SpanSerializer(many=True),
        "hidden_calls": serializers.IntegerField(help_text="calls of a long trace that are not among the spans"),
    },
)


class TracesView(TenantAPIView):
    scopes = {"GET": "usage:read"}

    @extend_schema(
        operation_id="traces_list",
        summary="Traces, the newest or the dearest first",
        description="Traces whose last call lies from `from` to `to`: without them, from the beginning of the month.",
        parameters=[
            *(OpenApiParameter(name, str) for name in _NAMES),
            OpenApiParameter("from", str, description="RFC 3339 time, or a date in the zone; included"),
            OpenApiParameter("to", str, description="RFC 3339 time, or a date in the zone; not included"),
            OpenApiParameter("order", str, enum=list(ORDERS)),
            OpenApiParameter("limit", int, description="1 to 100"),
            OpenApiParameter("cursor", str, description="`next` of the page before"),
        ],
        responses={200: TRACE_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, frozenset({*_NAMES, "from", "to", "order", "limit", "cursor"}))
        limit, order = page_limit(given), _order(given.get("order", "newest"))
        start, end = range_of(given, self.organization(), timezone.now())
        names = {name: name_checked(given, name) for name in _NAMES if name in given}
        query = TraceQuery(self.caller.organization_id, start, end, **names)
        after = _place(given["cursor"], order) if "cursor" in given else None
        with bounded():
            shown, cursor = page_of_traces(traces(query, order=order, limit=limit + 1, after=after), limit, order)
        return Response({"data": [TraceSerializer(each).data for each in shown], "next": cursor or None})


class TraceView(TenantAPIView):
    scopes = {"GET": "usage:read"}

    @extend_schema(
        operation_id="trace",
        summary="A trace as a tree of what its calls cost",
        description="Spans come in reading order: each, then what it called, one `depth` further. At most"
        f" {MAX_CALLS} calls are read and {MAX_SPANS} spans given; the sums of `trace` count all of it.",
        parameters=[OpenApiParameter("trace_id", str, OpenApiParameter.PATH)],
        responses={200: TRACE_TREE, **problems(404)},
    )
    def get(self, request: Request, trace_id: str) -> Response:
        query_parameters(request, frozenset())
        found = trace_find(self.caller.organization_id, trace_id) if trace_id.isprintable() else None
        if found is None:
            raise Http404
        with bounded():
            tree = trace_tree(found, MAX_SPANS)
        return Response(
            {
                "trace": TraceSerializer(found).data,
                "wasted": UsdField().to_representation(tree.wasted),
                "agents": AgentShareSerializer(tree.shares, many=True).data,
                "spans": [SpanSerializer(each).data for each in tree.lines],
                "hidden_calls": max(0, int(found.events) - len(tree.events)) + tree.hidden,
            }
        )


def _order(text: str) -> TraceOrder:
    if text not in ORDERS:
        raise invalid(Fault("/order", "invalid", f"must be one of {', '.join(ORDERS)}"))
    return text


def _place(cursor: str, order: TraceOrder) -> Place:
    try:
        return place_at(cursor, order)
    except ValueError as error:
        raise invalid(Fault("/cursor", "invalid", "is not a cursor of this list")) from error
