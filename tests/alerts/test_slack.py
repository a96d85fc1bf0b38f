"""Slack's payload: complete, within Slack's limits, and nothing a name holds can act in it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from alerts.channels.base import Message
from alerts.channels.slack import FIELDS_LIMIT, SECTIONS_LIMIT, SLACK, escaped, payload
from alerts.facts import Line
from alerts.models import AttemptOutcome
from common.outbound import Kind, Outcome

MESSAGE = Message(
    reference="delivery-1",
    organization="Acme",
    kind="Budget threshold",
    severity="critical",
    title="Search team: 100 % is spent",
    lines=(Line("Spent", "$1,000.10"), Line("Limit", "$1,000.00")),
    url="https://costhub.example/o/acme/budgets/1",
    alert_url="https://costhub.example/o/acme/alerts/1",
)
HOSTILE = [
    "<!channel>",
    "<!here|here>",
    "<@U1>",
    "<#C1|general>",
    "<!subteam^S1>",
    "<http://evil.example|invoice>",
    "&lt;!channel&gt;",
    "<mailto:x@evil.example|x>",
    "<!date^0^x^http://evil.example|y>",
    "a & b > c",
]


def texts(node: Any) -> Iterator[str]:
    """Every string Slack shows; a button's URL, which is ours, is none."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name != "url":
                yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


def test_the_message_says_it_all_and_leads_to_the_page() -> None:
    sent = payload(MESSAGE)
    assert sent["text"] == "🔴 Search team: 100 % is spent: Spent $1,000.10; Limit $1,000.00"
    header, fields, actions, context = sent["blocks"]
    assert header["text"] == {"type": "plain_text", "text": "🔴 Search team: 100 % is spent", "emoji": False}
    assert [field["text"] for field in fields["fields"]] == ["*Spent*\n$1,000.10", "*Limit*\n$1,000.00"]
    assert [button["url"] for button in actions["elements"]] == [MESSAGE.url, MESSAGE.alert_url]
    assert context["elements"][0]["text"] == "Acme · Budget threshold"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_cannot_write_a_control_sequence(name: str) -> None:
    hostile = Message("d", name, name, "warning", name, (Line(name, name),), MESSAGE.url, MESSAGE.alert_url)
    sent = payload(hostile)
    assert all("<" not in text and ">" not in text for text in texts(sent))
    assert all(re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", text) for text in texts(sent))
    fields = [field for block in sent["blocks"] for field in block.get("fields", [])]
    assert all(field["verbatim"] is True for field in fields)
    assert (sent["unfurl_links"], sent["unfurl_media"]) == (False, False)


def test_everything_fits_into_slacks_limits() -> None:
    endless = "<&>" * 5_000
    lines = tuple(Line("Model", endless) for _ in range(35))
    sent = payload(Message("d", endless, endless, "info", endless, lines, MESSAGE.url, MESSAGE.alert_url))
    header, *sections, _, context = sent["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert [len(section["fields"]) for section in sections] == [FIELDS_LIMIT] * SECTIONS_LIMIT
    assert all(len(field["text"]) <= 2_000 for section in sections for field in section["fields"])
    assert context["elements"][0]["text"].startswith("5 more in CostHub · ")
    assert len(context["elements"][0]["text"]) <= 2_000
    assert len(sent["text"]) <= 3_000
    json.dumps(sent)


@pytest.mark.parametrize(
    ("text", "limit", "result"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a<b", 6, "a&lt;b"), ("a<b<", 6, "a&lt;…"), ("<<<", 4, "…"), ("", 3, "")],
)
def test_escapes_are_never_cut_apart(text: str, limit: int, result: str) -> None:
    assert escaped(text, limit) == result


def test_a_message_without_facts_has_no_empty_section() -> None:
    sent = payload(Message("d", "Acme", "Test", "info", "Hello", (), MESSAGE.url, MESSAGE.alert_url))
    assert [block["type"] for block in sent["blocks"]] == ["header", "actions", "context"]


@pytest.mark.parametrize(
    ("outcome", "attempt", "dead"),
    [
        (Outcome(Kind.DELIVERED, "2xx"), AttemptOutcome.DELIVERED, False),
        (Outcome(Kind.RETRYABLE, "429", retry_after_s=7), AttemptOutcome.RETRY, False),
        (Outcome(Kind.RETRYABLE, "timeout"), AttemptOutcome.RETRY, False),
        (Outcome(Kind.PERMANENT, "4xx", gone=True), AttemptOutcome.FAILED, True),
        (Outcome(Kind.PERMANENT, "4xx"), AttemptOutcome.FAILED, False),
        (Outcome(Kind.PERMANENT, "3xx"), AttemptOutcome.FAILED, False),
        (Outcome(Kind.BLOCKED, "address"), AttemptOutcome.BLOCKED, False),
        (Outcome(Kind.BLOCKED, "tls"), AttemptOutcome.BLOCKED, False),
    ],
)
def test_what_an_outcome_means(outcome: Outcome, attempt: AttemptOutcome, dead: bool) -> None:
    result = SLACK.result_of(outcome)
    assert (result.outcome, result.channel_is_dead, result.retry_after_s) == (attempt, dead, outcome.retry_after_s)
    assert result.detail.endswith((".", ")"))
