"""The shapes of the API of alert rules."""

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from alerts.models import AlertRule, Severity
from alerts.rule_kinds import RuleKind, ScopeType
from alerts.standing import channel_ids_of
from common.strict import StrictBooleanField, StrictCharField, StrictSerializer
from tenants.serializers import StrictDateTimeField
from usage.models import KeyNetwork

CHANNELS_MOST = 50
_PARAMETERS = (
    "What the kind asks for; what is left out has its default. Amounts and factors are decimal strings, networks a list"
    " in CIDR notation, the rest whole numbers: see docs/alerts.md."
)


class ScopeSerializer(StrictSerializer[Any]):
    """`id` for a budget, team or key, `value` for a label, neither: each of them. `tag` names the tag."""

    type = serializers.ChoiceField(ScopeType.choices)
    id = StrictCharField(required=False, max_length=19)
    value = StrictCharField(required=False, max_length=200)
    tag = StrictCharField(required=False, max_length=40)


class AlertRuleSerializer(serializers.Serializer[AlertRule]):
    id = serializers.CharField()
    kind = serializers.ChoiceField(RuleKind.choices)
    name = serializers.CharField()
    scope = ScopeSerializer(source="*")
    parameters = serializers.DictField(help_text=_PARAMETERS)
    severity = serializers.ChoiceField(Severity.choices, allow_null=True)
    channels = serializers.ListField(child=serializers.CharField(), help_text="Ids. Empty: all that are on.")
    enabled = serializers.BooleanField()
    muted_until = serializers.DateTimeField(allow_null=True)
    evaluated_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_blank=True, help_text="Empty: it came with the organization.")

    def to_representation(self, instance: AlertRule) -> dict[str, Any]:
        return {
            "id": str(instance.id),
            "kind": instance.kind,
            "name": instance.name,
            "scope": scope_shape(instance),
            "parameters": instance.parameters,
            "severity": instance.severity or None,
            "channels": [str(channel_id) for channel_id in channel_ids_of(instance)],
            "enabled": instance.enabled,
            "muted_until": _moment(instance.muted_until),
            "evaluated_at": _moment(instance.evaluated_at),
            "created_at": _moment(instance.created_at),
            "created_by": instance.created_by,
        }


def _moment(value: Any) -> Any:
    return None if value is None else serializers.DateTimeField().to_representation(value)


def scope_shape(rule: AlertRule) -> dict[str, str]:
    named = "id" if rule.scope_type in {ScopeType.BUDGET, ScopeType.TEAM, ScopeType.VIRTUAL_KEY} else "value"
    return {
        "type": rule.scope_type,
        **({named: rule.scope_value} if rule.scope_value else {}),
        **({"tag": rule.tag_name} if rule.tag_name else {}),
    }


class RuleChangeSerializer(StrictSerializer[Any]):
    """A part of a rule to change; what is left out stays. The kind is fixed."""

    name = StrictCharField(max_length=100, required=False)
    scope = ScopeSerializer(required=False)
    parameters = serializers.DictField(required=False, help_text=_PARAMETERS)
    severity = serializers.ChoiceField(Severity.choices, required=False, allow_null=True)
    channels = serializers.ListField(
        child=StrictCharField(max_length=19), required=False, max_length=CHANNELS_MOST, help_text="Ids. Empty: all."
    )
    enabled = StrictBooleanField(required=False)


class RuleCreateSerializer(RuleChangeSerializer):
    kind = serializers.ChoiceField(RuleKind.choices)
    name = StrictCharField(max_length=100)


class MuteSerializer(StrictSerializer[Any]):
    until = StrictDateTimeField(
        allow_null=True, help_text="At most 90 days from now; null: from now on everybody again."
    )


RULE_PAGE = inline_serializer(
    "AlertRulePage", {"data": AlertRuleSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)


class KeyNetworkSerializer(serializers.Serializer[KeyNetwork]):
    network = serializers.CharField(help_text="A /24 of IPv4 or a /48 of IPv6; no more of an address is kept.")
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(help_text="To the hour.")
    days = serializers.IntegerField(help_text="Days of UTC on which the key was used from there.")


KEY_NETWORK_PAGE = inline_serializer(
    "KeyNetworkPage", {"data": KeyNetworkSerializer(many=True), "next": serializers.CharField(allow_null=True)}
)

_TOLD = inline_serializer(
    "AlertRuleTold",
    {
        "at": serializers.DateTimeField(help_text="The end of the hour in which it would have fired."),
        "subject": serializers.CharField(),
        "found": serializers.CharField(help_text="What it would have found, in words."),
    },
    many=True,
)
PREVIEW = inline_serializer(
    "AlertRulePreview",
    {
        "days": serializers.IntegerField(),
        "subjects": serializers.ListField(child=serializers.CharField(), help_text="What was looked at."),
        "told": _TOLD,
    },
)
