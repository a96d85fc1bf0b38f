"""The shapes of the tenants API."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from common.strict import StrictCharField, StrictSerializer
from tenants.models import CredentialState, VirtualKey
from tenants.roles import Role
from tenants.services import GRACE_HOURS_LIMIT


class StrictIntegerField(serializers.IntegerField):
    """A whole number written as one: neither "7" nor 7.0 nor true."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictDateTimeField(serializers.DateTimeField):
    """RFC 3339 with its offset; a time without one would be read as whoever's."""

    default_error_messages = {"timezone_required": "must end with Z or an offset such as +02:00"}

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            self.fail("invalid", format="RFC 3339")
        try:
            naive = datetime.fromisoformat(value).tzinfo is None
        except ValueError:
            self.fail("invalid", format="RFC 3339")
        if naive:
            self.fail("timezone_required")
        return super().to_internal_value(value)


class KeySerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    team = serializers.CharField(source="team_id", help_text="The id of its team.")
    team_name = serializers.CharField(source="team.name")
    mode = serializers.ChoiceField([("live", "live"), ("test", "test")])
    hint = serializers.CharField(help_text="The beginning of the secret, to recognize it by.")
    state = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    created_by = serializers.SerializerMethodField(help_text="Email of the member; null when a token or a command did.")
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    previous_secret_ends_at = serializers.SerializerMethodField(
        help_text="After a rotation: until when the secret before still works. Null when there is none."
    )

    def get_state(self, key: VirtualKey) -> CredentialState:
        return key.state(self.context["now"])

    def get_created_by(self, key: VirtualKey) -> str | None:
        return key.created_by.email if key.created_by is not None else None

    def get_previous_secret_ends_at(self, key: VirtualKey) -> datetime | None:
        ends: datetime | None = self.context["graces"].get(key.id)
        return ends


class IssuedKeySerializer(KeySerializer):
    secret = serializers.SerializerMethodField(help_text="Shown in this answer and never again.")

    def get_secret(self, key: VirtualKey) -> str:
        return str(self.context["secret"])


class KeyCreateSerializer(StrictSerializer[Any]):
    name = StrictCharField(max_length=100)
    team = StrictCharField(max_length=20, help_text="The id of a team.")
    mode = serializers.ChoiceField([("live", "live"), ("test", "test")], default="live")
    expires_at = StrictDateTimeField(required=False, allow_null=True, default=None)


class KeyRotateSerializer(StrictSerializer[Any]):
    grace_hours = StrictIntegerField(
        min_value=0,
        max_value=GRACE_HOURS_LIMIT,
        default=24,
        help_text="How long the secret before goes on working. 0 ends it at once.",
    )


class TeamSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    parent = serializers.CharField(  # type: ignore[assignment]
        source="parent_id", allow_null=True, help_text="The id of the team above."
    )
    created_at = serializers.DateTimeField()


class TeamCreateSerializer(StrictSerializer[Any]):
    name = StrictCharField(max_length=100)
    parent = StrictCharField(  # type: ignore[assignment]
        max_length=20, required=False, allow_null=True, default=None, help_text="The id of the team above."
    )


class TeamChangeSerializer(StrictSerializer[Any]):
    name = StrictCharField(max_length=100)


class MemberSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    email = serializers.CharField(source="user.email")
    name = serializers.CharField(source="user.name", allow_blank=True)
    role = serializers.ChoiceField([(role.value, role.value) for role in Role])
    teams = serializers.ListField(
        child=serializers.CharField(), source="team_ids", help_text="For a manager: the ids of their teams."
    )
    created_at = serializers.DateTimeField()


class AuditSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    at = serializers.DateTimeField()
    actor_type = serializers.CharField(help_text="user, token, key or system")
    actor = serializers.CharField()
    action = serializers.CharField()
    target = serializers.CharField(help_text="What it was done to: its kind and id.")
    facts = serializers.DictField(child=serializers.CharField())


def _page(name: str, row: serializers.BaseSerializer[Any]) -> serializers.Serializer[Any]:
    return inline_serializer(name, {"data": row, "next": serializers.CharField(allow_null=True)})


KEY_PAGE = _page("KeyPage", KeySerializer(many=True))
TEAM_PAGE = _page("TeamPage", TeamSerializer(many=True))
MEMBER_PAGE = _page("MemberPage", MemberSerializer(many=True))
AUDIT_PAGE = _page("AuditPage", AuditSerializer(many=True))
