"""The shapes of the alerts API."""

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from alerts.addresses import RECIPIENTS_LIMIT
from alerts.models import (
    SETTABLE_KINDS,
    Action,
    AlertEventKind,
    AlertState,
    AttemptOutcome,
    ChannelKind,
    DeliveryStatus,
    Severity,
)
from alerts.selectors import AlertHistory, DeliveryHistory
from alerts.services import HOURLY_LIMITS, LONGEST_OVERLAP
from common.outbound import MAX_URL_LENGTH
from common.strict import StrictBooleanField, StrictCharField, StrictSerializer


class ChannelNameSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(ChannelKind.choices)


class AttemptSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(AttemptOutcome.choices)
    detail = serializers.CharField()


class DeliverySerializer(serializers.Serializer[DeliveryHistory]):
    id = serializers.CharField(source="delivery.id")
    channel = ChannelNameSerializer(source="delivery.channel", allow_null=True)
    recipient = serializers.CharField(
        source="delivery.recipient", allow_blank=True, help_text="Who is told in person, where it is no channel."
    )
    action = serializers.ChoiceField(Action.choices, source="delivery.action")
    status = serializers.ChoiceField(DeliveryStatus.choices, source="delivery.status")
    digest_alert_id = serializers.CharField(
        allow_null=True, help_text="Of a delivery that was gathered: the alert whose deliveries tell of the digest."
    )
    attempt_count = serializers.IntegerField(source="delivery.attempts")
    next_attempt_at = serializers.DateTimeField(source="delivery.next_attempt_at")
    sent_at = serializers.DateTimeField(source="delivery.sent_at", allow_null=True)


class AlertSerializer(serializers.Serializer[AlertHistory]):
    id = serializers.CharField(source="alert.id")
    kind = serializers.CharField(source="alert.kind")
    severity = serializers.ChoiceField(Severity.choices, source="alert.severity")
    title = serializers.CharField(source="alert.title")
    facts = serializers.DictField(
        source="alert.facts", help_text="Names as text, amounts as decimal strings, moments as RFC 3339."
    )
    created_at = serializers.DateTimeField(source="alert.created_at")
    state = serializers.ChoiceField(AlertState.choices, source="alert.state")
    rule = serializers.CharField(source="alert.rule_id", allow_null=True, help_text="The id of the rule it is of.")
    subject = serializers.CharField(source="alert.subject", help_text='What the rule found it at, e.g. "team:17".')
    recovered_at = serializers.DateTimeField(source="alert.recovered_at", allow_null=True)
    snoozed_until = serializers.DateTimeField(source="alert.snoozed_until", allow_null=True)
    acknowledged_at = serializers.DateTimeField(source="alert.acknowledged_at", allow_null=True)
    acknowledged_by = serializers.CharField(source="alert.acknowledged_by", allow_blank=True)
    deliveries = DeliverySerializer(many=True)


class DeliveryHistorySerializer(DeliverySerializer):
    attempts = AttemptSerializer(many=True)


class AlertEventSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(AlertEventKind.choices)
    by = serializers.CharField(allow_blank=True, help_text="Empty: CostHub itself.")
    note = serializers.CharField(allow_blank=True)


class AlertHistorySerializer(AlertSerializer):
    deliveries = DeliveryHistorySerializer(many=True)
    events = AlertEventSerializer(many=True)


ALERT_PAGE = inline_serializer(
    "AlertPage", {"data": AlertSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


class ChannelSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.ChoiceField(SETTABLE_KINDS)
    name = serializers.CharField()
    recipients = serializers.ListField(child=serializers.CharField())
    url_host = serializers.CharField(allow_blank=True, help_text="All that is ever shown of a webhook's URL.")
    hourly_limit = serializers.IntegerField(help_text="Messages in any hour; what is above is told in one digest.")
    old_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="Of a webhook: until when the secret before the last change signs along."
    )
    enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField(allow_blank=True)
    last_error = serializers.CharField(allow_blank=True)
    last_error_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class ChannelMadeSerializer(ChannelSerializer):
    signing_secret = serializers.CharField(
        required=False, help_text="Of a webhook whose secret was made now: the one time that it is shown."
    )


CHANNEL_PAGE = inline_serializer(
    "ChannelPage", {"data": ChannelSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


class WholeNumberField(serializers.IntegerField):
    """A number that came as one: no text, no 1.0, no true."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class _AddressSerializer(StrictSerializer[Any]):
    recipients = serializers.ListField(
        child=StrictCharField(max_length=254), required=False, min_length=1, max_length=RECIPIENTS_LIMIT
    )
    url = StrictCharField(max_length=10 * MAX_URL_LENGTH, required=False, write_only=True)
    secret = StrictCharField(
        max_length=200,
        required=False,
        write_only=True,
        help_text="PagerDuty's routing key, or a webhook's signing secret. Another host needs it again.",
    )
    hourly_limit = WholeNumberField(min_value=HOURLY_LIMITS[0], max_value=HOURLY_LIMITS[-1], required=False)


class ChannelChangeSerializer(_AddressSerializer):
    """A part of a channel to change; what is left out stays."""

    name = StrictCharField(max_length=100, required=False)
    enabled = StrictBooleanField(required=False)


class ChannelCreateSerializer(_AddressSerializer):
    """Email takes `recipients`; Slack, Teams and webhooks a `url`; PagerDuty its routing key as `secret`."""

    kind = serializers.ChoiceField(SETTABLE_KINDS)
    name = StrictCharField(max_length=100)


class SecretRotateSerializer(StrictSerializer[Any]):
    overlap_hours = WholeNumberField(
        min_value=0,
        max_value=LONGEST_OVERLAP // timedelta(hours=1),
        default=24,
        help_text="For so long the secret before signs along.",
    )
