"""The shapes of authorizations over the API."""

import re
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from budgets.fields import OneOf, UsdField
from budgets.reservations.call import Call
from budgets.reservations.estimate import DEFAULT_MAX_OUTPUT, MAX_TOKENS
from common.strict import StrictCharField, StrictSerializer
from pricing.usage_buckets import UsageError, from_inclusive

MOST_TAGS = 20
_TAG_NAME = re.compile(r"[a-z0-9_]{1,40}")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESTIMATED = (
    "cache_read_input_tokens", "cache_write_input_tokens", "cache_write_1h_input_tokens", "input_audio_tokens",
    "images", "tool_calls",
)  # fmt: skip


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": MAX_TOKENS})
class CountField(serializers.Field[int, Any, int, Any]):
    """A whole number that came as one."""

    default_error_messages = {"invalid": f"must be a whole number from 0 to {MAX_TOKENS}"}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int) or not 0 <= data <= MAX_TOKENS:
            self.fail("invalid")
        return data

    def to_representation(self, value: int) -> int:
        return value


def _visible(text: str) -> None:
    if not _VISIBLE.fullmatch(text):
        raise serializers.ValidationError("must be visible ASCII characters without spaces", code="characters")


def _printable(text: str) -> None:
    if _CONTROL.search(text):
        raise serializers.ValidationError("must not hold control characters", code="characters")


def label(**options: Any) -> StrictCharField:
    return StrictCharField(max_length=200, validators=[_printable], **options)


def _tags(tags: Mapping[str, str]) -> None:
    if len(tags) > MOST_TAGS:
        raise serializers.ValidationError(f"holds more than {MOST_TAGS} tags", code="too_many")
    if not all(_TAG_NAME.fullmatch(name) for name in tags):
        raise serializers.ValidationError("names are 1 to 40 of a-z, 0-9 and _", code="name")


class EstimateSerializer(StrictSerializer[Any]):
    """`input_tokens` includes its cached and audio parts, as in usage. Name those that are written to a cache: they
    cost more than plain input."""

    input_tokens = CountField()
    max_output_tokens = CountField(
        required=False,
        help_text=f"{DEFAULT_MAX_OUTPUT} when left out; the answer's cap must be forwarded to the provider",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {**super().get_fields(), **{name: CountField(required=False) for name in _ESTIMATED}}


class AuthorizationCreateSerializer(StrictSerializer[Any]):
    """Labels are those that the usage event will carry: budgets are found by them."""

    id = StrictCharField(max_length=200, validators=[_visible], help_text="yours; one for each attempt at a provider")
    provider = label()
    model = label()
    service_tier = OneOf(["standard", "batch", "flex", "priority"], required=False)
    estimate = EstimateSerializer()
    customer, feature, agent, user = (label(required=False, allow_blank=True) for _ in range(4))
    tags = serializers.DictField(child=label(allow_blank=True), required=False, validators=[_tags])
    virtual_key = StrictCharField(max_length=19, required=False, help_text="for access tokens: whose call it is")


def call_of(given: Mapping[str, Any], *, virtual_key_id: int, team_id: int) -> Call:
    """ValidationError where the parts of the input are more than its whole."""
    estimate = dict(given["estimate"])
    output = estimate.pop("max_output_tokens", DEFAULT_MAX_OUTPUT)
    try:
        asked = from_inclusive(**estimate, output_tokens=output)
    except UsageError as error:
        raise serializers.ValidationError({"estimate": {error.field: [error.detail]}}) from error
    names = ("id", "provider", "model", "service_tier", "customer", "feature", "agent", "user", "tags")
    told = {name: given[name] for name in names if name in given}
    return Call(virtual_key_id=virtual_key_id, team_id=team_id, asked=asked, **told)


AUTHORIZATION = inline_serializer(
    "Authorization",
    {
        "authorization": serializers.CharField(help_text="for the usage event, and for the paths below this one"),
        "state": serializers.CharField(help_text="held; released, committed, lapsed or abandoned; uncounted"),
        "decision": serializers.ChoiceField(["allow", "allow_degraded"]),
        "held": UsdField(allow_null=True, help_text="null while the model has no known price and nothing is held"),
        "max_output_tokens": serializers.IntegerField(help_text="what the hold covers; forward it to the provider"),
        "expires_at": serializers.DateTimeField(
            allow_null=True, help_text="when the lease ends; null: nothing is held"
        ),
        "counted": serializers.BooleanField(help_text="false while the counters cannot be asked"),
        "applies": inline_serializer(
            "AuthorizationBudget",
            {
                "budget": serializers.CharField(),
                "name": serializers.CharField(),
                "unit": serializers.CharField(help_text="cost, tokens or requests"),
                "remaining": serializers.CharField(help_text="after this call, in the budget's unit"),
                "would_have_refused": serializers.BooleanField(help_text="a budget in shadow has no room for it"),
            },
            many=True,
        ),
        "suggest": inline_serializer("AuthorizationSuggestion", {"model": serializers.CharField()}, allow_null=True),
    },
)
