"""Forms of reconciliation: an export, and the differences somebody accepts."""

import re
from collections.abc import Sequence
from datetime import date
from io import BytesIO
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict

from common.api import StrictJSONParser
from common.problems import Problem
from reconciliation.exports import table
from reconciliation.exports.base import ExportError, Item
from reconciliation.exports.reading import checked, items_of
from tenants.forms import ServiceForm, team_choices
from tenants.selectors import TeamNode

LIMIT = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
MEGABYTE = 1024 * 1024
_CHOSEN = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}):(-?[0-9]{1,19})")


class ExportForm(ServiceForm):
    """`cleaned_data["file"]` are the items of the export."""

    file = forms.FileField(
        label="Export",
        help_text="A page, or an array of pages, of OpenAI's organization/costs or usage/completions or Anthropic's"
        " cost_report or usage_report, as JSON; or a CSV with day, provider, model, amount in USD."
        f" At most {LIMIT // MEGABYTE} MB.",
        widget=forms.FileInput(attrs={"accept": ".json,.csv"}),
    )

    def clean_file(self) -> list[Item]:
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > LIMIT:
            raise forms.ValidationError(too_large(), code="too_large")
        try:
            return read_export(file.read())
        except ExportError as error:
            raise forms.ValidationError(str(error)) from error
        except Problem as error:
            raise forms.ValidationError(f"The file cannot be read: {error.detail}") from error


def too_large() -> str:
    return f"The file is larger than {LIMIT // MEGABYTE} MB. Upload the pages one by one."


def read_export(content: bytes) -> list[Item]:
    """The items of a file, JSON or CSV. ExportError or Problem for anything else."""
    if content.lstrip()[:1] in (b"{", b"["):
        return items_of(StrictJSONParser().parse(BytesIO(content)))
    try:
        return checked(list(table.items(content.decode("utf-8-sig"))))
    except UnicodeDecodeError as error:
        raise ExportError("", "The file is not text in UTF-8.") from error


class AcceptForm(ServiceForm):
    """Days with the difference that was seen, in nano-USD, and the team that takes it."""

    team = forms.ChoiceField(label="Book on team", help_text="Its spend and budgets of those days change.")
    note = forms.CharField(label="Note", required=False, max_length=200, help_text="Why, for the audit trail")

    def __init__(self, data: QueryDict | None = None, *, tree: Sequence[TeamNode]) -> None:
        super().__init__(data)
        teams = team_choices(tree, [node.team.id for node in tree])
        self.fields["team"].choices = [("", "Choose a team"), *teams]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        chosen = self.data.getlist("day") if isinstance(self.data, QueryDict) else []
        cleaned["expected"] = {}
        for text in chosen:
            found = _CHOSEN.fullmatch(text)
            try:
                day = date.fromisoformat(found[1]) if found else None
            except ValueError:
                day = None
            if found is None or day is None:
                raise forms.ValidationError("A day is not one of those shown.")
            cleaned["expected"][day] = int(found[2])
        if not chosen:
            raise forms.ValidationError("Choose at least one day.")
        return cleaned
