"""Forms of imports: a file, and what its columns mean."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict

from ingest.files.columns import FIELDS, USAGE
from ingest.imports.services import max_age
from ingest.models import UsageImport
from tenants.forms import ServiceForm
from tenants.models import VirtualKey

LEFT_OUT = "Left out"
MEGABYTE = 1024 * 1024


class UploadForm(ServiceForm):
    file = forms.FileField(
        label="File",
        help_text=f"CSV with a header, or JSON Lines of events; UTF-8, at most"
        f" {settings.IMPORT_FILE_LIMIT // MEGABYTE} MB. Nothing counts before you have seen it checked.",
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,.jsonl,.ndjson"}),
    )

    def clean_file(self) -> "UploadedFile[bytes]":
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > settings.IMPORT_FILE_LIMIT:
            raise forms.ValidationError(too_large(), code="too_large")
        return file


def too_large() -> str:
    return f"The file is larger than {settings.IMPORT_FILE_LIMIT // MEGABYTE} MB. Split it, or use import_usage."


class MappingForm(ServiceForm):
    """Which key the usage is booked on and what each column means; `column-N` for the N-th column."""

    virtual_key = forms.ChoiceField(
        label="Booked on key", help_text="Its team owns the usage. A key that was revoked since can be chosen as well."
    )
    provider = forms.CharField(
        label="Provider", required=False, max_length=200, help_text="For rows that name none, such as openai"
    )
    model = forms.CharField(label="Model", required=False, max_length=200, help_text="For rows that name none")
    allow_old = forms.BooleanField(
        label=f"Take rows older than {max_age(allow_old=False).days} days, back to {max_age(allow_old=True).days} days",
        required=False,
        help_text="Budgets and dashboards of those days change. Months that are closed stay as they are.",
    )

    def __init__(self, data: QueryDict | None = None, *, usage_import: UsageImport, keys: Sequence[VirtualKey]) -> None:
        super().__init__(
            data,
            initial={
                "virtual_key": usage_import.virtual_key_id,
                "provider": usage_import.provider,
                "model": usage_import.model,
                "allow_old": usage_import.allow_old,
            },
        )
        self._keys = {str(key.id): key for key in keys}
        choices = [(key_id, _spoken(key)) for key_id, key in self._keys.items()]
        self.fields["virtual_key"].choices = [("", "Choose a key"), *choices]  # type: ignore[attr-defined]
        self._columns = [f"column-{number}" for number in range(len(usage_import.columns))]
        for name, title, meant in zip(self._columns, usage_import.columns, usage_import.fields, strict=True):
            self.fields[name] = forms.ChoiceField(
                label=title[:60] or "(no name)", required=False, choices=_choices(title), initial=meant
            )

    @property
    def columns(self) -> list[Any]:
        return [self[name] for name in self._columns]

    @property
    def meant(self) -> list[str]:
        return [self.cleaned_data[name] for name in self._columns]

    @property
    def key(self) -> VirtualKey:
        return self._keys[self.cleaned_data["virtual_key"]]


def _spoken(key: VirtualKey) -> str:
    return f"{key.team.name}: {key.name}" + (" (revoked)" if key.revoked_at else "")


def _choices(title: str) -> list[tuple[str, Any]]:
    tag = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in title.strip().lower())
    tag = tag.removeprefix("tag_")[:40]
    texts = [name for name in FIELDS if name not in USAGE]
    return [
        ("", LEFT_OUT),
        ("Counts", [(name, name) for name in USAGE]),
        ("About the call", [(name, name) for name in texts]),
        *([("Tag", [(f"tag.{tag}", f"tag.{tag}")])] if tag else []),
    ]
