"""What Teams, PagerDuty and webhooks get: complete, within their limits, and nothing a name holds can act in it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.channels import pagerduty, teams, webhook
from alerts.facts import Line
from alerts.models import Action
from tests.alerts.test_slack import HOSTILE, MESSAGE

FULL = replace(
    MESSAGE,
    incident="alert-7",
    kind_name="budget_threshold",
    facts={"spent": "1000.100000000", "threshold": 100},
    fired_at=datetime(2026, 11, 24, 12, tzinfo=UTC),
)
# The published example of Standard Webhooks' signing.
EXAMPLE = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330)
EXAMPLE_BODY = b'{"test": 2432232314}'


def blocks(node: Any) -> Iterator[dict[str, Any]]:
    """Every element of a card."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from blocks(each)


def test_a_card_says_it_all_and_leads_to_the_page() -> None:
    sent = teams.payload(FULL)
    (attachment,) = sent["attachments"]
    assert (sent["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    said = [run["text"] for run in blocks(card["body"]) if run.get("type") == "TextRun"]
    assert said[0] == "Search team: 100 % is spent"
    assert "Critical · Budget threshold · Acme" in said
    assert "$1,000.10" in said
    assert card["body"][0]["inlines"][0]["color"] == "attention"
    assert [action["url"] for action in card["actions"]] == [MESSAGE.url, MESSAGE.alert_url]


MARKUP = ["[invoice](http://evil.example)", "<at>Ann</at>", "**bold**", "{{DATE(x)}}"]


@pytest.mark.parametrize("name", [*HOSTILE, *MARKUP])
def test_a_name_in_a_card_is_never_read_as_markup(name: str) -> None:
    hostile = replace(FULL, organization=name, kind=name, title=name, lines=(Line(name, name),))
    card = teams.card(hostile)
    holding = [block for block in blocks(card) if any(name in str(value) for value in block.values() if value != block)]
    assert {block["type"] for block in holding if isinstance(block.get("text"), str)} == {"TextRun"}
    assert {block["type"] for block in blocks(card["body"]) if "type" in block} == {"RichTextBlock", "TextRun"}
    assert [action["url"] for action in card["actions"]] == [FULL.url, FULL.alert_url]
    assert "entities" not in card["msteams"]


def test_a_card_fits_into_28_kilobytes() -> None:
    endless = "\N{GRINNING FACE}" * 5_000
    lines = tuple(Line(endless, endless) for _ in range(60))
    sent = teams.payload(replace(FULL, title=endless, organization=endless, lines=lines))
    assert len(json.dumps(sent)) <= 28_000
    assert "50 more in CostHub" in json.dumps(sent)


def test_an_incident_is_triggered_acknowledged_and_resolved_under_one_key() -> None:
    fired = pagerduty.event(FULL)
    assert (fired["event_action"], fired["dedup_key"]) == ("trigger", "alert-7")
    assert fired["payload"] == {
        "summary": "Search team: 100 % is spent · Acme",
        "source": "Acme",
        "severity": "critical",
        "timestamp": "2026-11-24T12:00:00+00:00",
        "class": "Budget threshold",
        "custom_details": {"Spent": "$1,000.10", "Limit": "$1,000.00"},
    }
    assert fired["links"] == [{"href": MESSAGE.url, "text": "Open in CostHub"}]
    for action, word in ((Action.ACKNOWLEDGE, "acknowledge"), (Action.RESOLVE, "resolve")):
        assert pagerduty.event(replace(FULL, action=action)) == {"event_action": word, "dedup_key": "alert-7"}


@pytest.mark.parametrize(
    ("severity", "theirs"), [("info", "info"), ("warning", "warning"), ("critical", "critical"), ("odd", "error")]
)
def test_severities_are_pagerdutys(severity: str, theirs: str) -> None:
    assert pagerduty.event(replace(FULL, severity=severity))["payload"]["severity"] == theirs


def test_an_incident_keeps_within_pagerdutys_limits() -> None:
    event = pagerduty.event(replace(FULL, title="x" * 5_000, incident="i" * 500))
    assert len(event["payload"]["summary"]) == 1_024
    assert len(event["dedup_key"]) == 255


def test_a_webhook_gets_facts_as_the_api_has_them() -> None:
    sent = webhook.payload(FULL)
    assert (sent["type"], sent["timestamp"]) == ("alert.fired", "2026-11-24T12:00:00+00:00")
    assert sent["data"]["facts"] == {"spent": "1000.100000000", "threshold": 100}
    assert (sent["data"]["id"], sent["data"]["kind"]) == ("alert-7", "budget_threshold")
    assert webhook.payload(replace(FULL, action=Action.RESOLVE))["type"] == "alert.resolved"


def test_signing_is_what_standard_webhooks_published() -> None:
    secret, message_id, timestamp = EXAMPLE
    assert (
        webhook.signature(secret, message_id, timestamp, EXAMPLE_BODY)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_an_overlap_signs_with_both() -> None:
    secret, message_id, timestamp = EXAMPLE
    new = webhook.new_secret()
    headers = webhook.signed_headers(message_id, timestamp, EXAMPLE_BODY, [new, secret])
    first, second = headers["webhook-signature"].split(" ")
    assert first == webhook.signature(new, message_id, timestamp, EXAMPLE_BODY)
    assert second.endswith("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (message_id, "1614265330")


def test_every_secret_is_another() -> None:
    made = {webhook.new_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(secret.startswith("whsec_") for secret in made)
