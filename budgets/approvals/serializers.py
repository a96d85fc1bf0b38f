"""The shapes of requests for more, their decisions, transfers and pauses on the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from budgets.approvals.services import NOTE_LENGTH
from budgets.models import MAX_LIMIT, IncreaseRequest, RequestState, Unit
from budgets.serializers import OneOf, UsdField
from budgets.transfers import REASON_LENGTH
from common.money import parse_usd, to_usd, usd_to_nano
from common.strict import StrictCharField, StrictSerializer
from tenants.serializers import StrictDateTimeField, StrictIntegerField

AMOUNT = {
    "type": "string",
    "example": "50.00",
    "description": "In the budget's unit: USD with up to nine decimals, or whole tokens or requests.",
}


def written(amount: int, unit: str) -> str:
    """An amount as the API writes it: a decimal string of USD, or digits."""
    return (to_usd(amount) or "") if unit == Unit.COST else str(amount)


@extend_schema_field(AMOUNT)
class AmountField(serializers.Field[int, Any, str, Any]):
    """An amount in the unit that the serializer's context names."""

    default_error_messages = {
        "invalid": 'must be a decimal string in USD such as "50.00"',
        "invalid_count": 'must be a whole number in a string, such as "100000"',
        "too_fine": "is finer than a nano-dollar (9 decimals)",
        "out_of_range": "must be more than 0 and no more than a limit may be",
    }

    def to_internal_value(self, data: Any) -> int:
        amount = self._dollars(data) if self.context["unit"] == Unit.COST else self._count(data)
        if not 0 < amount <= MAX_LIMIT:
            self.fail("out_of_range")
        return amount

    def _dollars(self, data: Any) -> int:
        amount = parse_usd(data) if isinstance(data, str) else None
        if amount is None:
            self.fail("invalid")
        nano = usd_to_nano(amount)
        if nano is None:
            self.fail("too_fine")
        return nano

    def _count(self, data: Any) -> int:
        if not isinstance(data, str) or not data.isascii() or not data.isdigit() or len(data) > 19:
            self.fail("invalid_count")
        return int(data)

    def to_representation(self, value: int) -> str:
        return written(value, self.context["unit"])


class IncreaseWriteSerializer(StrictSerializer[Any]):
    amount = AmountField()
    until = StrictDateTimeField(required=False, allow_null=True, default=None, help_text="null or left out: for good")
    reason = StrictCharField(max_length=NOTE_LENGTH)


class DecisionWriteSerializer(StrictSerializer[Any]):
    decision = OneOf(["approve", "deny"])
    note = StrictCharField(max_length=NOTE_LENGTH, required=False, allow_blank=True, default="")


class TransferWriteSerializer(StrictSerializer[Any]):
    to = StrictCharField(max_length=19, help_text="the id of the budget that gets it")
    amount = AmountField()
    reason = StrictCharField(max_length=REASON_LENGTH)


class PauseWriteSerializer(StrictSerializer[Any]):
    until = StrictDateTimeField()


class PolicyWriteSerializer(StrictSerializer[Any]):
    """What managers may add to one budget of their teams within 30 days; neither: nothing."""

    manager_amount = UsdField(required=False, allow_null=True, default=None)
    manager_percent = StrictIntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=100)


class PolicySerializer(serializers.Serializer[Any]):
    manager_amount = UsdField(allow_null=True, help_text="for budgets in cost")
    manager_percent = serializers.IntegerField(allow_null=True, help_text="of the limit, for budgets of every unit")


class BudgetNameSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()


class IncreaseSerializer(serializers.Serializer[IncreaseRequest]):
    """Its context names `now`."""

    id = serializers.CharField()
    budget = BudgetNameSerializer()
    unit = serializers.ChoiceField(Unit.choices, source="budget.unit")
    amount = serializers.SerializerMethodField()
    until = serializers.DateTimeField(allow_null=True, help_text="null: for good")
    reason = serializers.CharField()
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="until then it waits for a decision")
    state = serializers.SerializerMethodField()
    decided_by = serializers.CharField(allow_blank=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(allow_blank=True)
    version = serializers.IntegerField(help_text="the ETag, for If-Match")

    @extend_schema_field(AMOUNT)
    def get_amount(self, request: IncreaseRequest) -> str:
        return written(request.amount, request.budget.unit)

    @extend_schema_field({"type": "string", "enum": RequestState.values})
    def get_state(self, request: IncreaseRequest) -> str:
        return str(request.state_at(self.context["now"]))


INCREASE_PAGE = inline_serializer(
    "IncreasePage", {"data": IncreaseSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


class TransferSideSerializer(serializers.Serializer[Any]):
    budget = BudgetNameSerializer()
    limit = serializers.CharField(help_text="in force from now on, in the unit of both")


TRANSFER = inline_serializer(
    "Transfer",
    {
        "unit": serializers.ChoiceField(Unit.choices),
        "amount": serializers.CharField(),
        "from": TransferSideSerializer(),
        "to": TransferSideSerializer(),
        "until": serializers.DateTimeField(help_text="the end of the current period of both"),
    },
)
PAUSE = inline_serializer(
    "Pause", {"budget": BudgetNameSerializer(), "paused_until": serializers.DateTimeField(allow_null=True)}
)
