"""The shapes of the alerts API."""

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from alerts.models import AlertEventKind, AlertState, AttemptOutcome, ChannelKind, DeliveryStatus, Severity
from alerts.selectors import AlertHistory, DeliveryHistory
from alerts.services import RECIPIENTS_LIMIT
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
    status = serializers.ChoiceField(DeliveryStatus.choices, source="delivery.status")
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
    kind = serializers.ChoiceField(ChannelKind.choices)
    name = serializers.CharField()
    recipients = serializers.ListField(child=serializers.CharField())
    url_host = serializers.CharField(allow_blank=True, help_text="All that is ever shown of a webhook's URL.")
    enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField(allow_blank=True)
    last_error = serializers.CharField(allow_blank=True)
    last_error_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


CHANNEL_PAGE = inline_serializer(
    "ChannelPage", {"data": ChannelSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


class ChannelChangeSerializer(StrictSerializer[Any]):
    """A part of a channel to change; what is left out stays."""

    name = StrictCharField(max_length=100, required=False)
    recipients = serializers.ListField(
        child=StrictCharField(max_length=254), required=False, min_length=1, max_length=RECIPIENTS_LIMIT
    )
    url = StrictCharField(max_length=10 * MAX_URL_LENGTH, required=False, write_only=True)
    enabled = StrictBooleanField(required=False)


class ChannelCreateSerializer(StrictSerializer[Any]):
    """Email takes `recipients`, Slack the `url` of an incoming webhook."""

    kind = serializers.ChoiceField(ChannelKind.choices)
    name = StrictCharField(max_length=100)
    recipients = serializers.ListField(
        child=StrictCharField(max_length=254), required=False, min_length=1, max_length=RECIPIENTS_LIMIT
    )
    url = StrictCharField(max_length=10 * MAX_URL_LENGTH, required=False, write_only=True)
