"""Forms of corrections: they take text in; what is allowed is decided by services."""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from corrections.services import Asked
from tenants.forms import ServiceForm


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
            start=self._midnight(given["first_day"]),
            end=self._midnight(given["last_day"] + timedelta(days=1)),
            reason=given["reason"],
            provider=given["provider"],
            model=given["model"],
            unpriced_only=given["unpriced_only"],
        )

    def _midnight(self, day: Any) -> datetime:
        return datetime.combine(day, time.min, self._zone)
