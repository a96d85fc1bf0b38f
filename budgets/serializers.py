"""The shapes of the budgets API."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from budgets.amounts import to_text
from budgets.fields import (
    AMOUNT,
    THRESHOLD,
    AmountField,
    InUnitField,
    OneOf,
    ThresholdField,
    UsdField,
    WholeField,
)
from budgets.models import (
    VALUE_SCOPES,
    WINDOW_KINDS,
    AbandonedPolicy,
    Action,
    Budget,
    Enforcement,
    Scope,
    Unit,
    UnpricedPolicy,
    WhenUnavailable,
)
from budgets.selectors import BudgetState, Status
from budgets.terms import DAYS, MAX_ACTIONS, MAX_GRACE_SECONDS, MAX_RATE, MAX_THRESHOLD, MAX_THRESHOLDS
from common.periods import WEEKDAYS
from common.strict import StrictBooleanField, StrictCharField, StrictSerializer
from tenants.serializers import StrictDateTimeField

DEFAULT_THRESHOLDS = (50, 80, 100)
FIXED = ("scope", "unit", "period")


def _different(values: list[Any]) -> None:
    if len(set(values)) < len(values):
        raise serializers.ValidationError("names a threshold twice", code="repeated")


def _not_blank(text: str) -> None:
    if not text.strip():
        raise serializers.ValidationError("must not be blank", code="blank")


class ScopeWriteSerializer(StrictSerializer[Any]):
    """A team and a virtual key are named by `id`, the organization is the caller's own. What callers name has a
    `value`, a tag its `tag_name` too, and with `team` only what it and the teams below it use of that counts."""

    type = OneOf(Scope.values)
    id = StrictCharField(max_length=19, required=False)
    value = StrictCharField(max_length=200, required=False)
    tag_name = StrictCharField(max_length=40, required=False)
    team = StrictCharField(max_length=19, required=False)

    def validate(self, attrs: Any) -> Any:
        kind = attrs["type"]
        by_value = kind in VALUE_SCOPES
        wanted = {"value"} if by_value else set() if kind == Scope.ORGANIZATION else {"id"}
        wanted |= {"tag_name"} if kind == Scope.TAG else set()
        allowed = wanted | {"type"} | ({"team"} if by_value else {"id"})
        faults = {name: [_required(f"a {kind} is named by it")] for name in wanted - set(attrs)}
        faults |= {name: [_required(f"does not go with {kind}", "not_allowed")] for name in set(attrs) - allowed}
        if faults:
            raise serializers.ValidationError(faults)
        return attrs


def _required(message: str, code: str = "required") -> serializers.ErrorDetail:
    return serializers.ErrorDetail(message, code=code)


class PeriodWriteSerializer(StrictSerializer[Any]):
    type = OneOf(WINDOW_KINDS)
    timezone = StrictCharField(max_length=64, required=False, help_text="IANA zone; the organization's by default")
    week_start = OneOf(WEEKDAYS, required=False)
    fiscal_year_start_month = WholeField(1, 12, required=False, help_text="for quarters and years")
    days = WholeField(*DAYS, required=False, help_text="of a rolling window, today included")

    def validate(self, attrs: Any) -> Any:
        if (attrs["type"] == "rolling") != ("days" in attrs):
            refused = "only a rolling window has days" if "days" in attrs else "of how many days the window is"
            raise serializers.ValidationError({"days": [_required(refused)]})
        return attrs


class ActionWriteSerializer(StrictSerializer[Any]):
    at_percent = WholeField(1, MAX_THRESHOLD)
    action = OneOf(Action.values)
    requests_per_minute = WholeField(1, MAX_RATE, required=False)
    tokens_per_minute = WholeField(1, MAX_RATE, required=False)

    def validate(self, attrs: Any) -> Any:
        rated = "requests_per_minute" in attrs or "tokens_per_minute" in attrs
        if rated != (attrs["action"] == Action.THROTTLE):
            raise serializers.ValidationError(
                {"action": [_required("throttle, and nothing else, says to how much per minute", "invalid")]}
            )
        return attrs


class RolloverSerializer(StrictSerializer[Any]):
    max = AmountField(help_text="of what a period leaves at most this much is added to the next")


class BudgetTermsSerializer(StrictSerializer[Any]):
    """What of a budget may change."""

    name = StrictCharField(max_length=100, validators=[_not_blank])
    limit = AmountField()
    enforcement = OneOf(Enforcement.values, required=False)
    shadow = StrictBooleanField(required=False, help_text="says what it would have refused, and refuses nothing")
    when_unavailable = OneOf(
        WhenUnavailable.values, required=False, help_text="closed for a hard budget by default, else open"
    )
    grace_seconds = WholeField(0, MAX_GRACE_SECONDS, required=False, help_text="how long open lets through, 300")
    unpriced = OneOf(UnpricedPolicy.values, required=False)
    abandoned = OneOf(AbandonedPolicy.values, required=False)
    rollover = RolloverSerializer(required=False, allow_null=True)
    overcommit = StrictBooleanField(required=False, help_text="false: its parts have to fit in it together")
    thresholds = serializers.ListField(
        child=ThresholdField(), max_length=MAX_THRESHOLDS, validators=[_different], required=False
    )
    actions = serializers.ListField(child=ActionWriteSerializer(), required=False, max_length=MAX_ACTIONS)
    paused_until = StrictDateTimeField(required=False, allow_null=True)


class BudgetCreateSerializer(BudgetTermsSerializer):
    """Takes the unit that amounts are written in, in its context."""

    scope = ScopeWriteSerializer()
    unit = OneOf(Unit.values, required=False)
    period = PeriodWriteSerializer()


class BudgetChangeSerializer(BudgetTermsSerializer):
    """What is left out stays. Takes the budget's unit in its context."""

    name = StrictCharField(max_length=100, required=False, validators=[_not_blank])
    limit = AmountField(required=False)
    limit_from = StrictDateTimeField(required=False, help_text="the limit changes then, not at once")

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

    def validate(self, attrs: Any) -> Any:
        if "limit_from" in attrs and "limit" not in attrs:
            raise serializers.ValidationError({"limit": [_required("says what it is from limit_from on")]})
        return attrs


class ScopeSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(Scope.choices, source="budget.scope_type")
    id = serializers.SerializerMethodField(help_text="null for what callers name")
    name = serializers.CharField(source="scope", help_text="in words")
    value = serializers.SerializerMethodField(method_name="named")
    tag_name = serializers.SerializerMethodField()
    team = serializers.SerializerMethodField(help_text="the team to look within; null: everywhere")

    def get_id(self, state: BudgetState) -> str | None:
        return None if state.budget.value else str(state.budget.scope.id)

    def named(self, state: BudgetState) -> str | None:
        return state.budget.value or None

    def get_tag_name(self, state: BudgetState) -> str | None:
        return state.budget.tag_name or None

    def get_team(self, state: BudgetState) -> str | None:
        return str(state.budget.team_id) if state.budget.value and state.budget.team_id else None


class PeriodSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(WINDOW_KINDS, source="period")
    timezone = serializers.CharField()
    week_start = serializers.ChoiceField(WEEKDAYS)
    fiscal_year_start_month = serializers.IntegerField()
    days = serializers.IntegerField(source="rolling_days", allow_null=True)


class CurrentSerializer(serializers.Serializer[BudgetState]):
    """The window that holds this moment. Amounts are in the budget's unit."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField(allow_null=True, help_text="when it begins anew, or the running day ends; or never")
    limit = InUnitField("limit", help_text="in force now, with what was added for a while")
    spent = InUnitField("spent", help_text="with what is charged for abandoned authorizations until their usage comes")
    reserved = InUnitField("reserved", allow_null=True, help_text="held for calls in flight; null: nobody knows now")
    remaining = InUnitField("remaining", help_text="negative once the limit was passed")
    percent = serializers.CharField(help_text="spent in percent of the limit, cut to one decimal")
    forecast = InUnitField(
        "projected",
        allow_null=True,
        help_text="at the pace so far; null in the first hundredth of the window, and where it has no end",
    )
    runs_out_at = serializers.DateTimeField(
        allow_null=True, help_text="when that reaches the limit; null: not in this window, or it has already"
    )
    status = serializers.ChoiceField(list(Status))
    cost = UsdField(source="used.cost")
    tokens = serializers.IntegerField(source="used.tokens")
    requests = serializers.IntegerField()
    unpriced_requests = serializers.IntegerField(help_text="not in `cost`, because theirs is not known")
    fired_threshold = serializers.IntegerField(source="fired", help_text="the highest percentage that fired; 0: none")


_LIMITS_AHEAD = {
    "type": "array",
    "items": {"type": "object", "properties": {"limit": AMOUNT, "from": {"type": "string", "format": "date-time"}}},
}


class BudgetSerializer(serializers.Serializer[BudgetState]):
    id = serializers.CharField(source="budget.id")
    name = serializers.CharField(source="budget.name")
    scope = ScopeSerializer(source="*")
    unit = serializers.ChoiceField(Unit.values, source="budget.unit")
    limit = InUnitField("base", help_text="as it is set now")
    limits_ahead = serializers.SerializerMethodField(help_text="what it will be set to, and from when on")
    period = PeriodSerializer(source="budget")
    enforcement = serializers.ChoiceField(Enforcement.values, source="budget.enforcement")
    shadow = serializers.BooleanField(source="budget.shadow")
    when_unavailable = serializers.ChoiceField(WhenUnavailable.values, source="budget.when_unavailable")
    grace_seconds = serializers.IntegerField(source="budget.grace_seconds")
    unpriced = serializers.ChoiceField(UnpricedPolicy.values, source="budget.unpriced")
    abandoned = serializers.ChoiceField(AbandonedPolicy.values, source="budget.abandoned")
    rollover = serializers.SerializerMethodField()
    overcommit = serializers.BooleanField(source="budget.overcommit")
    overcommitted_by = InUnitField(
        "overcommitted", allow_null=True, help_text="how much more its parts are allowed together; null: they fit"
    )
    thresholds = serializers.SerializerMethodField()
    actions = serializers.SerializerMethodField()
    paused_until = serializers.DateTimeField(source="budget.paused_until", allow_null=True)
    version = serializers.IntegerField(source="budget.version", help_text="the ETag, for If-Match")
    created_at = serializers.DateTimeField(source="budget.created_at")
    counts_from = serializers.DateTimeField(source="budget.counts_from")
    current = CurrentSerializer(source="*")

    @extend_schema_field(_LIMITS_AHEAD)
    def get_limits_ahead(self, state: BudgetState) -> list[dict[str, Any]]:
        field = serializers.DateTimeField()
        return [
            {"limit": to_text(state.budget.unit, each.amount), "from": field.to_representation(each.starts_at)}
            for each in state.planned
        ]

    @extend_schema_field({"type": ["object", "null"], "properties": {"max": AMOUNT}})
    def get_rollover(self, state: BudgetState) -> dict[str, str | None] | None:
        most = state.budget.rollover_max
        return None if most is None else {"max": to_text(state.budget.unit, most)}

    @extend_schema_field({"type": "array", "items": THRESHOLD})
    def get_thresholds(self, state: BudgetState) -> list[Any]:
        budget: Budget = state.budget
        return [
            *budget.thresholds,
            *({"amount": to_text(budget.unit, amount)} for amount in budget.threshold_amounts),
            *({"forecast": percent} for percent in budget.forecast_thresholds),
        ]

    @extend_schema_field(ActionWriteSerializer(many=True))
    def get_actions(self, state: BudgetState) -> list[dict[str, Any]]:
        return [{name: value for name, value in asdict(each).items() if value is not None} for each in state.actions]


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
        "may_raise": inline_serializer(
            "MePerson", {"email": serializers.CharField(), "role": serializers.CharField()}, many=True
        ),
    },
)
