"""The shapes of the reconciliation API. Amounts are decimal strings in USD."""

from typing import Any

from rest_framework import serializers


class UploadedSerializer(serializers.Serializer[Any]):
    """Days of providers: new ones, ones with other content than before, and ones that were known as they are."""

    new = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class SumsSerializer(serializers.Serializer[Any]):
    billed = serializers.CharField()
    counted = serializers.CharField()
    accepted = serializers.CharField()
    difference = serializers.CharField()
    explained = serializers.DictField(child=serializers.CharField())


class LineSerializer(SumsSerializer):
    day = serializers.DateField()
    model = serializers.CharField(allow_blank=True)


class ReconciliationSerializer(serializers.Serializer[Any]):
    provider = serializers.CharField()
    month = serializers.CharField()
    total = SumsSerializer()
    data = LineSerializer(many=True)  # type: ignore[assignment]
