"""The shapes of the budgets API."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from budgets.models import MAX_LIMIT, Scope
from budgets.selectors import BudgetState, Status
from budgets.services import MAX_THRESHOLD, MAX_THRESHOLDS
from common.money import parse_usd, to_usd, usd_to_nano
from common.periods import WEEKDAYS, PeriodKind
from common.strict import StrictCharField, StrictSerializer

DEFAULT_THRESHOLDS = (50, 80, 100)
FIXED = ("scope", "unit", "period", "enforcement")


@extend_schema_field({"type": "string", "format": "decimal", "example": "500.00"})
class UsdField(serializers.Field[int, Any, str | None, Any]):
    """nano-USD inside, a decimal string of USD outside."""

    default_error_messages = {
        "invalid": 'must be a decimal string in USD such as "500.00"',
        "too_fine": "is finer than a nano-dollar (9 decimals)",
        "out_of_range": "must be more than 0 and at most 1000000000 USD",
    }

    def to_internal_value(self, data: Any) -> int:
        amount = parse_usd(data) if isinstance(data, str) else None
        if amount is None:
            self.fail("invalid")
        nano = usd_to_nano(amount)
        if nano is None:
            self.fail("too_fine")
        if not 0 < nano <= MAX_LIMIT:
            self.fail("out_of_range")
        return nano

    def to_representation(self, value: int | Decimal | None) -> str | None:
        return to_usd(value)


class OneOf(serializers.ChoiceField):
    """A choice that says what may be chosen when it is refused."""

    def __init__(self, choices: Sequence[str], **options: Any) -> None:
        message = f"must be one of {', '.join(choices)}" if len(choices) > 1 else f"must be {choices[0]}"
        super().__init__(choices, error_messages={"invalid_choice": message}, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=data)
        return str(super().to_internal_value(data))


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_THRESHOLD})
class ThresholdField(serializers.Field[int, Any, int, Any]):
    default_error_messages = {"invalid": f"must be a whole percentage from 1 to {MAX_THRESHOLD}"}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= MAX_THRESHOLD:
            self.fail("invalid")
        return data

    def to_representation(self, value: int) -> int:
        return value


def _different(values: list[int]) -> None:
    if len(set(values)) < len(values):
        raise serializers.ValidationError("names a percentage twice", code="repeated")


def _not_blank(text: str) -> None:
    if not text.strip():
        raise serializers.ValidationError("must not be blank", code="blank")


def _thresholds(**options: Any) -> serializers.ListField:
    return serializers.ListField(child=ThresholdField(), max_length=MAX_THRESHOLDS, validators=[_different], **options)


class ScopeWriteSerializer(StrictSerializer[Any]):
    """A team and a virtual key are named by `id`; the organization is the caller's own."""

    type = OneOf(Scope.values)
    id = StrictCharField(max_length=19, required=False)


class PeriodWriteSerializer(StrictSerializer[Any]):
    type = OneOf([kind.value for kind in PeriodKind])
    timezone = StrictCharField(max_length=64, required=False, help_text="IANA zone; the organization's by default")
    week_start = OneOf(WEEKDAYS, required=False)


class BudgetCreateSerializer(StrictSerializer[Any]):
    name = StrictCharField(max_length=100, validators=[_not_blank])
    scope = ScopeWriteSerializer()
    unit = OneOf(["cost"], required=False)
    limit = UsdField()
    period = PeriodWriteSerializer()
    enforcement = OneOf(["soft"], required=False)
    thresholds = _thresholds(required=False)


class BudgetChangeSerializer(StrictSerializer[Any]):
    """What of a budget may change; what is left out stays."""

    name = StrictCharField(max_length=100, required=False, validators=[_not_blank])
    limit = UsdField(required=False)
    thresholds = _thresholds(required=False)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            fixed = {name: ["is fixed; archive this budget and make another"] for name in FIXED if name in data}
            if fixed:
                raise serializers.ValidationError(fixed, code="fixed")
            if not data:
                raise serializers.ValidationError(
                    {"non_field_errors": ["must name a field to change"]}, code="required"
                )
        return super().to_internal_value(data)


class ScopeSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(Scope.choices, source="budget.scope_type")
    id = serializers.CharField(source="budget.scope.id")
    name = serializers.CharField(source="scope")


class PeriodSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField([kind.value for kind in PeriodKind], source="period")
    timezone = serializers.CharField()
    week_start = serializers.ChoiceField(WEEKDAYS)


class CurrentSerializer(serializers.Serializer[BudgetState]):
    """The period that holds this moment."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField(help_text="when it begins anew")
    spent = UsdField()
    remaining = UsdField(help_text="negative once the limit was passed")
    percent = serializers.CharField(help_text="spent in percent of the limit, cut to one decimal")
    forecast = UsdField(
        source="projected", allow_null=True, help_text="at the pace so far; null in the first hundredth of the period"
    )
    status = serializers.ChoiceField(list(Status))
    requests = serializers.IntegerField()
    unpriced_requests = serializers.IntegerField(help_text="not in `spent`, because their cost is not known")
    fired_threshold = serializers.IntegerField(source="fired", help_text="the highest that has fired; 0: none")


class BudgetSerializer(serializers.Serializer[BudgetState]):
    id = serializers.CharField(source="budget.id")
    name = serializers.CharField(source="budget.name")
    scope = ScopeSerializer(source="*")
    unit = serializers.ChoiceField(["cost"], default="cost", read_only=True)
    limit = UsdField()
    period = PeriodSerializer(source="budget")
    enforcement = serializers.ChoiceField(["soft"], default="soft", read_only=True)
    thresholds = serializers.ListField(child=serializers.IntegerField(), source="budget.thresholds")
    version = serializers.IntegerField(source="budget.version", help_text="the ETag, for If-Match")
    created_at = serializers.DateTimeField(source="budget.created_at")
    counts_from = serializers.DateTimeField(source="budget.counts_from")
    current = CurrentSerializer(source="*")


BUDGET_PAGE = inline_serializer(
    "BudgetPage", {"data": BudgetSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


class MeSpendSerializer(serializers.Serializer[Any]):
    requests = serializers.IntegerField()
    input_tokens = serializers.IntegerField(help_text="cached ones included")
    output_tokens = serializers.IntegerField(help_text="reasoning included")
    cost = UsdField()
    unpriced_requests = serializers.IntegerField()


class MePeriodSerializer(MeSpendSerializer):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


ME = inline_serializer(
    "Me",
    {
        "organization": inline_serializer(
            "MeOrganization",
            {name: serializers.CharField() for name in ("id", "slug", "name", "timezone")},
        ),
        "team": inline_serializer("MeTeam", {name: serializers.CharField() for name in ("id", "slug", "name")}),
        "virtual_key": inline_serializer(
            "MeVirtualKey",
            {
                "id": serializers.CharField(),
                "name": serializers.CharField(),
                "mode": serializers.CharField(),
                "expires_at": serializers.DateTimeField(allow_null=True),
            },
        ),
        "spend": inline_serializer(
            "MeSpendBy",
            {"day": MePeriodSerializer(), "month": MePeriodSerializer(), "total": MeSpendSerializer()},
        ),
        "budgets": BudgetSerializer(many=True),
    },
)
