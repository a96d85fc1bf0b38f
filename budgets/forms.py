"""Forms of budgets: they take text in; what is allowed is decided by `budgets.services`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from budgets.amounts import AmountError, for_person, from_person
from budgets.models import (
    AbandonedPolicy,
    Action,
    Budget,
    Enforcement,
    Unit,
    UnpricedPolicy,
    WhenUnavailable,
)
from budgets.terms import (
    MAX_ACTIONS,
    MAX_FORECAST,
    MAX_GRACE_SECONDS,
    MAX_RATE,
    MAX_THRESHOLD,
    ActionTerm,
    Terms,
)
from common.periods import local_midnight
from tenants.forms import ServiceForm

_SEPARATORS = re.compile(r"[\s,;%]+")
# Amounts have commas in them.
_AMOUNT_SEPARATORS = re.compile(r"\s*;\s*|\s+")
PLAIN = {"autocomplete": "off"}
# What a form hides until it is asked for.
_MORE = ("overcommit", "rollover", "when_unavailable", "grace_seconds", "unpriced", "abandoned")
_YES_NO = [("no", "No"), ("yes", "Yes")]


class PercentagesInput(forms.CharField):
    """Whole percentages with commas or spaces between them."""

    def __init__(self, *, most: int, **options: Any) -> None:
        self.most = most
        super().__init__(required=False, max_length=100, widget=forms.TextInput(attrs=PLAIN), **options)

    def clean(self, value: Any) -> list[int]:
        parts = [part for part in _SEPARATORS.split(super().clean(value)) if part]
        if not all(part.isascii() and part.isdigit() and 1 <= int(part[:9]) <= self.most for part in parts):
            raise ValidationError(f"Write whole percentages from 1 to {self.most}, such as 50, 80, 100.")
        return [int(part) for part in parts]


def amount_field(**options: Any) -> forms.CharField:
    widget = forms.TextInput(attrs=PLAIN | {"inputmode": "decimal"})
    return forms.CharField(max_length=options.pop("max_length", 40), widget=widget, **options)


class KeptChoice(forms.ChoiceField):
    """A choice that stays as it is when a form is sent without it."""

    def clean(self, value: Any) -> Any:
        return "" if value in self.empty_values else super().clean(value)


def choice_field(choices: Any, **options: Any) -> forms.ChoiceField:
    return KeptChoice(choices=choices, **options)


class BudgetForm(ServiceForm):
    """What of a budget may change. A choice that is not sent stays as it is."""

    name = forms.CharField(max_length=100, widget=forms.TextInput(attrs=PLAIN))
    limit = amount_field(help_text="As many as you like: 1,250.50 in US dollars, 2,000,000 as tokens or requests.")
    limit_from = forms.DateField(
        label="The limit changes on",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Leave empty to change it at once. It changes at the day's first instant in the budget's time zone.",
    )
    enforcement = choice_field(
        [
            (Enforcement.SOFT, "Tell people; calls go on"),
            (Enforcement.HARD, "Refuse calls that do not fit"),
            (Enforcement.NONE, "Only count, tell nobody"),
        ],
        label="At the limit",
    )
    shadow = choice_field(
        _YES_NO, label="Shadow mode", help_text="Notes what it would have refused, and refuses nothing."
    )
    thresholds = PercentagesInput(
        most=MAX_THRESHOLD,
        label="Alert at these percentages",
        help_text="Each fires once per period; a jump past several tells of the highest. Leave empty for no alerts.",
    )
    threshold_amounts = amount_field(
        label="Alert at these amounts", required=False, max_length=300, help_text="With spaces between: 500 1,250.50"
    )
    forecast_thresholds = PercentagesInput(
        most=MAX_FORECAST,
        label="Alert when the forecast reaches",
        help_text="Percentages of the limit that the period would make at its pace so far, such as 100, 120.",
    )
    when_unavailable = choice_field(
        WhenUnavailable.choices,
        label="When counters cannot be asked",
        help_text="What a call is answered while nobody can say how much is left.",
    )
    grace_seconds = forms.IntegerField(
        min_value=0, max_value=MAX_GRACE_SECONDS, required=False, label="Allow for so many seconds"
    )
    unpriced = choice_field(UnpricedPolicy.choices, label="Calls of models without a price")
    abandoned = choice_field(AbandonedPolicy.choices, label="Reservations that nobody settles are charged")
    rollover = amount_field(
        label="Carry over at most", required=False, help_text="Of what a period leaves, to the next."
    )
    overcommit = choice_field(
        [("yes", "May exceed this limit together"), ("no", "Have to fit in this limit together")],
        label="The limits of its parts",
    )
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1)

    def __init__(self, data: Any = None, *, unit: str = "", terms: Terms | None = None, **options: Any) -> None:
        super().__init__(data, **options)
        self.before = terms or Terms()
        self.measured_in = unit
        self.rows = min(MAX_ACTIONS, len(self.before.actions) + 2)
        for number in range(self.rows):
            self.fields |= _action_fields(number)

    @classmethod
    def of(cls, budget: Budget, limit: int, terms: Terms, data: Any = None) -> "BudgetForm":
        initial = written(budget, limit, terms) | {"version": budget.version}
        return cls(data, unit=budget.unit, terms=terms, initial=initial)

    def action_rows(self) -> Iterator[list[forms.BoundField]]:
        """The fields of one action after the other."""
        for number in range(self.rows):
            yield [self[name] for name in _action_fields(number)]

    @property
    def actions_open(self) -> bool:
        """Is there something to see among the actions?"""
        return bool(self.before.actions) or any(name.startswith("action") for name in self.errors)

    @property
    def more_open(self) -> bool:
        return any(name in self.errors for name in _MORE)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        unit = self.measured_in or cleaned.get("unit") or Unit.COST
        for name in ("limit", "rollover"):
            if cleaned.get(name):
                self._convert(name, lambda text: from_person(unit, text))
        self._convert("threshold_amounts", lambda text: [from_person(unit, part) for part in _parts(text)])
        return cleaned

    def _convert(self, name: str, converted: Any) -> None:
        try:
            if name in self.cleaned_data:
                self.cleaned_data[name] = converted(self.cleaned_data[name])
        except AmountError as error:
            self.add_error(name, ValidationError(sentence(str(error)), code=error.code))

    def terms(self) -> Terms:
        """The terms as the form has them; what was not sent is as before."""
        given = self.cleaned_data
        chosen = {
            name: given[name]
            for name in ("enforcement", "when_unavailable", "unpriced", "abandoned", "grace_seconds")
            if given[name] not in ("", None)
        }
        chosen |= {name: given[name] == "yes" for name in ("shadow", "overcommit") if given[name]}
        for name in ("threshold_amounts", "forecast_thresholds"):
            if name in self.data:
                chosen[name] = given[name]
        if "rollover" in self.data:
            chosen["rollover_max"] = given["rollover"] or None
        if "action0_at" in self.data:
            chosen["actions"] = tuple(self._actions())
        return replace(self.before, **chosen)

    def _actions(self) -> Iterator[ActionTerm]:
        for number in range(self.rows):
            at, action, requests, tokens = (self.cleaned_data[name] for name in _action_fields(number))
            if at is not None and action:
                yield ActionTerm(at, action, requests, tokens)

    def limit_starts(self, budget: Budget) -> datetime | None:
        """When the limit changes; None: at once."""
        day = self.cleaned_data["limit_from"]
        return None if day is None else local_midnight(day, budget.zone)


def compared(lost: forms.Form, anew: forms.Form) -> list[tuple[str, str, str]]:
    """Field by field what a form that was not saved said, beside what is there now: (label, now, lost)."""
    return [
        (str(field.label), _shown(anew[field.name]), _shown(field))
        for field in lost.visible_fields()
        if field.name in lost.data and (_shown(field) or _shown(anew[field.name]))
    ]


def _shown(field: forms.BoundField) -> str:
    """The value of a field as people read it."""
    value = field.value()
    named = {str(key): text for key, text in getattr(field.field, "choices", ())}
    return "" if value is None else str(named.get(str(value), value))


def sentence(text: str) -> str:
    """A message that speaks of a field, on its own."""
    return text if text.startswith("Write") else f"This {text}."


def _parts(text: str) -> list[str]:
    return [part for part in _AMOUNT_SEPARATORS.split(text.strip()) if part]


def _action_fields(number: int) -> dict[str, forms.Field]:
    """From which part on, what, and for throttling to how much per minute."""
    return {
        f"action{number}_at": forms.IntegerField(
            min_value=1, max_value=MAX_THRESHOLD, required=False, label="From percent"
        ),
        f"action{number}_do": forms.ChoiceField(choices=[("", "Nothing"), *Action.choices], required=False, label="Do"),
        f"action{number}_requests": _rate("Requests per minute"),
        f"action{number}_tokens": _rate("Tokens per minute"),
    }


def _rate(label: str) -> forms.IntegerField:
    return forms.IntegerField(min_value=1, max_value=MAX_RATE, required=False, label=label)


def written(budget: Budget, limit: int, terms: Terms) -> dict[str, Any]:
    """What may change of a budget, as the form writes it."""
    texts: dict[str, Any] = {
        "name": budget.name,
        "limit": for_person(budget.unit, limit),
        "enforcement": terms.enforcement,
        "shadow": _yes_no(terms.shadow),
        "thresholds": listed(budget.thresholds),
        "threshold_amounts": " ".join(for_person(budget.unit, amount) for amount in terms.threshold_amounts),
        "forecast_thresholds": listed(terms.forecast_thresholds),
        "when_unavailable": terms.when_unavailable,
        "grace_seconds": terms.grace_seconds,
        "unpriced": terms.unpriced,
        "abandoned": terms.abandoned,
        "rollover": "" if terms.rollover_max is None else for_person(budget.unit, terms.rollover_max),
        "overcommit": _yes_no(terms.overcommit),
    }
    for number, each in enumerate(terms.actions):
        values = (each.at_percent, each.action, each.requests_per_minute, each.tokens_per_minute)
        texts |= dict(zip(_action_fields(number), values, strict=True))
    return texts


def listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
