"""Forms of call limits: they take text in; what is allowed is decided by the services."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from budgets.amounts import for_person
from budgets.approvals.forms import AmountInput
from budgets.create_form import INDENT
from budgets.forms import PLAIN
from budgets.models import Scope, Unit
from budgets.reservations.models import LadderStep, ModelAllowance, RateLimit
from budgets.reservations.services import MOST_MODELS, MOST_PER_MINUTE
from common.ids import parse_id
from tenants.forms import ServiceForm
from tenants.models import Organization, Team, VirtualKey
from tenants.selectors import team_tree

NAME_LENGTH = 200
NO_NAMES = "Name at least one model."
BOTH = "Name the models, or allow none of them: not both."
DAMAGED = "This form was damaged on its way. Open it again."
_BETWEEN_NAMES = re.compile(r"[\n,]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class SeenField(forms.CharField):
    """When the setting had last changed as the form was opened; never shown."""

    widget = forms.HiddenInput
    default_error_messages = {"required": DAMAGED}

    def clean(self, value: Any) -> datetime:
        try:
            return datetime.fromisoformat(super().clean(value))
        except ValueError as error:
            raise ValidationError(DAMAGED) from error


class SettingForm(ServiceForm):
    """Of a setting that is there it asks everything but whose it is, and carries what was `seen` of it."""

    # What tells one setting from another: fixed once it is there.
    fixed: str
    seen = SeenField()

    def __init__(self, data: Any = None, *, organization: Organization, setting: Any = None, **options: Any) -> None:
        initial = options.pop("initial", {})
        if setting is not None:
            initial |= self.written(setting) | {"seen": setting.changed_at.isoformat()}
        super().__init__(data, initial=initial, **options)
        self.organization = organization
        del self.fields[self.fixed if setting is not None else "seen"]

    @staticmethod
    def written(setting: Any) -> dict[str, Any]:
        """What is set, as the form writes it."""
        raise NotImplementedError

    @property
    def seen_before(self) -> datetime | None:
        return self.cleaned_data.get("seen")


class OnField(forms.ChoiceField):
    """A team or a working key of an organization, which gives it before anything is cleaned."""

    def offer(self, organization: Organization) -> None:
        keys = VirtualKey.objects.filter(organization=organization, revoked_at__isnull=True).select_related("team")
        self.choices = [
            ("", "Choose a team or a key"),
            ("Teams", [(f"{Scope.TEAM}:{n.team.id}", INDENT * n.depth + n.team.name) for n in team_tree(organization)]),
            (
                "Keys",
                [
                    (f"{Scope.VIRTUAL_KEY}:{key.id}", f"{key.name} ({key.team.name})")
                    for key in keys.order_by("name", "id")
                ],
            ),
        ]


class GranteeForm(SettingForm):
    fixed = "on"
    on = OnField(label="For", help_text="A team's counts for all keys of it and of the teams below it.")

    field_order = ("on",)

    def __init__(self, data: Any = None, *, organization: Organization, **options: Any) -> None:
        super().__init__(data, organization=organization, **options)
        on = self.fields.get("on")
        if isinstance(on, OnField):
            on.offer(organization)

    @property
    def grantee(self) -> Team | VirtualKey:
        """What was chosen, of those that were offered."""
        kind, _, identifier = self.cleaned_data["on"].partition(":")
        model: type[Team] | type[VirtualKey] = Team if kind == Scope.TEAM else VirtualKey
        return model.objects.get(organization=self.organization, id=parse_id(identifier) or 0)


class RateForm(GranteeForm):
    requests = AmountInput(Unit.REQUESTS, label="Requests per minute", required=False)
    tokens = AmountInput(
        Unit.TOKENS,
        label="Tokens per minute",
        required=False,
        help_text="Input and the most that may come out, as the call describes them.",
    )

    @staticmethod
    def written(setting: RateLimit) -> dict[str, Any]:
        return {
            name: "" if amount is None else for_person(unit, amount)
            for name, unit, amount in (
                ("requests", Unit.REQUESTS, setting.requests_per_minute),
                ("tokens", Unit.TOKENS, setting.tokens_per_minute),
            )
        }

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        amounts = {name: given.get(name) for name in ("requests", "tokens")}
        for name, amount in amounts.items():
            if amount is not None and amount > MOST_PER_MINUTE:
                self.add_error(name, f"At most {MOST_PER_MINUTE:,} per minute.")
        if set(amounts.values()) == {None} and not self.errors.keys() & amounts.keys():
            self.add_error("requests", "Limit requests, tokens or both.")
        return given


class AllowanceForm(GranteeForm):
    # The browser cannot know that no name is needed beside `none`.
    use_required_attribute = False
    names = forms.CharField(
        label="Models",
        error_messages={"required": NO_NAMES},
        max_length=(NAME_LENGTH + 2) * MOST_MODELS,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="One to a line, as callers write them or as the price list does. gpt-5* stands for every name that"
        " begins with gpt-5.",
    )
    none = forms.BooleanField(
        label="Allow no model at all", required=False, help_text="Every call is refused until a model is on the list."
    )

    def __init__(self, data: Any = None, **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["names"].required = not (self.is_bound and self.data.get("none"))

    @staticmethod
    def written(setting: ModelAllowance) -> dict[str, Any]:
        return {"names": "\n".join(setting.names), "none": not setting.names}

    def clean_names(self) -> list[str]:
        names = [name.strip() for name in _BETWEEN_NAMES.split(self.cleaned_data["names"].replace("\r", "\n"))]
        names = [name for name in names if name]
        if len(names) > MOST_MODELS:
            raise ValidationError(f"At most {MOST_MODELS} models. An asterisk at the end stands for many.")
        if any(len(name) > NAME_LENGTH or _CONTROL.search(name) for name in names):
            raise ValidationError(f"A name has at most {NAME_LENGTH} characters, all of them visible.")
        return names

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if "names" in given and bool(given["names"]) == given.get("none", False):
            self.add_error("names", BOTH if given["names"] else NO_NAMES)
        return given


class StepForm(SettingForm):
    fixed = "from_model"
    from_model = forms.CharField(
        label="In place of", max_length=NAME_LENGTH, widget=forms.TextInput(attrs=PLAIN | {"list": "known-models"}),
        help_text="The name that the price list has.",
    )  # fmt: skip
    to_model = forms.CharField(
        label="Suggest", max_length=NAME_LENGTH, widget=forms.TextInput(attrs=PLAIN | {"list": "known-models"}),
        help_text="A cheaper one of the same provider.",
    )  # fmt: skip

    @staticmethod
    def written(setting: LadderStep) -> dict[str, Any]:
        return {"to_model": setting.to_model}


def known_models(values: Sequence[tuple[str, str]]) -> list[str]:
    """The models among the names that callers used lately."""
    return [value for value, kind in values if kind == Scope.MODEL]
