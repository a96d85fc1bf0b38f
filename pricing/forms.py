"""Forms of prices: they take text in; what is allowed is decided by `pricing.drafts` and `pricing.services`."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError

from common.display import MINUS
from common.money import parse_usd, usd_to_nano
from common.periods import local_midnight
from pricing.drafts import Draft
from pricing.models import CommitmentKind, FeePeriod
from pricing.rules import RuleKind
from pricing.services import FeeDraft
from pricing.terms import TIERS, UNITS, Tier, Units
from pricing.wording import TIER_NAMES, UNIT_NAMES
from tenants.forms import ServiceForm
from tenants.models import Organization, Team
from tenants.selectors import TeamNode

# What most models are billed by; the others stand in a fold.
MAIN_UNITS = ("input", "cache_read", "output")
OTHER_UNITS = tuple(unit for unit in UNITS if unit not in MAIN_UNITS)
UNIT_HELP = {
    "cache_read": "Left out, it costs what input costs.",
    "reasoning_output": "Left out, it costs what output costs.",
    "requests": "Per million requests; left out, a request itself is free.",
}
_AMOUNT = re.compile(r"\$?\s*((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)")
_PERCENT = re.compile(r"([+\-\u2212]?)\s*([0-9]{1,6}(?:\.[0-9]{1,12})?)\s*%?")
_DAY = timedelta(days=1)
_INDENT = "\u2003"


class PriceInput(forms.CharField):
    """US dollars per million as people write them, as the plain decimal string that prices are kept in."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(max_length=40, required=False, widget=widget, **options)

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        found = _AMOUNT.fullmatch(text)
        plain = found[1].replace(",", "") if found else ""
        if text and parse_usd(plain) is None:
            raise ValidationError("Write US dollars, such as 2.50.", code="invalid")
        return plain


class PercentInput(forms.CharField):
    def clean(self, value: Any) -> Decimal | None:
        text = super().clean(value)
        if not text:
            return None
        found = _PERCENT.fullmatch(text)
        if found is None:
            raise ValidationError("Write a percentage, such as -15 or 7.5.", code="invalid")
        size = Decimal(found[2])
        return -size if found[1] in ("-", MINUS) else size


class FeeInput(forms.CharField):
    """An amount in USD as people write it, as nano-USD."""

    def clean(self, value: Any) -> int:
        found = _AMOUNT.fullmatch(super().clean(value))
        amount = parse_usd(found[1].replace(",", "")) if found else None
        nano = usd_to_nano(amount) if amount is not None else None
        if nano is None:
            raise ValidationError("Write an amount in US dollars, such as 12,000.00.", code="invalid")
        return nano


def _day(**options: Any) -> forms.DateField:
    return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **options)


def _text(**options: Any) -> forms.CharField:
    return forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off"} | options.pop("attrs", {})), **options)


