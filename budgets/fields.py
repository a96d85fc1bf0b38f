"""The fields of the budgets API: amounts, thresholds, and choices that say what may be chosen."""

from collections.abc import Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from budgets.amounts import AmountError, from_text, to_text
from budgets.models import MAX_LIMIT, Unit
from budgets.terms import MAX_FORECAST, MAX_THRESHOLD
from budgets.thresholds import Mark
from common.money import parse_usd, to_usd, usd_to_nano

AMOUNT = {
    "type": "string",
    "example": "500.00",
    "description": "In the budget's unit: USD with decimals, or a whole number of tokens or requests.",
}


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


@extend_schema_field(AMOUNT)
class AmountField(serializers.Field[int, Any, str | None, Any]):
    """An amount in the unit that the serializer's context names."""

    def to_internal_value(self, data: Any) -> int:
        try:
            return from_text(self.context.get("unit", Unit.COST), data)
        except AmountError as error:
            raise serializers.ValidationError(str(error), code=error.code) from error


@extend_schema_field(AMOUNT)
class InUnitField(serializers.Field[Any, Any, str | None, Any]):
    """An amount of a `BudgetState`, found by its dotted name, in the unit of the budget."""

    def __init__(self, name: str, **options: Any) -> None:
        self.path = name.split(".")
        super().__init__(source="*", read_only=True, **options)

    def to_representation(self, value: Any) -> str | None:
        return to_text(value.budget.unit, reduce(getattr, self.path, value))


@extend_schema_field(OpenApiTypes.INT64)
class WholeField(serializers.Field[int, Any, int, Any]):
    """A JSON integer, and neither "5" nor 5.0 nor true."""

    def __init__(self, least: int, most: int, **options: Any) -> None:
        self.least, self.most = least, most
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int) or not self.least <= data <= self.most:
            raise serializers.ValidationError(
                f"must be a whole number from {self.least} to {self.most}", code="out_of_range"
            )
        return data

    def to_representation(self, value: int) -> int:
        return value


THRESHOLD = {
    "oneOf": [
        {"type": "integer", "minimum": 1, "maximum": MAX_THRESHOLD, "description": "percent of the limit"},
        {"type": "object", "properties": {"amount": AMOUNT}, "required": ["amount"]},
        {
            "type": "object",
            "properties": {"forecast": {"type": "integer", "minimum": 1, "maximum": MAX_FORECAST}},
            "required": ["forecast"],
            "description": "percent of the limit that the window makes at the pace so far",
        },
    ]
}


@extend_schema_field(THRESHOLD)
class ThresholdField(AmountField):
    """A percentage, {"amount": …} or {"forecast": …}, as what it is and how much."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and list(data) == [Mark.AMOUNT]:
            return Mark.AMOUNT, super().to_internal_value(data[Mark.AMOUNT])
        if isinstance(data, dict) and list(data) == [Mark.FORECAST]:
            return Mark.FORECAST, _percentage(data[Mark.FORECAST], MAX_FORECAST)
        return Mark.PERCENT, _percentage(data, MAX_THRESHOLD)


def _percentage(data: Any, most: int) -> int:
    if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= most:
        raise serializers.ValidationError(f"must be a whole percentage from 1 to {most}", code="invalid")
    return data
