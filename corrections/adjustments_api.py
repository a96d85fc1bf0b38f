"""Adjustments over the API: what was booked after the events, and reporting what changed about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import decode_cursor, encode_cursor, page_limit, page_of, problems, query_parameters
from common.money import parse_usd, usd_to_nano
from common.problems import Fault, invalid
from common.strict import StrictCharField, StrictSerializer
from corrections.models import STATUSES
from corrections.reported import Item, adjustments_report
from corrections.serializers import UsdField
from pricing.serializers import StrictMomentField
from pricing.usage_buckets import Buckets, UsageError, from_inclusive
from tenants.api_base import TenantAPIView
from tenants.serializers import StrictIntegerField
from usage.models import Adjustment
from usage.tables import ADJUSTMENT_KINDS

BATCH_LIMIT = 1_000
MOST_COUNT = 10**15  # as of an event's counts
# What can be reported → the field that says it.
KIND_FIELD = {"refund": "cost", "correction": "cost", "status": "status", "usage": "usage"}
MOST_NANO = 10**18  # a billion USD
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@extend_schema_field({"type": "string", "format": "decimal", "example": "-0.12"})
class DifferenceField(serializers.Field[int, Any, str, Any]):
    """USD with a sign, as nano-USD."""

    default_error_messages = {"invalid": 'must be a decimal string in USD such as "-0.12", with at most nine decimals'}

    def to_internal_value(self, data: Any) -> int:
        text = data if isinstance(data, str) else ""
        amount = parse_usd(text.removeprefix("-"))
        nano = usd_to_nano(amount) if amount is not None else None
        if not nano or nano > MOST_NANO:
            self.fail("invalid")
        return -nano if text.startswith("-") else nano


class ReportedKind(serializers.ChoiceField):
    def __init__(self, **options: Any) -> None:
        super().__init__([(kind, kind) for kind in KIND_FIELD], **options)


class CountField(StrictIntegerField):
    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=MOST_COUNT, required=False, **options)


class TotalsSerializer(StrictSerializer[Any]):
    """Totals as in an event's `usage`: input includes cached and audio, output reasoning and audio. As `Buckets`."""

    input_tokens = CountField(help_text="cached, written and audio ones included")
    cache_read_input_tokens = CountField()
    cache_write_input_tokens = CountField(help_text="kept for five minutes")
    cache_write_1h_input_tokens = CountField()
    output_tokens = CountField(help_text="reasoning and audio ones included")
    reasoning_output_tokens = CountField()
    input_audio_tokens = CountField()
    output_audio_tokens = CountField()
    images = CountField()
    requests = CountField(help_text="1 if left out; everything else 0")
    tool_calls = CountField()

    def validate(self, attrs: Any) -> Buckets:
        try:
            return from_inclusive(**{"input_tokens": 0} | attrs)
        except UsageError as error:
            raise serializers.ValidationError({error.field: error.detail}, code="inconsistent") from error


class ReportSerializer(StrictSerializer[Any]):
    id = serializers.RegexField(r"^[\x21-\x7e]{1,200}\Z", trim_whitespace=False, help_text="your own; reported once")
    event_time = StrictMomentField(help_text="the event's `time`")
    event_id = serializers.RegexField(r"^[\x21-\x7e]{1,200}\Z", trim_whitespace=False, help_text="the event's `id`")
    kind = ReportedKind(
        help_text="`refund` and `correction` take a `cost`, `status` the new `status`, `usage` the new `usage`"
    )
    cost = DifferenceField(required=False, help_text="the difference to the event's cost; of a refund it is negative")
    status = serializers.ChoiceField([(status, status) for status in STATUSES], required=False)
    usage = TotalsSerializer(required=False, help_text="the event's counts from now on, not the difference")
    reason = StrictCharField(max_length=200)

    def validate(self, attrs: Any) -> Any:
        kind = attrs["kind"]
        wanted = KIND_FIELD[kind]
        if wanted not in attrs:
            raise serializers.ValidationError({wanted: f"is required for a {kind}"}, code="required")
        others = {
            name: f"does not belong to a {kind}" for name in KIND_FIELD.values() if name in attrs and name != wanted
        }
        if others:
            raise serializers.ValidationError(others)
        if kind == "refund" and attrs["cost"] > 0:
            raise serializers.ValidationError({"cost": "of a refund must be negative"})
        return attrs