class RuleForm(ServiceForm):
    """A price rule. Days are days of the organization's zone; without a first day it counts from now."""

    name = _text(max_length=100, help_text="What people call it, such as the contract it stands in.")
    kind = forms.ChoiceField(
        label="What it says",
        widget=forms.RadioSelect,
        initial=RuleKind.PERCENT.value,
        choices=[
            (RuleKind.PERCENT.value, "A percentage of the list price: a discount or a markup"),
            (RuleKind.FIXED.value, "Fixed prices instead of the list's"),
            (RuleKind.CUSTOM.value, "Prices of a model that the list does not have"),
        ],
    )
    provider = _text(
        max_length=100, attrs={"list": "providers"}, help_text="A provider of the list, your own name, or * for any."
    )
    model = _text(
        max_length=200, help_text="One model, a pattern such as gpt-4.1* in which * is anything, or * for all of them."
    )
    tier = forms.ChoiceField(
        label="Service tier", required=False, choices=[("", "All"), *((tier, TIER_NAMES[tier]) for tier in TIERS)]
    )
    percent = PercentInput(
        label="Percent of the list price",
        required=False,
        max_length=20,
        widget=forms.TextInput(attrs={"inputmode": "text", "autocomplete": "off", "placeholder": "-15"}),
        help_text="-15 takes 15 % off, 20 puts 20 % on top.",
    )
    above_input_tokens = forms.IntegerField(
        label="Above this many input tokens", required=False, min_value=1, help_text="Then the whole request costs:"
    )
    first_day = _day(required=False, help_text="Its midnight is the first moment. Empty: from now on.")
    last_day = _day(required=False, help_text="Included. Empty: until it is ended.")
    note = _text(max_length=500, required=False)
    confirm = forms.BooleanField(
        label="These prices are meant, although they are far from the known ones", required=False
    )

    def __init__(self, *args: Any, organization: Organization, **options: Any) -> None:
        super().__init__(*args, **options)
        self.zone = ZoneInfo(organization.timezone)
        for unit in UNITS:
            self.fields[f"unit_{unit}"] = PriceInput(label=UNIT_NAMES[unit], help_text=UNIT_HELP.get(unit, ""))
        for unit in MAIN_UNITS:
            self.fields[f"long_{unit}"] = PriceInput(label=f"{UNIT_NAMES[unit]}, long")

    @property
    def main_units(self) -> list[forms.BoundField]:
        return [self[f"unit_{unit}"] for unit in MAIN_UNITS]

    @property
    def other_units(self) -> list[forms.BoundField]:
        return [self[f"unit_{unit}"] for unit in OTHER_UNITS]

    @property
    def long_units(self) -> list[forms.BoundField]:
        return [self[f"long_{unit}"] for unit in MAIN_UNITS]

    @property
    def fold_is_used(self) -> bool:
        fields = (*self.other_units, *self.long_units, self["above_input_tokens"])
        return any(field.value() or field.errors for field in fields)

    def draft(self, now: datetime) -> Draft:
        given = self.cleaned_data
        priced = given["kind"] != RuleKind.PERCENT
        return Draft(
            name=given["name"],
            provider=given["provider"],
            model=given["model"],
            kind=given["kind"],
            tier=given["tier"],
            percent=None if priced else given["percent"],
            units=self._units("unit_", UNITS) if priced else {},
            tiers=self._tiers() if priced else [],
            effective_from=self._start(given["first_day"], now),
            effective_to=None if given["last_day"] is None else local_midnight(given["last_day"] + _DAY, self.zone),
            note=given["note"],
        )

    def _start(self, day: date | None, now: datetime) -> datetime:
        """Today means from now on: what was settled today already keeps its price either way."""
        return now if day is None or day == now.astimezone(self.zone).date() else local_midnight(day, self.zone)

    def _units(self, prefix: str, units: Sequence[str]) -> Units:
        return {unit: self.cleaned_data[prefix + unit] for unit in units if self.cleaned_data[prefix + unit]}

    def _tiers(self) -> list[Tier]:
        above, units = self.cleaned_data["above_input_tokens"], self._units("long_", MAIN_UNITS)
        return [{"above_input_tokens": above, "units": units}] if above else []

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        has_long = any(given.get(f"long_{unit}") for unit in MAIN_UNITS)
        if has_long and not given.get("above_input_tokens"):
            self.add_error("above_input_tokens", "Say from how many input tokens on these prices hold.")
        if given.get("above_input_tokens") and not has_long:
            self.add_error("above_input_tokens", "Say what it costs then, or leave this empty.")
        return given

    def refuse(self, error: ValidationError) -> None:
        """The service speaks of units and tiers by their path; each has a field of its own here."""
        if not hasattr(error, "error_dict"):
            super().refuse(error)
            return
        named = {self._field_of(path): errors for path, errors in error.error_dict.items()}
        for name, errors in named.items():
            self.add_error(name if name in self.fields else None, errors)

    def _field_of(self, path: str) -> str:
        parts = path.split("/")
        if parts == ["units"]:
            return "unit_input"
        names = {"effective_from": "first_day", "effective_to": "last_day", "tiers": "above_input_tokens"}
        prefix = "long_" if parts[0] == "tiers" and len(parts) > 1 else "unit_"
        return prefix + parts[-1] if len(parts) > 1 else names.get(path, path)


class CommitmentForm(ServiceForm):
    """A flat fee. Days are days of the organization's zone, both included."""

    name = _text(max_length=100, help_text="What people call it, such as the order it stands in.")
    kind = forms.ChoiceField(choices=CommitmentKind.choices)
    provider = _text(max_length=100, attrs={"list": "providers"})
    model = _text(max_length=200, required=False, help_text="Empty: for no model in particular.")
    team = forms.ChoiceField(help_text="Whose spend and budgets the fee counts in.")
    amount = FeeInput(
        label="Fee in US dollars",
        max_length=40,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "12,000.00"}),
    )
    period = forms.ChoiceField(label="How often", choices=FeePeriod.choices)
    first_day = _day(help_text="The fee of a month is spread over all its hours; those before this day cost nothing.")
    last_day = _day(required=False, help_text="Included. Empty: until it is stopped (for a monthly fee).")

    def __init__(self, *args: Any, teams: Sequence[TeamNode], **options: Any) -> None:
        super().__init__(*args, **options)
        self._teams = {str(node.team.id): node.team for node in teams}
        choices = [(str(node.team.id), _INDENT * node.depth + node.team.name) for node in teams]
        self.fields["team"].choices = choices  # type: ignore[attr-defined]

    def draft(self) -> FeeDraft:
        return FeeDraft(**(self.cleaned_data | {"team": self._team}))

    @property
    def _team(self) -> Team:
        return self._teams[self.cleaned_data["team"]]
