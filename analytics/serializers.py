"""The shapes of the usage API's answers."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from budgets.fields import UsdField
from common.money import to_usd
from usage.models import UsageEvent
from usage.present import key_of

_PICO = Decimal(10) ** -12


class SpendSerializer(serializers.Serializer[Any]):
    """Sums. `input_tokens` includes the cached ones, `output_tokens` includes reasoning."""

    cost = UsdField(help_text="of all usage that has a price")
    list_cost = UsdField()
    requests = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    unpriced_requests = serializers.IntegerField(help_text="not in `cost`, because theirs is not known")
    input_tokens = serializers.IntegerField()
    cache_read_input_tokens = serializers.IntegerField()
    cache_write_input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    reasoning_output_tokens = serializers.IntegerField()


class SpendRowSerializer(SpendSerializer):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    group = serializers.DictField(
        child=serializers.CharField(allow_blank=True, allow_null=True),
        help_text='the value of every dimension grouped by; "" where none was reported, null beyond the limit',
    )
    overflow = serializers.BooleanField(help_text="whether it sums values beyond the limit of a dimension")


SPEND = inline_serializer(
    "SpendAnswer",
    {
        "from": serializers.DateTimeField(help_text="the range that was summed: as asked for, widened to whole hours"),
        "to": serializers.DateTimeField(),
        "timezone": serializers.CharField(),
        "data": SpendRowSerializer(many=True),
        "next": serializers.CharField(allow_null=True, help_text="always null: an answer is whole or refused"),
        "total": SpendSerializer(),
    },
)


class UsageSerializer(serializers.Serializer[UsageEvent]):
    input_tokens = serializers.IntegerField()
    cache_read_input_tokens = serializers.IntegerField(source="cache_read")
    cache_write_input_tokens = serializers.IntegerField(source="cache_write_5m")
    cache_write_1h_input_tokens = serializers.IntegerField(source="cache_write_1h")
    output_tokens = serializers.IntegerField()
    reasoning_output_tokens = serializers.IntegerField(source="reasoning_output")
    input_audio_tokens = serializers.IntegerField(source="input_audio")
    output_audio_tokens = serializers.IntegerField(source="output_audio")
    images = serializers.IntegerField()
    requests = serializers.IntegerField()
    tool_calls = serializers.IntegerField()


class EventSerializer(serializers.Serializer[UsageEvent]):
    """A settled event: what was reported, whose it is and what it cost."""

    id = serializers.CharField(source="event_id")
    time = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    team = serializers.CharField(source="team_id")
    virtual_key = serializers.CharField(source="virtual_key_id")
    provider = serializers.CharField(help_text="canonical where the model is known")
    model = serializers.CharField()
    reported_provider = serializers.CharField()
    reported_model = serializers.CharField()
    operation = serializers.CharField()
    service_tier = serializers.CharField()
    status = serializers.CharField()
    cache = serializers.CharField()
    latency_ms = serializers.IntegerField(allow_null=True)
    usage = UsageSerializer(source="*")
    usage_source = serializers.CharField()
    cost = UsdField(
        allow_null=True, help_text="the charge it came in with; null: no price was known, see `unpriced_reason`"
    )
    list_cost = UsdField(allow_null=True)
    current_cost = serializers.SerializerMethodField(
        help_text="the charge and every adjustment since; null: still no price is known"
    )
    late = serializers.BooleanField(help_text="arrived after its month was closed, and counts in a later one")
    unpriced_reason = serializers.CharField(allow_blank=True)
    reported_cost = serializers.SerializerMethodField(help_text="what the provider said it cost")
    customer = serializers.CharField(allow_blank=True)
    feature = serializers.CharField(allow_blank=True)
    agent = serializers.CharField(allow_blank=True)
    user = serializers.CharField(source="end_user", allow_blank=True)
    trace_id = serializers.CharField(allow_blank=True)
    span_id = serializers.CharField(allow_blank=True)
    parent_span_id = serializers.CharField(allow_blank=True)
    session = serializers.CharField(allow_blank=True)
    authorization = serializers.CharField(source="authorization_id", allow_blank=True)
    tags = serializers.DictField(child=serializers.CharField(), allow_null=True)

    def get_current_cost(self, event: UsageEvent) -> str | None:
        """From the costs of today (`usage.present`) that the context carries."""
        return to_usd(self.context["present"][key_of(event)].cost)

    def get_reported_cost(self, event: UsageEvent) -> str | None:
        return None if event.reported_cost is None else f"{event.reported_cost * _PICO:f}"


EVENT_PAGE = inline_serializer(
    "EventPage", {"data": EventSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


def rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
