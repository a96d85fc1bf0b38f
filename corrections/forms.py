"""Forms of corrections: they take text in; what is allowed is decided by services."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError

from common.periods import local_midnight
from corrections.services import Asked
from pricing.forms import UNIT_HELP, PriceInput
from pricing.terms import Units
from pricing.wording import UNIT_NAMES
from tenants.forms import ServiceForm

PRICED_UNITS = ("input", "cache_read", "cache_write", "output", "images", "requests")


class DayInput(forms.DateField):
    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.DateInput(attrs={"type": "date"}), **options)


class RepricingForm(ServiceForm):
    """Days are local ones of the organization's zone, both included."""

    reason = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "New agreement counts from 1 October"}),
        help_text="It stands with every adjustment and in the audit trail.",
    )
    first_day = DayInput(label="First day")
    last_day = DayInput(label="Last day")
    provider = forms.CharField(
        max_length=200, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="As reported or as in the price list. Empty: every provider.",
    )  # fmt: skip
    model = forms.CharField(
        max_length=200, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="As reported or as in the price list. Empty: every model.",
    )  # fmt: skip
    unpriced_only = forms.BooleanField(required=False, label="Only usage that has no price yet")

    def __init__(self, data: Any, *, zone: ZoneInfo, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial)
        self._zone = zone

    def asked(self) -> Asked:
        given = self.cleaned_data
        return Asked(
            start=local_midnight(given["first_day"], self._zone),
            end=local_midnight(given["last_day"] + timedelta(days=1), self._zone),
            reason=given["reason"],
            provider=given["provider"],
            model=given["model"],
            unpriced_only=given["unpriced_only"],
        )


class PriceForm(ServiceForm):
    """Prices of one model in US dollars per million units."""

    confirm = forms.BooleanField(
        label="These prices are meant, although they are far from the known ones", required=False
    )

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        for unit in PRICED_UNITS:
            self.fields[f"unit_{unit}"] = PriceInput(label=UNIT_NAMES[unit], help_text=UNIT_HELP.get(unit, ""))

    @property
    def priced(self) -> list[forms.BoundField]:
        return [self[f"unit_{unit}"] for unit in PRICED_UNITS]

    def units(self) -> Units:
        return {unit: text for unit in PRICED_UNITS if (text := self.cleaned_data[f"unit_{unit}"])}

    def refuse(self, error: ValidationError) -> None:
        """What is refused of all units together, or of the names, stands over the form."""
        for name, errors in getattr(error, "error_dict", {"": [error]}).items():
            field = f"unit_{name.removeprefix('units/')}"
            self.add_error(field if field in self.fields else None, errors)


class SignOffForm(ServiceForm):
    """`start` is the month that was looked at: whoever signs late does not sign another."""

    start = forms.DateTimeField(widget=forms.HiddenInput)
    note = forms.CharField(
        max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For whoever reads the figures later, e.g. the number of the provider's bill.",
    )  # fmt: skip
    accept_unpriced = forms.BooleanField(required=False, label="Usage without a price may stay without one this month")

    def __init__(self, data: Any, *, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial)
        start = initial.get("start")
        self.initial["start"] = start.isoformat() if start is not None else ""
