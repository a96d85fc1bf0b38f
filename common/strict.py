"""DRF serializers that take what the API promises and nothing near it: no unknown fields, no coerced types."""

from typing import Any, TypeVar

from rest_framework import serializers

Instance = TypeVar("Instance")


class StrictSerializer(serializers.Serializer[Instance]):
    """Refuses fields it does not know, each with a pointer of its own."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = {name: ["is not a known field"] for name in data if name not in self.fields}
            if unknown:
                raise serializers.ValidationError(unknown, code="unknown_field")
        return super().to_internal_value(data)


class StrictCharField(serializers.CharField):
    """Text that came as text: numbers are not turned into it, and it is not trimmed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """true or false, and neither "yes" nor 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data
