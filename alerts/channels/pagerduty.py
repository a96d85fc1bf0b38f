"""PagerDuty, through its Events API v2: an alert triggers, acknowledges and resolves one incident.

The routing key travels in the body, to PagerDuty's own hosts only.
"""

from functools import partial
from typing import Any

from alerts.channels.base import Message, Receiver, Result, Send
from alerts.models import Action
from common.outbound import post_json

HOSTS = ("events.pagerduty.com", "events.eu.pagerduty.com")
DEFAULT_URL = "https://events.pagerduty.com/v2/enqueue"
KEY_PATTERN = r"[A-Za-z0-9]{32}"
SUMMARY_LIMIT, DEDUP_KEY_LIMIT = 1_024, 255
ACTIONS = {Action.FIRE: "trigger", Action.ACKNOWLEDGE: "acknowledge", Action.RESOLVE: "resolve"}
SEVERITIES = {"info": "info", "warning": "warning", "critical": "critical"}

PAGERDUTY = Receiver("PagerDuty", "PagerDuty no longer knows this integration")


def pagerduty(url: str, routing_key: str) -> Send:
    return partial(send, url, routing_key)


def send(url: str, routing_key: str, message: Message) -> Result:
    return PAGERDUTY.result_of(post_json(url, {"routing_key": routing_key, **event(message)}))


def event(message: Message) -> dict[str, Any]:
    """The event without its routing key. What follows a trigger names the incident and says nothing more."""
    head = {"event_action": ACTIONS[message.action], "dedup_key": message.incident[:DEDUP_KEY_LIMIT]}
    if message.action is not Action.FIRE:
        return head
    return {
        **head,
        "client": "CostHub",
        "client_url": message.alert_url,
        "links": [{"href": message.url, "text": "Open in CostHub"}],
        "payload": {
            "summary": f"{message.title} · {message.organization}"[:SUMMARY_LIMIT],
            "source": message.organization or "CostHub",
            "severity": SEVERITIES.get(message.severity, "error"),
            **({"timestamp": message.fired_at.isoformat()} if message.fired_at else {}),
            "class": message.kind,
            "custom_details": {line.label: line.value for line in message.lines},
        },
    }
