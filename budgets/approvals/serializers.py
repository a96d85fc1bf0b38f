"""The shapes of requests for more, their decisions, transfers and pauses on the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from budgets.amounts import to_text
from budgets.approvals.services import NOTE_LENGTH
from budgets.fields import AMOUNT, AmountField, OneOf, UsdField
from budgets.models import IncreaseRequest, RequestState, Unit
from budgets.transfers import REASON_LENGTH
from common.strict import StrictCharField, StrictSerializer
from tenants.serializers import StrictDateTimeField, StrictIntegerField


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
    unit = serializers.ChoiceField(Unit.values, source="budget.unit")
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
    def get_amount(self, request: IncreaseRequest) -> str | None:
        return to_text(request.budget.unit, request.amount)

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
        "unit": serializers.ChoiceField(Unit.values),
        "amount": serializers.CharField(),
        "from": TransferSideSerializer(),
        "to": TransferSideSerializer(),
        "until": serializers.DateTimeField(help_text="the end of the current period of both"),
    },
)
PAUSE = inline_serializer(
    "Pause", {"budget": BudgetNameSerializer(), "paused_until": serializers.DateTimeField(allow_null=True)}
)
