"""Slack, through an incoming webhook: Block Kit, and plain text for notifications.

Names come from users and may hold anything: `& < >` are escaped, so that none of Slack's control sequences (mentions,
channels, links) can be written, and `verbatim` keeps Slack from making links and mentions out of the rest. The one
link is ours, on the button.
"""

from functools import partial
from typing import Any

from alerts.channels.base import Message, Result, Send
from alerts.facts import Line
from alerts.models import AttemptOutcome
from common.outbound import Kind, Outcome, post_json

HEADER_LIMIT, FIELD_LIMIT, TEXT_LIMIT, FIELDS_LIMIT = 150, 2_000, 3_000, 10
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SIGNS = {"info": "🔵", "warning": "🟠", "critical": "🔴"}

_RETRYABLE = {
    "429": "Slack asked to wait (429).",
    "5xx": "Slack answered with an error (5xx).",
    "4xx": "Slack was not ready (4xx).",
    "timeout": "Slack did not answer in time.",
    "dns": "The name of the server could not be found.",
    "network": "The connection to Slack failed.",
}
_BLOCKED = {
    "address": "The URL leads to an address that is not allowed; nothing was sent.",
    "tls": "The server could not prove who it is (TLS); nothing was sent.",
}


def slack(url: str) -> Send:
    return partial(send, url)


def send(url: str, message: Message) -> Result:
    return result_of(post_json(url, payload(message)))


def result_of(outcome: Outcome) -> Result:
    match outcome.kind:
        case Kind.DELIVERED:
            return Result(AttemptOutcome.DELIVERED, "Slack accepted the message.")
        case Kind.RETRYABLE:
            detail = _RETRYABLE.get(outcome.reason, "Slack gave no usable answer.")
            return Result(AttemptOutcome.RETRY, detail, retry_after_s=outcome.retry_after_s)
        case Kind.BLOCKED:
            return Result(AttemptOutcome.BLOCKED, _BLOCKED[outcome.reason])
        case Kind.PERMANENT if outcome.gone:
            return Result(AttemptOutcome.FAILED, "Slack no longer knows this webhook (4xx).", channel_is_dead=True)
        case Kind.PERMANENT:
            return Result(AttemptOutcome.FAILED, f"Slack refused the message ({outcome.reason}).")


def payload(message: Message) -> dict[str, Any]:
    summary = f"{_SIGNS.get(message.severity, '')} {message.title}".strip()
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": escaped(summary, HEADER_LIMIT), "emoji": False}},
    ]
    if message.lines:
        blocks.append({"type": "section", "fields": [_field(line) for line in message.lines[:FIELDS_LIMIT]]})
    blocks += [_button(message), _context(message)]
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


def _button(message: Message) -> dict[str, Any]:
    return {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "text": {"type": "plain_text", "text": "Open in CostHub", "emoji": False},
                "url": message.url,
                **({"style": "danger"} if message.severity == "critical" else {}),
            }
        ],
    }


def _context(message: Message) -> dict[str, Any]:
    text = escaped(f"{message.organization} · {message.kind}", FIELD_LIMIT)
    return {"type": "context", "elements": [{"type": "plain_text", "text": text, "emoji": False}]}
