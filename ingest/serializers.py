"""The shapes of the ingest API's answers."""

from rest_framework import serializers


class WarningSerializer(serializers.Serializer[dict[str, str]]):
    pointer = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class AcceptedSerializer(serializers.Serializer[dict[str, object]]):
    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    request_id = serializers.CharField()
    warnings = WarningSerializer(many=True, required=False)


class TakenSerializer(AcceptedSerializer):
    ignored = serializers.IntegerField()


class IngestStatusSerializer(serializers.Serializer[object]):
    waiting_batches = serializers.IntegerField()
    waiting_events = serializers.IntegerField()
    failing_batches = serializers.IntegerField()
    oldest_unsettled_seconds = serializers.IntegerField()
    last_settled_at = serializers.DateTimeField(allow_null=True)
    settled_last_minute = serializers.IntegerField()
    last_error = serializers.CharField(allow_blank=True)
