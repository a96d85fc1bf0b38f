"""Forms of budgets: they take text in; what is allowed is decided by `budgets.services`."""

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from budgets.models import Budget, Scope
from budgets.serializers import DEFAULT_THRESHOLDS
from budgets.services import MAX_THRESHOLD, Measure
from common.display import usd_exact
from common.ids import parse_id
from common.money import parse_usd, usd_to_nano
from common.periods import WEEKDAYS, PeriodKind
from tenants.forms import ServiceForm
from tenants.models import Organization, Team, VirtualKey
from tenants.selectors import TeamNode
from tenants.zones import zone_choices

INDENT = "\u2003"
# Digits in groups of three or none: "1,50" is not taken for fifteen dozen of anything.
_AMOUNT = re.compile(r"\$?\s*((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)")
_SEPARATORS = re.compile(r"[\s,;%]+")


class UsdInput(forms.CharField):
    """An amount in USD as people write it, as nano-USD."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "500.00"})
        super().__init__(max_length=40, widget=widget, **options)

    def clean(self, value: Any) -> int:
        found = _AMOUNT.fullmatch(super().clean(value))
        amount = parse_usd(found[1].replace(",", "")) if found else None
        if amount is None:
            raise ValidationError("Write an amount in US dollars, such as 1,250.50.", code="invalid")
        nano = usd_to_nano(amount)
        if nano is None:
            raise ValidationError("At most nine decimals: a nano-dollar is the smallest amount.", code="too_fine")
        return nano


class ThresholdsInput(forms.CharField):
    """Whole percentages with commas or spaces between them."""

    def clean(self, value: Any) -> list[int]:
        parts = [part for part in _SEPARATORS.split(super().clean(value)) if part]
        if not all(part.isascii() and part.isdigit() and 1 <= int(part[:9]) <= MAX_THRESHOLD for part in parts):
            raise ValidationError(f"Write whole percentages from 1 to {MAX_THRESHOLD}, such as 50, 80, 100.")
        return [int(part) for part in parts]


class BudgetForm(ServiceForm):
    """What of a budget may change."""

    name = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    limit = UsdInput(label="Limit in US dollars")
    thresholds = ThresholdsInput(
        label="Alert at these percentages",
        required=False,
        max_length=100,
        help_text="Each fires once per period; a jump past several tells of the highest. Leave empty for no alerts.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)

    @classmethod
    def of(cls, budget: Budget, data: Any = None) -> "BudgetForm":
        initial = written(budget.name, budget.limit, budget.thresholds)
        return cls(data, initial=initial | {"version": budget.version})


def written(name: str, limit: int, thresholds: Sequence[int]) -> dict[str, str]:
    """Values of a budget as the form writes them."""
    amount = usd_exact(limit).removeprefix("$")
    return {"name": name, "limit": amount, "thresholds": ", ".join(str(each) for each in thresholds)}


class BudgetCreateForm(BudgetForm):
    version = None  # type: ignore[assignment]
    scope = forms.ChoiceField(help_text="What counts: everything, a team with all teams below it, or one key.")
    period = forms.ChoiceField(
        choices=[(kind.value, kind.value.capitalize()) for kind in reversed(PeriodKind)], initial="month"
    )
    week_start = forms.ChoiceField(
        choices=[(day, day.capitalize()) for day in WEEKDAYS],
        initial="monday",
        label="Week begins on",
        help_text="For weekly budgets.",
    )
    timezone = forms.ChoiceField(choices=zone_choices, label="Time zone", help_text="Periods begin at its midnight.")

    field_order = ("name", "scope", "limit", "period", "week_start", "timezone", "thresholds")

    def __init__(self, *args: Any, organization: Organization, choices: Any, **options: Any) -> None:
        defaults = {"timezone": organization.timezone, "thresholds": ", ".join(map(str, DEFAULT_THRESHOLDS))}
        options["initial"] = defaults | options.get("initial", {})
        super().__init__(*args, **options)
        self.organization = organization
        self.fields["scope"].choices = choices  # type: ignore[attr-defined]

    def measure(self) -> Measure:
        kind, _, identifier = self.cleaned_data["scope"].partition(":")
        wanted = {"organization": self.organization, "id": parse_id(identifier)}
        return Measure(
            scope_type=kind,
            team=Team.objects.get(**wanted) if kind == Scope.TEAM else None,
            virtual_key=VirtualKey.objects.get(**wanted) if kind == Scope.VIRTUAL_KEY else None,
            period=self.cleaned_data["period"],
            timezone=self.cleaned_data["timezone"],
            week_start=self.cleaned_data["week_start"],
        )


def scope_choices(organization: Organization, teams: Sequence[TeamNode], keys: Sequence[VirtualKey]) -> list[Any]:
    """Everything a budget may be set on, in groups, teams as a tree."""
    return [
        (str(Scope.ORGANIZATION), f"All of {organization.name}"),
        ("Teams", [(f"{Scope.TEAM}:{node.team.id}", INDENT * node.depth + node.team.name) for node in teams]),
        ("Keys", [(f"{Scope.VIRTUAL_KEY}:{key.id}", f"{key.name} ({key.team.name})") for key in keys]),
    ]
