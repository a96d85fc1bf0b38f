"""What a person may ask about a key: the form of the page that explains."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError

from budgets.explain import Question, question_of
from budgets.explain_api import LABELS, MAX_LABEL, MAX_TOKENS
from budgets.windows import BEGINNING
from tenants.models import VirtualKey

_TAG = re.compile(r"([a-z0-9_]{1,40})\s*=\s*(.{1,200})")
_NO_HISTORY = {"autocomplete": "off"}


def _text(label: str, **attributes: str) -> forms.CharField:
    widget = forms.TextInput(attrs=_NO_HISTORY | attributes)
    return forms.CharField(label=label, required=False, max_length=MAX_LABEL, widget=widget)


def _tokens(label: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=0, max_value=MAX_TOKENS)


class ExplainForm(forms.Form):
    """Only the key is needed: without a moment it is now, without a model only what is left is looked at."""

    virtual_key = forms.ChoiceField(label="Key")
    at = forms.DateTimeField(
        label="Moment",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
    )
    provider = _text("Provider", placeholder="openai")
    model = _text("Model", placeholder="gpt-4o")
    input_tokens = _tokens("Input tokens")
    max_output_tokens = _tokens("Output tokens at most")
    customer = _text("Customer")
    feature = _text("Feature")
    agent = _text("Agent")
    user = _text("User")
    tag = _text("Tag", placeholder="env=prod")

    def __init__(self, data: Mapping[str, Any] | None, *, keys: Sequence[VirtualKey], zone: ZoneInfo) -> None:
        super().__init__(data)
        self.keys = {str(key.id): key for key in keys}
        self.zone = zone
        choices = [(str(key.id), f"{key.name} ({key.team.name})") for key in keys]
        self.fields["virtual_key"].choices = [("", "Choose a key"), *choices]  # type: ignore[attr-defined]
        self.fields["at"].help_text = f"In {zone.key}; empty: now."

    @property
    def labelled(self) -> bool:
        """Whether a label is asked about, so that its fields are to be seen."""
        return any(self.data.get(name) for name in (*LABELS, "tag"))

    def clean_at(self) -> datetime | None:
        """The wall clock of the organization, whatever zone Django runs in."""
        given: datetime | None = self.cleaned_data["at"]
        return None if given is None else given.replace(tzinfo=self.zone)

    def clean_tag(self) -> dict[str, str]:
        text = self.cleaned_data["tag"]
        found = _TAG.fullmatch(text)
        if text and found is None:
            raise ValidationError("Write a tag as name=value, such as env=prod.")
        return {found[1]: found[2]} if found else {}

    def question(self, now: datetime) -> Question | None:
        """What is asked; None, and an error beside the moment, for one that has not come."""
        given = self.cleaned_data
        at = given["at"] or now
        if not BEGINNING <= at <= now:
            self.add_error("at", "A moment up to now, and not before 2015.")
            return None
        return question_of(
            key=self.keys[given["virtual_key"]],
            at=at,
            now=now,
            provider=given["provider"],
            model=given["model"],
            labels={name: given[name] for name in LABELS},
            tags=given["tag"],
            input_tokens=given["input_tokens"] or 0,
            max_output_tokens=given["max_output_tokens"] or 0,
        )
