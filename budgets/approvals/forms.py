"""Forms of requests for more, transfers and pauses: they take text in; what is allowed is decided by the services."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError

from budgets.amounts import AmountError, for_person, from_person, spoken_exact
from budgets.applying import window_of
from budgets.approvals.services import NOTE_LENGTH
from budgets.forms import sentence
from budgets.models import ApprovalPolicy, Budget, Unit
from budgets.transfers import REASON_LENGTH, Spare
from budgets.windows import ROLLING, TOTAL
from common.display import moment
from common.periods import local_midnight
from tenants.forms import ServiceForm

UNIT_WORDS = {Unit.COST: "US dollars", Unit.TOKENS: "tokens", Unit.REQUESTS: "requests"}
PERIOD, DAY, GOOD = "period", "day", "good"
FIRST_DAY, LAST_DAY = date(2015, 1, 1), date(9000, 1, 1)


class AmountInput(forms.CharField):
    """An amount as people write it, in a unit; left empty where that is allowed it is None."""

    def __init__(self, unit: str, **options: Any) -> None:
        self.unit = unit
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(max_length=40, widget=widget, **options)

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        try:
            return from_person(self.unit, text) if text else None
        except AmountError as error:
            raise ValidationError(sentence(str(error)), code=error.code) from error


def amount_input(unit: str, label: str) -> AmountInput:
    return AmountInput(unit, label=f"{label}, in {UNIT_WORDS[Unit(unit)]}")


def reason_input(length: int, help_text: str) -> forms.CharField:
    return forms.CharField(
        label="Reason", max_length=length, widget=forms.Textarea(attrs={"rows": 3}), help_text=help_text
    )


class LastDayField(forms.DateField):
    """A day in a zone; cleaned to the end of it."""

    widget = forms.DateInput(attrs={"type": "date"})

    def __init__(self, zone: ZoneInfo, **options: Any) -> None:
        super().__init__(**options)
        self.zone = zone

    def clean(self, value: Any) -> datetime | None:
        day = super().clean(value)
        if day is None:
            return None
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ValidationError("Not a day that can be meant here.", code="out_of_range")
        return local_midnight(day + timedelta(days=1), self.zone)


class AskForm(ServiceForm):
    """How much more, until when, and why."""

    lasts = forms.ChoiceField(label="For how long", widget=forms.RadioSelect)

    field_order = ("amount", "lasts", "until", "reason")

    def __init__(self, data: Any = None, *, budget: Budget, now: datetime) -> None:
        super().__init__(data)
        self.period_end = None if budget.period in {ROLLING, TOTAL} else window_of(budget).at(now).end
        self.fields["amount"] = amount_input(budget.unit, "How much more")
        self.fields["until"] = LastDayField(
            budget.zone, label="Last day", required=False, help_text=f"The end of it in {budget.timezone}."
        )
        self.fields["reason"] = reason_input(NOTE_LENGTH, "Whoever decides reads this, and so does the audit trail.")
        choices = [(DAY, "Until the end of a day"), (GOOD, "For good: the limit itself is raised")]
        if self.period_end is not None:
            end = moment(self.period_end.astimezone(budget.zone))
            choices.insert(0, (PERIOD, f"Until this period ends, {end}"))
        self.fields["lasts"].choices = choices  # type: ignore[attr-defined]
        self.initial["lasts"] = choices[0][0]
        self.order_fields(self.field_order)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        lasts = given.get("lasts")
        if lasts == DAY and given.get("until") is None and "until" not in self.errors:
            self.add_error("until", "Choose the last day.")
        given["until"] = {PERIOD: self.period_end, DAY: given.get("until")}.get(lasts or "")
        return given

    def wanted(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("amount", "until", "reason")}


class DecisionForm(ServiceForm):
    """The button that was pressed decides."""

    decision = forms.ChoiceField(choices=[("approve", "Approve"), ("deny", "Deny")], widget=forms.HiddenInput)
    note = forms.CharField(
        label="Note",
        required=False,
        max_length=NOTE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Whoever asked reads it.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)


class PolicyForm(ServiceForm):
    """How much managers may approve: nothing, an amount or a percentage."""

    kind = forms.ChoiceField(
        label="On budgets of their teams, managers may approve",
        widget=forms.RadioSelect,
        choices=[
            ("nothing", "Nothing: owners, admins and finance decide on all requests"),
            ("percent", "Up to a part of the limit"),
            ("amount", "Up to an amount"),
        ],
    )
    manager_percent = forms.IntegerField(
        label="Part of the limit, in percent", required=False, min_value=1, max_value=100
    )
    manager_amount = AmountInput(
        Unit.COST,
        label="Amount in US dollars",
        required=False,
        help_text="Of budgets in tokens or requests they approve nothing.",
    )

    @classmethod
    def of(cls, policy: ApprovalPolicy, data: Any = None) -> "PolicyForm":
        chosen = "percent" if policy.manager_percent else "amount" if policy.manager_amount else "nothing"
        amount = for_person(Unit.COST, policy.manager_amount) if policy.manager_amount else ""
        initial = {"kind": chosen, "manager_percent": policy.manager_percent, "manager_amount": amount}
        return cls(data, initial=initial)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        field = {"percent": "manager_percent", "amount": "manager_amount"}.get(given.get("kind", ""))
        if field and given.get(field) is None and field not in self.errors:
            self.add_error(field, "Say how much.")
        return given

    def wanted(self) -> dict[str, int | None]:
        """Only what the chosen kind is about."""
        wanted: dict[str, int | None] = {"manager_percent": None, "manager_amount": None}
        chosen = f"manager_{self.cleaned_data['kind']}"
        return wanted | {name: self.cleaned_data[name] for name in wanted if name == chosen}


class TransferForm(ServiceForm):
    """What a budget gives to one beside it."""

    to = forms.TypedChoiceField(label="To", coerce=int)

    field_order = ("to", "amount", "reason")

    def __init__(self, data: Any = None, *, budget: Budget, lines: Sequence[Spare]) -> None:
        super().__init__(data)
        self.fields["to"].choices = [  # type: ignore[attr-defined]
            (line.budget.id, f"{line.budget.name} (limit {spoken_exact(budget.unit, line.limit)})") for line in lines
        ]
        self.fields["amount"] = amount_input(budget.unit, "How much")
        self.fields["reason"] = reason_input(REASON_LENGTH, "It stands in the history of both limits.")
        self.order_fields(self.field_order)


class PauseForm(ServiceForm):
    def __init__(self, data: Any = None, *, budget: Budget) -> None:
        super().__init__(data)
        self.fields["until"] = LastDayField(
            budget.zone, label="Last day of the pause", help_text=f"It ends with this day in {budget.timezone}."
        )
