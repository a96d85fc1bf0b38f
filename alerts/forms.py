"""Forms of channels: they only take text in; what is allowed is decided by `alerts.services`."""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from alerts.channels.pagerduty import DEFAULT_URL
from alerts.models import Channel, ChannelKind, ReviewEvery
from alerts.services import HOURLY_LIMITS, default_hourly_limit
from common.problems import Problem
from tenants.forms import GRACE_CHOICES, ServiceForm

_SECRET_TEXT = {"autocomplete": "off", "spellcheck": "false"}
_EMPTY_KEEPS = "Leave empty to keep it."


def _url_field(
    placeholder: str, help_text: str, *, label: str = "Webhook URL", required: bool = True
) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=2_000,
        strip=True,
        required=required,
        widget=forms.TextInput(attrs={**_SECRET_TEXT, "placeholder": placeholder}),
        help_text=help_text,
    )


def _secret_field(label: str, help_text: str, *, required: bool = True) -> forms.CharField:
    widget = forms.TextInput(attrs=_SECRET_TEXT)
    return forms.CharField(label=label, max_length=200, required=required, widget=widget, help_text=help_text)


class ChannelForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="How the channel is called in lists, e.g. Finance.")

    field_order: Iterable[str] | None = ("name", "recipients", "url", "secret", "hourly_limit")

    hourly_limit = forms.IntegerField(
        label="Messages per hour",
        required=False,
        min_value=HOURLY_LIMITS[0],
        max_value=HOURLY_LIMITS[-1],
        help_text="What comes above is gathered into one digest. Critical alerts always go at once.",
    )

    def address(self) -> dict[str, Any]:
        """The address in the words of `channel_create` and `channel_update`; nothing when it stays as it is."""
        given = {name: self.cleaned_data.get(name) for name in ("url", "secret")}
        return {name: text for name, text in given.items() if text}

    def refuse(self, error: ValidationError | Problem) -> None:
        """Puts what the service refused beside the field it is about."""
        if isinstance(error, Problem):
            self.add_error("secret" if error.slug == "secret-required" else "url", error.detail)
        else:
            self.add_error(None, error)


class EmailChannelForm(ChannelForm):
    recipients = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "finance@example.com"}),
        max_length=6_000,
        help_text="One address a line, at most 20. Each gets a mail of its own; members can switch theirs off.",
    )

    def address(self) -> dict[str, Any]:
        return {"recipients": [part for part in re.split(r"[\s,;]+", self.cleaned_data["recipients"]) if part]}


class SlackChannelForm(ChannelForm):
    url = _url_field(
        "https://hooks.slack.com/services/…",
        "From Slack: your app, Incoming Webhooks. It is stored sealed and never shown again.",
    )


class TeamsChannelForm(ChannelForm):
    url = _url_field(
        "https://….environment.api.powerplatform.com/…",
        "From Teams: the channel's Workflows, “Send webhook alerts to a channel”. "
        "It is stored sealed and never shown again.",
    )


class WebhookChannelForm(ChannelForm):
    url = _url_field(
        "https://example.com/costhub",
        "Gets every alert as JSON, signed as Standard Webhooks has it. Its signing secret is shown once it is made.",
        label="URL",
    )


class WebhookEditForm(WebhookChannelForm):
    secret = _secret_field(
        "Signing secret", "Only to lead the webhook to another host: the secret you have, or another.", required=False
    )


class PagerDutyChannelForm(ChannelForm):
    field_order = ("name", "secret", "url", "hourly_limit")

    secret = _secret_field(
        "Routing key",
        "From PagerDuty: the service's integration “Events API v2”. It is stored sealed and never shown again.",
    )
    url = _url_field(
        DEFAULT_URL,
        "Only for accounts in the EU: https://events.eu.pagerduty.com/v2/enqueue",
        label="Events URL",
        required=False,
    )


FORMS: dict[str, type[ChannelForm]] = {
    ChannelKind.EMAIL: EmailChannelForm,
    ChannelKind.SLACK: SlackChannelForm,
    ChannelKind.TEAMS: TeamsChannelForm,
    ChannelKind.WEBHOOK: WebhookChannelForm,
    ChannelKind.PAGERDUTY: PagerDutyChannelForm,
}
_EDIT_FORMS: dict[str, type[ChannelForm]] = {**FORMS, ChannelKind.WEBHOOK: WebhookEditForm}


def new_form(kind: str, data: Any = None) -> ChannelForm:
    return FORMS[kind](data, initial={"hourly_limit": default_hourly_limit(kind)})


def form_of(channel: Channel, data: Any = None) -> ChannelForm:
    """The form to edit a channel. Its URL and secret are not in it: left empty, they stay as they are."""
    form = _EDIT_FORMS[channel.kind](
        data,
        initial={
            "name": channel.name,
            "recipients": "\n".join(channel.recipients),
            "hourly_limit": channel.hourly_limit,
        },
    )
    if "url" in form.fields:
        form.fields["url"].required = False
        form.fields["url"].help_text = f"Now {channel.url_host}/… {_EMPTY_KEEPS}"
    if channel.kind == ChannelKind.PAGERDUTY:
        form.fields["secret"].required = False
        form.fields["secret"].help_text = f"{_EMPTY_KEEPS} Another host needs it again."
    return form


class RotateSecretForm(ServiceForm):
    """Carries which secret it is about, so that a form sent twice does not end the secret it had just made."""

    overlap_hours = forms.TypedChoiceField(
        label="Sign with the old secret too",
        choices=GRACE_CHOICES,
        coerce=int,
        initial=24,
        help_text="Until the receiver knows the new one, both sign.",
    )
    present = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def is_about(self, channel: Channel) -> bool:
        return bool(self.cleaned_data["present"] == secret_version(channel))


def secret_version(channel: Channel) -> str:
    return sha256(bytes(channel.sealed_secret or b"")).hexdigest()[:32]


class MailChoiceForm(forms.Form):
    alerts = forms.BooleanField(
        required=False,
        label="Alert mails",
        help_text="From email channels that name your address. Others named there still get theirs.",
    )
    review = forms.ChoiceField(
        label="Cost review",
        choices=ReviewEvery.choices,
        widget=forms.RadioSelect,
        help_text="What was spent, against the period before, and why. "
        "On Mondays, or on the first of the month, in the morning.",
    )
