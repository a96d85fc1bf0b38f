"""Slack, through an incoming webhook: Block Kit, and plain text for notifications.

Names come from users and may hold anything: `& < >` are escaped, so that none of Slack's control sequences (mentions,
channels, links) can be written, and `verbatim` keeps Slack from making links and mentions out of the rest. The only
links are ours, on buttons.
"""

from functools import partial
from typing import Any

from alerts.channels.base import Message, Receiver, Result, Send
from alerts.facts import Line
from common.outbound import post_json

HOSTS = ("hooks.slack.com",)
HEADER_LIMIT, FIELD_LIMIT, TEXT_LIMIT = 150, 2_000, 3_000
# Slack shows ten fields in a section; more lines than three sections hold are read on the page.
FIELDS_LIMIT, SECTIONS_LIMIT = 10, 3
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SIGNS = {"info": "🔵", "warning": "🟠", "critical": "🔴"}

SLACK = Receiver("Slack", "Slack no longer knows this webhook")


def slack(url: str) -> Send:
    return partial(send, url)


def send(url: str, message: Message) -> Result:
    return SLACK.result_of(post_json(url, payload(message)))


def payload(message: Message) -> dict[str, Any]:
    summary = f"{_SIGNS.get(message.severity, '')} {message.title}".strip()
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": escaped(summary, HEADER_LIMIT), "emoji": False}},
    ]
    for start in range(0, len(message.lines), FIELDS_LIMIT)[:SECTIONS_LIMIT]:
        lines = message.lines[start : start + FIELDS_LIMIT]
        blocks.append({"type": "section", "fields": [_field(line) for line in lines]})
    blocks += [_buttons(message), _context(message)]
    text = f"{summary}: {'; '.join(f'{line.label} {line.value}' for line in message.lines)}"
    return {"text": escaped(text, TEXT_LIMIT), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def escaped(text: str, limit: int) -> str:
    """The text in Slack's escapes, cut so that it fits without breaking one."""
    result = text.translate(_ESCAPES)
    while len(result) > limit:
        text = text[: -max(1, (len(result) - limit) // 5) - 1]
        result = text.translate(_ESCAPES) + "…"
    return result


def _field(line: Line) -> dict[str, Any]:
    label = f"*{line.label.translate(_ESCAPES)}*\n"
    value = escaped(line.value, FIELD_LIMIT - len(label))
    return {"type": "mrkdwn", "text": label + value, "verbatim": True}


def _buttons(message: Message) -> dict[str, Any]:
    """Links, all of them ours. The alert's own page is where it is acknowledged."""
    danger = {"style": "danger"} if message.severity == "critical" else {}
    elements = [_button("Open in CostHub", message.url) | danger]
    if message.alert_url != message.url:
        elements.append(_button("Acknowledge or see history", message.alert_url))
    return {"type": "actions", "elements": elements}


def _button(text: str, url: str) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": text, "emoji": False}, "url": url}


def _context(message: Message) -> dict[str, Any]:
    more = len(message.lines) - FIELDS_LIMIT * SECTIONS_LIMIT
    told = f"{message.organization} · {message.kind}"
    text = escaped(f"{more} more in CostHub · {told}" if more > 0 else told, FIELD_LIMIT)
    return {"type": "context", "elements": [{"type": "plain_text", "text": text, "emoji": False}]}
