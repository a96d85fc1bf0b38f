"""The shapes of the corrections API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from common.money import to_usd
from common.strict import StrictBooleanField, StrictCharField, StrictSerializer
from corrections.models import RepriceRun, RunState
from pricing.serializers import StrictMomentField

_USD = {"type": "string", "format": "decimal", "example": "-12.340000000"}


@extend_schema_field(_USD)
class UsdField(serializers.Field[Any, Any, str | None, Any]):
    """A difference: nano-USD inside, a decimal string of USD outside. Read only."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Any) -> str | None:
        return to_usd(value)


class RepriceWriteSerializer(StrictSerializer[Any]):
    start = StrictMomentField(help_text="included")
    end = StrictMomentField(help_text="excluded")
    reason = StrictCharField(max_length=200)
    provider = StrictCharField(max_length=200, required=False, help_text="as reported or as listed; without it: any")
    model = StrictCharField(max_length=200, required=False, help_text="as reported or as listed; without it: any")
    unpriced_only = StrictBooleanField(required=False)


class RunStateField(serializers.ChoiceField):
    def __init__(self, **options: Any) -> None:
        super().__init__(RunState.choices, **options)


class FlipSerializer(serializers.Serializer[Any]):
    budget = serializers.CharField()
    period_start = serializers.DateTimeField()
    spent = serializers.CharField(help_text="USD, when the preview ended")
    would_be = serializers.CharField(help_text="USD")
    threshold = serializers.IntegerField(help_text="percent reached, 0: none")
    would_reach = serializers.IntegerField()


class RepricingSerializer(serializers.Serializer[RepriceRun]):
    id = serializers.CharField()
    reason = serializers.CharField()
    start = serializers.DateTimeField(source="starts_at")
    end = serializers.DateTimeField(source="ends_at")
    provider = serializers.CharField()
    model = serializers.CharField()
    unpriced_only = serializers.BooleanField()
    state = RunStateField()
    error = serializers.CharField()
    events = serializers.IntegerField(help_text="in scope")
    events_changed = serializers.IntegerField()
    events_newly_priced = serializers.IntegerField()
    events_kept = serializers.IntegerField(help_text="whose price is no longer known; they keep it")
    cost = UsdField(help_text="what the preview found")
    list_cost = UsdField()
    budgets = FlipSerializer(source="flips", many=True, help_text="whose thresholds would be crossed, either way")
    events_booked = serializers.IntegerField()
    cost_booked = UsdField()
    list_cost_booked = UsdField()
    started_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    previewed_at = serializers.DateTimeField(allow_null=True)
    applied_at = serializers.DateTimeField(allow_null=True)
    undone_at = serializers.DateTimeField(allow_null=True)


REPRICING_PAGE = inline_serializer(
    "RepricingPage", {"data": RepricingSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)
