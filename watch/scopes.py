"""What a rule may look at, checked against what there is, and how it reads."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from django.core.exceptions import ValidationError

from alerts.facts import one_line
from alerts.models import AlertRule
from alerts.rule_kinds import ID_SCOPES, ScopeType
from alerts.rules import RuleScope
from budgets.models import Budget
from common.ids import parse_id
from tenants.models import Organization, Team, VirtualKey

VALUE_LENGTH = 200
_TAG = re.compile(r"[a-z0-9_]{1,40}")
EACH = {
    ScopeType.BUDGET: "Every budget",
    ScopeType.TEAM: "Each team",
    ScopeType.VIRTUAL_KEY: "Each virtual key",
    ScopeType.CUSTOMER: "Each customer",
    ScopeType.FEATURE: "Each feature",
    ScopeType.AGENT: "Each agent",
    ScopeType.USER: "Each user",
    ScopeType.MODEL: "Each model",
}


def scope_checked(organization: Organization, kind: str, value: str, tag_name: str) -> RuleScope:
    """The scope, if its value names something of this organization; ValidationError on `scope` if not."""
    if kind in ID_SCOPES and value and not _exists(organization, kind, value):
        raise ValidationError({"scope": f"This is no {ScopeType(kind).label.lower()} of this organization."})
    if len(value) > VALUE_LENGTH or value != one_line(value):
        raise ValidationError({"scope": f"A value is one line of at most {VALUE_LENGTH} characters."})
    if tag_name and not _TAG.fullmatch(tag_name):
        raise ValidationError({"scope": "A tag's name is made of small letters, digits and _, at most 40 of them."})
    return RuleScope(kind, value, tag_name)


def _exists(organization: Organization, kind: str, value: str) -> bool:
    number = parse_id(value) or 0
    match kind:
        case ScopeType.BUDGET:
            return Budget.objects.in_force().filter(organization=organization, id=number).exists()
        case ScopeType.TEAM:
            return Team.objects.filter(organization=organization, id=number).exists()
    return VirtualKey.objects.filter(organization=organization, id=number).exists()


@dataclass(frozen=True)
class Names:
    """What the ids of an organization's rules mean, each kind looked up once."""

    organization: Organization
    rules: Sequence[AlertRule]

    def of(self, rule: AlertRule) -> str:
        """ "The whole organization", "Each team", "Team Search", "Tag env = prod"."""
        kind, value = ScopeType(rule.scope_type), rule.scope_value
        match kind:
            case ScopeType.ORGANIZATION:
                return kind.label
            case ScopeType.TAG:
                return f"Tag {rule.tag_name} = {value}" if value else f"Each value of the tag {rule.tag_name}"
        if not value:
            return EACH[kind]
        return f"{kind.label} {self._names.get((kind, value), 'that is gone') if kind in ID_SCOPES else value}"

    @cached_property
    def _names(self) -> dict[tuple[ScopeType, str], str]:
        found: dict[tuple[ScopeType, str], str] = {}
        for kind, model in ((ScopeType.BUDGET, Budget), (ScopeType.TEAM, Team), (ScopeType.VIRTUAL_KEY, VirtualKey)):
            ids = [
                parse_id(rule.scope_value) or 0 for rule in self.rules if rule.scope_type == kind and rule.scope_value
            ]
            if ids:
                named = model._default_manager.filter(organization=self.organization, id__in=ids)
                found |= {(kind, str(number)): name for number, name in named.values_list("id", "name")}
        return found
