"""The shapes of the prices API. Amounts are USD per 1,000,000 units, as decimal strings."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from common.money import parse_usd, to_usd, usd_to_nano
from common.strict import StrictBooleanField, StrictCharField, StrictSerializer
from pricing.models import CommitmentKind, FeePeriod, PriceRule
from pricing.rules import RuleKind
from pricing.terms import TIERS, UNITS

_AMOUNT = {"type": "string", "format": "decimal", "nullable": True, "example": "2.50"}
_UNITS = {"type": "object", "additionalProperties": _AMOUNT, "example": {"input": "2.50", "output": "10"}}
_TIERS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["above_input_tokens", "units"],
        "properties": {"above_input_tokens": {"type": "integer", "minimum": 1}, "units": _UNITS},
    },
}
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
RULE_STATES = ("ahead", "in_force", "ended")


class AnyRuleKind(serializers.ChoiceField):
    def __init__(self, **options: Any) -> None:
        super().__init__([(kind.value, kind.value) for kind in RuleKind], **options)


@extend_schema_field(_UNITS)
class UnitsField(serializers.Field[dict[str, Any], Any, Any, Any]):
    """unit → amount; what the amounts may be is decided by `pricing.drafts`."""

    default_error_messages = {"invalid": f"must be an object of amounts by unit: {', '.join(UNITS)}"}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(_TIERS)
class TiersField(serializers.Field[list[Any], Any, Any, Any]):
    default_error_messages = {"invalid": "must be a list of objects with above_input_tokens and units"}

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list) or not all(_is_tier(each) for each in data):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def _is_tier(data: Any) -> bool:
    if not isinstance(data, dict) or data.keys() != {"above_input_tokens", "units"}:
        return False
    above = data["above_input_tokens"]
    return isinstance(above, int) and not isinstance(above, bool) and isinstance(data["units"], dict)


@extend_schema_field({"type": "string", "format": "decimal", "example": "-15"})
class PercentField(serializers.Field[Decimal, Any, str, Any]):
    default_error_messages = {"invalid": 'must be a decimal string such as "-15" or "7.5"'}

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str) or len(data) > 20 or not data.isascii() or set(data) - set("-0123456789."):
            self.fail("invalid")
        try:
            return Decimal(data)
        except InvalidOperation:
            self.fail("invalid")

    def to_representation(self, value: Decimal) -> str:
        return format(value.normalize(), "f")


@extend_schema_field({"type": "string", "format": "decimal", "example": "12000.00"})
class FeeField(serializers.Field[int, Any, str | None, Any]):
    """nano-USD inside, a decimal string of USD outside."""

    default_error_messages = {
        "invalid": 'must be a decimal string in USD such as "12000.00"',
        "too_fine": "is finer than a nano-dollar (9 decimals)",
    }

    def to_internal_value(self, data: Any) -> int:
        amount = parse_usd(data) if isinstance(data, str) else None
        if amount is None:
            self.fail("invalid")
        nano = usd_to_nano(amount)
        if nano is None:
            self.fail("too_fine")
        return nano

    def to_representation(self, value: int) -> str | None:
        return to_usd(value)


class StrictMomentField(serializers.DateTimeField):
    """RFC 3339 with an offset: a time without one means another moment in every zone."""

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or not _MOMENT.fullmatch(value):
            raise serializers.ValidationError("must be a time with its offset, such as 2026-12-01T00:00:00Z")
        return super().to_internal_value(value)


class StrictDayField(serializers.DateField):
    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or len(value) != 10 or not value.isascii():
            raise serializers.ValidationError("must be a day such as 2026-12-01")
        return super().to_internal_value(value)


class RuleWriteSerializer(StrictSerializer[Any]):
    name = StrictCharField(max_length=100)
    note = StrictCharField(max_length=500, required=False, allow_blank=True)
    provider = StrictCharField(max_length=100, help_text="any spelling of its name, or * for every provider")
    model = StrictCharField(max_length=200, help_text="a model's name, or a pattern in which * is any characters")
    service_tier = serializers.ChoiceField(TIERS, required=False, help_text="without it: all of them")
    kind = AnyRuleKind()
    percent = PercentField(
        required=False, help_text="for `percent`: -15 takes 15 % off the list price, 20 adds 20 %; at most 4 decimals"
    )
    units = UnitsField(required=False, help_text="for `fixed` and `custom`: USD per 1,000,000 of each unit")
    tiers = TiersField(
        required=False, help_text="other prices of the whole request above a number of input tokens, rising"
    )
    effective_from = StrictMomentField(required=False, help_text="included; without it: now")
    effective_to = StrictMomentField(required=False, allow_null=True, help_text="not included; null: open")
    confirm = StrictBooleanField(
        required=False, help_text="true: the prices are meant, although they are 100 times off the known ones"
    )


class RuleEndSerializer(StrictSerializer[Any]):
    at = StrictMomentField(required=False, help_text="the first moment without the rule; without it: now")


class RuleSerializer(serializers.Serializer[PriceRule]):
    id = serializers.CharField()
    name = serializers.CharField()
    note = serializers.CharField()
    provider = serializers.CharField(help_text="canonical, or *")
    model = serializers.CharField()
    service_tier = serializers.CharField(source="tier", help_text="empty: all of them")
    kind = AnyRuleKind()
    percent = PercentField(allow_null=True)
    units = UnitsField()
    tiers = TiersField()
    effective_from = serializers.DateTimeField()
    effective_to = serializers.DateTimeField(allow_null=True, help_text="the same as effective_from: withdrawn")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    state = serializers.SerializerMethodField()

    @extend_schema_field({"type": "string", "enum": list(RULE_STATES)})
    def get_state(self, rule: PriceRule) -> str:
        return rule.state(self.context["now"])


RULE_PAGE = inline_serializer(
    "PriceRulePage", {"data": RuleSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


class ContractSerializer(serializers.Serializer[Any]):
    """What the organization pays instead of the list price."""

    rule_id = serializers.CharField()
    kind = AnyRuleKind()
    units = UnitsField()
    tiers = TiersField()


class PriceSourceSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(source="source")
    version = serializers.CharField(source="source_version")
    url = serializers.CharField(source="source_url")
    loaded_at = serializers.DateTimeField()


class PriceSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="the `price_id` of the events it priced")
    provider = serializers.CharField(source="model.provider_id")
    model = serializers.CharField(source="model.name")
    service_tier = serializers.CharField(source="tier")
    effective_from = serializers.DateTimeField()
    effective_to = serializers.DateTimeField(allow_null=True, help_text="not included; null: open")
    units = UnitsField(help_text="null: billed apart, at a price nobody told us")
    tiers = TiersField()
    windows = serializers.JSONField(help_text="other units and tiers at hours of the day, UTC")
    extras = UnitsField(help_text="listed, but not counted by usage events")
    source = PriceSourceSerializer(source="*")  # type: ignore[assignment]
    contract = ContractSerializer(allow_null=True)


PRICE_PAGE = inline_serializer(
    "PricePage", {"data": PriceSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


class CommitmentWriteSerializer(StrictSerializer[Any]):
    name = StrictCharField(max_length=100)
    kind = serializers.ChoiceField(CommitmentKind.values)
    provider = StrictCharField(max_length=100)
    model = StrictCharField(max_length=200, required=False, allow_blank=True)
    team = StrictCharField(max_length=19, help_text="id of the team that bears it")
    amount = FeeField(help_text="USD per period")
    period = serializers.ChoiceField(FeePeriod.values, help_text="month: a calendar month of the organization's zone")
    first_day = StrictDayField()
    last_day = StrictDayField(required=False, allow_null=True, help_text="included; null: open, for a monthly fee")


class CommitmentStopSerializer(StrictSerializer[Any]):
    at = StrictMomentField(required=False, help_text="hours that begin then or later cost nothing; without it: now")


class CommitmentSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(CommitmentKind.values)
    provider = serializers.CharField()
    model = serializers.CharField(help_text="empty: all of the provider's")
    team = serializers.CharField(source="team_id")
    amount = FeeField()
    period = serializers.ChoiceField(FeePeriod.values)
    first_day = serializers.DateField()
    last_day = serializers.DateField(allow_null=True)
    timezone = serializers.CharField()
    booked_until = serializers.DateTimeField(help_text="every hour of the term that ends by then is booked")
    stopped_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()


COMMITMENT_PAGE = inline_serializer(
    "CommitmentPage", {"data": CommitmentSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)
