"""Microsoft Teams, through the URL of a workflow ("When a Teams webhook request is received") or an incoming webhook:
an Adaptive Card 1.4.

Names come from users and may hold anything. They are written in text runs, which know no Markdown, so that a name can
make no link and no mention; the only links are ours, on buttons. Workflows answer 202. An old incoming webhook that is
throttled answers 200 all the same, and says so in its body.
"""

import re
from functools import partial
from typing import Any

from alerts.channels.base import Message, Receiver, Result, Send
from alerts.facts import Line
from common.outbound import post_json

HOSTS = ("*.webhook.office.com", "*.logic.azure.com", "*.environment.api.powerplatform.com")
# A message of Teams may have 28 KB. A letter takes up to 12 bytes of JSON.
TITLE_LIMIT, LABEL_LIMIT, VALUE_LIMIT, LINES_LIMIT, SUMMARY_LIMIT = 150, 40, 120, 10, 100
# "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId …"
_NOT_DELIVERED = re.compile(rb"Microsoft Teams endpoint returned HTTP error (?P<status>[45][0-9]{2})\b")
_COLOURS = {"info": "accent", "warning": "warning", "critical": "attention"}

TEAMS = Receiver("Teams", "Teams no longer knows this webhook")


def teams(url: str) -> Send:
    return partial(send, url)


def send(url: str, message: Message) -> Result:
    return TEAMS.result_of(post_json(url, payload(message), hidden=_NOT_DELIVERED))


def payload(message: Message) -> dict[str, Any]:
    return {
        "type": "message",
        "summary": _cut(message.title, SUMMARY_LIMIT),
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card(message),
            }
        ],
    }


def card(message: Message) -> dict[str, Any]:
    colour = _COLOURS.get(message.severity, "default")
    more = len(message.lines) - LINES_LIMIT
    context = f"{message.severity.capitalize()} · {message.kind} · {message.organization}"
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            _text(_run(_cut(message.title, TITLE_LIMIT), size="large", weight="bolder", color=colour)),
            _text(_run(_cut(context, TITLE_LIMIT), isSubtle=True), spacing="none"),
            *(_fact(line) for line in message.lines[:LINES_LIMIT]),
            *([_text(_run(f"{more} more in CostHub", isSubtle=True))] if more > 0 else []),
        ],
        "actions": _actions(message),
    }


def _actions(message: Message) -> list[dict[str, str]]:
    actions = [{"type": "Action.OpenUrl", "title": "Open in CostHub", "url": message.url}]
    if message.alert_url != message.url:
        title = "Acknowledge or see history"
        actions.append({"type": "Action.OpenUrl", "title": title, "url": message.alert_url})
    return actions


def _fact(line: Line) -> dict[str, Any]:
    label, value = _cut(line.label, LABEL_LIMIT), _cut(line.value, VALUE_LIMIT)
    return _text(_run(f"{label}  ", isSubtle=True), _run(value, weight="bolder"), spacing="small")


def _text(*runs: dict[str, Any], **look: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs), **look}


def _run(text: str, **look: str | bool) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **look}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
