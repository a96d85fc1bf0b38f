"""Forms of alert rules: they take text in; what is allowed is decided by `alerts.rules`."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from alerts.models import AlertRule, Channel, Severity
from alerts.rule_kinds import ID_SCOPES, KINDS, Measure, Parameter, RuleKind, ScopeType, Stored
from alerts.rule_networks import NetworkList
from alerts.rules import RuleDraft
from alerts.selectors import channel_list
from alerts.standing import channel_ids_of
from budgets.models import Budget
from tenants.forms import ServiceForm
from tenants.models import Organization, VirtualKey
from tenants.selectors import team_tree
from watch.scopes import EACH, scope_checked

INDENT = "\u2003"
PREFIX = "parameter_"
AS_IT_COMES = "Critical from 100 percent, else a warning"

MUTES = {1: "1 hour", 24: "1 day", 168: "1 week", 720: "30 days"}


class RuleForm(ServiceForm):
    name = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    scope = forms.ChoiceField(label="Look at")
    value = forms.CharField(
        label="Its name",
        required=False,
        max_length=200,
        help_text="Of the customer, feature, agent, user, model or tag. Leave empty for each of them, at most the 50"
        " that cost most.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    tag_name = forms.CharField(
        label="Name of the tag",
        required=False,
        max_length=40,
        help_text="For a tag only, e.g. env.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    severity = forms.ChoiceField(label="How severe it is")
    channels = forms.MultipleChoiceField(
        label="Tell these channels",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: every channel that is on.",
    )
    enabled = forms.BooleanField(label="On", required=False, initial=True)
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, required=False)

    def __init__(self, data: Any = None, *, organization: Organization, kind: RuleKind, **options: Any) -> None:
        super().__init__(data, **options)
        self.organization, self.kind, self.spec = organization, kind, KINDS[kind]
        self._scope_fields()
        severities = [("", AS_IT_COMES)] if kind is RuleKind.BUDGET_THRESHOLD else []
        self.fields["severity"].choices = [*severities, *Severity.choices]  # type: ignore[attr-defined]
        self.fields["severity"].required = kind is not RuleKind.BUDGET_THRESHOLD
        channels = channel_list(organization_id=organization.id)
        self.fields["channels"].choices = [(str(each.id), _channel_words(each)) for each in channels]  # type: ignore[attr-defined]
        if not channels:
            del self.fields["channels"]
        for parameter in self.spec.parameters:
            self.fields[PREFIX + parameter.name] = _field(parameter)
        for networks in self.spec.networks:
            self.fields[PREFIX + networks.name] = _networks_field(networks)
        names = [PREFIX + name for name in self.spec.asked]
        self.order_fields(["name", "scope", "value", "tag_name", *names, "severity", "channels", "enabled", "version"])

    def _scope_fields(self) -> None:
        """Only what the kind may look at is asked; what can be but one thing is not asked at all."""
        if self.spec.scopes == (ScopeType.ORGANIZATION,):
            del self.fields["scope"], self.fields["value"], self.fields["tag_name"]
            return
        if ScopeType.CUSTOMER not in self.spec.scopes:
            del self.fields["value"], self.fields["tag_name"]
        self.fields["scope"].choices = _scope_choices(self.organization, self.spec.scopes)  # type: ignore[attr-defined]

    def draft(self) -> RuleDraft:
        """ValidationError for a scope or parameters that make no sense."""
        given = self.cleaned_data
        kind, _, named = given.get("scope", ScopeType.ORGANIZATION.value).partition(":")
        value = named if kind in ID_SCOPES else given.get("value", "")
        tag_name = given.get("tag_name", "")
        if kind == ScopeType.ORGANIZATION and value:
            raise ValidationError({"value": "The whole organization has no name to look for. Choose what it names."})
        return RuleDraft(
            name=given["name"],
            scope=scope_checked(self.organization, kind, value, tag_name),
            severity=given["severity"],
            parameters={
                **{parameter.name: given[PREFIX + parameter.name] for parameter in self.spec.parameters},
                **{each.name: _listed(given[PREFIX + each.name]) for each in self.spec.networks},
            },
            channel_ids=[int(channel) for channel in given.get("channels", ())],
            enabled=given["enabled"],
        )

    def refuse(self, error: ValidationError) -> None:
        """Faults of parameters stand beside their fields."""
        if hasattr(error, "error_dict"):
            error.error_dict = {
                name.replace("parameters/", PREFIX): faults for name, faults in error.error_dict.items()
            }
        super().refuse(error)

    @classmethod
    def of(cls, rule: AlertRule, data: Any = None) -> "RuleForm":
        kind = RuleKind(rule.kind)
        by_id = rule.scope_type in ID_SCOPES
        initial = {
            "name": rule.name,
            "scope": f"{rule.scope_type}:{rule.scope_value}" if by_id else rule.scope_type,
            "value": "" if by_id else rule.scope_value,
            "tag_name": rule.tag_name,
            "severity": rule.severity,
            "channels": [str(channel_id) for channel_id in channel_ids_of(rule)],
            "enabled": rule.enabled,
            "version": rule.version,
            **{PREFIX + name: _plain(value) for name, value in rule.parameters.items()},
        }
        return cls(data, organization=rule.organization, kind=kind, initial=initial)


def _field(parameter: Parameter) -> forms.Field:
    if parameter.measure is Measure.COUNT:
        return forms.IntegerField(
            label=parameter.label, initial=parameter.default, help_text=parameter.help,
            min_value=parameter.least, max_value=parameter.most,
        )  # fmt: skip
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    return forms.CharField(
        label=parameter.label, initial=parameter.default, help_text=parameter.help, max_length=40, widget=widget
    )


def _networks_field(networks: NetworkList) -> forms.Field:
    widget = forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(
        label=networks.label, help_text=networks.help, required=False, max_length=5_000, widget=widget
    )


def _listed(text: str) -> list[str]:
    """What stands on lines of its own or between commas."""
    return text.replace(",", " ").split()


def _plain(value: Stored) -> str | int:
    """ "5.000000000" as people write it, and of a list each on a line of its own."""
    if isinstance(value, list):
        return "\n".join(value)
    if isinstance(value, int) or "." not in value:
        return value
    whole, _, rest = value.partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}" if len(rest) > 2 else value


def _channel_words(channel: Channel) -> str:
    return channel.name if channel.enabled else f"{channel.name} (off)"


def _scope_choices(organization: Organization, scopes: Sequence[ScopeType]) -> list[tuple[str, str]]:
    """Options of the form "team:17"; without an id each of them, or for a label the one that is named beside."""
    choices: list[tuple[str, str]] = []
    for scope in scopes:
        match scope:
            case ScopeType.BUDGET:
                budgets = Budget.objects.in_force().filter(organization=organization).order_by("name", "id")
                found = [(f"budget:{budget.id}", f"Budget {budget.name}") for budget in budgets]
                choices += [("budget:", EACH[scope]), *found]
            case ScopeType.TEAM:
                nodes = team_tree(organization)
                found = [(f"team:{node.team.id}", f"{INDENT * node.depth}Team {node.team.name}") for node in nodes]
                choices += [("team:", EACH[scope]), *found]
            case ScopeType.VIRTUAL_KEY:
                keys = VirtualKey.objects.filter(organization=organization, revoked_at__isnull=True)
                found = [(f"virtual_key:{key.id}", f"Key {key.name}") for key in keys.order_by("name", "id")]
                choices += [("virtual_key:", EACH[scope]), *found]
            case _:
                choices.append((scope.value, scope.label))
    return choices