class ReportsSerializer(StrictSerializer[Any]):
    adjustments = serializers.ListField(child=ReportSerializer(), allow_empty=False, max_length=BATCH_LIMIT)


class AdjustmentSerializer(serializers.Serializer[Adjustment]):
    id = serializers.CharField()
    kind = serializers.CharField()
    reason = serializers.CharField()
    actor = serializers.CharField()
    booked_at = serializers.DateTimeField(help_text="the time it counts at: the event's, or later if that was closed")
    created_at = serializers.DateTimeField()
    event_time = serializers.DateTimeField(allow_null=True)
    event_id = serializers.CharField(allow_null=True)
    run = serializers.CharField(source="run_id", allow_null=True, help_text="the repricing or flat fee it is of")
    team = serializers.CharField(source="team_id")
    provider = serializers.CharField()
    model = serializers.CharField()
    status = serializers.CharField(help_text="the status it counts under")
    cost = UsdField()
    list_cost = UsdField()
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    unpriced_requests = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()


ADJUSTMENT_PAGE = inline_serializer(
    "AdjustmentPage", {"data": AdjustmentSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)
REPORTED = inline_serializer(
    "AdjustmentsReported", {"accepted": serializers.IntegerField(), "duplicates": serializers.IntegerField()}
)


class AdjustmentsView(TenantAPIView):
    scopes = {"GET": "usage:read", "POST": "prices:write"}

    @extend_schema(
        operation_id="adjustments_list",
        summary="What was booked after the events, latest booked first",
        parameters=[
            OpenApiParameter("kind", str, enum=list(ADJUSTMENT_KINDS)),
            OpenApiParameter("limit", int, description="1 to 100"),
            OpenApiParameter("cursor", str, description="`next` of the page before"),
        ],
        responses={200: ADJUSTMENT_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, frozenset({"kind", "limit", "cursor"}))
        limit = page_limit(given)
        rows = Adjustment.objects.filter(_after(given.get("cursor")), organization_id=self.caller.organization_id)
        if "kind" in given:
            if given["kind"] not in ADJUSTMENT_KINDS:
                raise invalid(Fault("/kind", "invalid", f"must be one of {', '.join(ADJUSTMENT_KINDS)}"))
            rows = rows.filter(kind=given["kind"])
        found = list(rows.order_by("-booked_at", "-id")[: limit + 1])
        data = [dict(AdjustmentSerializer(row).data) for row in found]
        return page_of(data, limit=limit, cursor=_position(found[limit - 1]) if len(found) > limit else None)

    @extend_schema(
        operation_id="adjustments_report",
        summary="Report refunds, and corrections of cost, status and counts",
        description=(
            "All of them or none, in their order. The same id with the same content is a duplicate, with other content"
            " 409. A `status` moves everything the event counts to its new status. A `usage` is charged at the price in"
            " force at the event's time and booked as the difference; refunds and corrections of the cost stay. Where"
            " no price is known for it, the counts are corrected and the cost stays as it is."
        ),
        request=ReportsSerializer,
        responses={200: REPORTED, **problems(400, 409, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = ReportsSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        items = [Item(**each) for each in serializer.validated_data["adjustments"]]
        pointers = [f"/adjustments/{number}" for number in range(len(items))]
        booked = adjustments_report(
            organization=self.organization(), items=items, pointers=pointers, actor=self.token(), now=timezone.now()
        )
        return Response({"accepted": booked.accepted, "duplicates": booked.duplicates})


def _after(cursor: str | None) -> Q:
    if cursor is None:
        return Q()
    microseconds, row_id = decode_cursor(cursor, (int, int))
    try:
        at = _EPOCH + microseconds * _MICROSECOND
    except OverflowError as error:
        raise invalid(Fault("/cursor", "invalid", "is not a cursor")) from error
    return Q(booked_at__lt=at) | Q(booked_at=at, id__lt=max(0, min(row_id, 2**63 - 1)))


def _position(row: Adjustment) -> str:
    return encode_cursor((row.booked_at - _EPOCH) // _MICROSECOND, row.id)
