"""Forms of channels: they only take text in; what is allowed is decided by `alerts.services`."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from alerts.models import Channel, ChannelKind
from common.problems import Problem


class ChannelForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="How the channel is called in lists, e.g. Finance.")

    def address(self) -> dict[str, Any]:
        """The address in the words of `channel_create` and `channel_update`; nothing when it stays as it is."""
        raise NotImplementedError

    def refuse(self, error: ValidationError | Problem) -> None:
        """Puts what the service refused beside the field it is about."""
        if isinstance(error, Problem):
            self.add_error("url", error.detail)
        else:
            self.add_error(None, error)


class EmailChannelForm(ChannelForm):
    recipients = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": "finance@example.com"}),
        max_length=6_000,
        help_text="One address a line, at most 20. Each gets a mail of its own.",
    )

    def address(self) -> dict[str, Any]:
        return {"recipients": [part for part in re.split(r"[\s,;]+", self.cleaned_data["recipients"]) if part]}


class SlackChannelForm(ChannelForm):
    url = forms.CharField(
        label="Webhook URL",
        max_length=2_000,
        strip=True,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "https://hooks.slack.com/services/…"}
        ),
        help_text="From Slack: your app, Incoming Webhooks. It is stored sealed and never shown again.",
    )

    def address(self) -> dict[str, Any]:
        return {"url": self.cleaned_data["url"]} if self.cleaned_data["url"] else {}


FORMS: dict[str, type[ChannelForm]] = {ChannelKind.EMAIL: EmailChannelForm, ChannelKind.SLACK: SlackChannelForm}


def form_of(channel: Channel, data: Any = None) -> ChannelForm:
    """The form to edit a channel. A webhook's URL is not in it: left empty, it stays as it is."""
    form = FORMS[channel.kind](data, initial={"name": channel.name, "recipients": "\n".join(channel.recipients)})
    if "url" in form.fields:
        form.fields["url"].required = False
        form.fields[
            "url"
        ].help_text = f"Now {channel.url_host}/… Leave empty to keep it; enter the URL anew to change it."
    return form
