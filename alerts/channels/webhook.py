"""A webhook to anybody, signed as Standard Webhooks has it, so that the receiver can tell that it is from us.

`webhook-signature` holds one `v1,<base64>` for the secret and, while it is being changed, one for the secret before:
HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`. The id is the delivery's: a receiver that has seen it drops
what comes twice.
"""

import base64
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from alerts.channels.base import Message, Receiver, Result, Send
from alerts.models import Action
from common.outbound import post_body

SECRET_PREFIX, SECRET_BYTES = "whsec_", 32
TYPES = {
    Action.FIRE: "alert.fired",
    Action.ACKNOWLEDGE: "alert.acknowledged",
    Action.RESOLVE: "alert.resolved",
}

RECEIVER = Receiver("The receiver", "The receiver no longer takes messages at this URL")


def webhook(url: str, signing_secrets: Sequence[str], now: datetime) -> Send:
    """`signing_secrets`: the one that counts and, during an overlap, the one before it."""
    return partial(send, url, signing_secrets, now)


def send(url: str, signing_secrets: Sequence[str], now: datetime, message: Message) -> Result:
    body = json.dumps(payload(message), ensure_ascii=False, separators=(",", ":")).encode()
    headers = signed_headers(message.reference, int(now.timestamp()), body, signing_secrets)
    return RECEIVER.result_of(post_body(url, body, headers))


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(message_id: str, timestamp: int, body: bytes, signing_secrets: Sequence[str]) -> Mapping[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp, body) for secret in signing_secrets),
    }


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def payload(message: Message) -> dict[str, Any]:
    """Facts as the API has them: amounts as decimal strings of USD, moments as RFC 3339."""
    fired_at = message.fired_at.astimezone(UTC).isoformat() if message.fired_at else None
    return {
        "type": TYPES[message.action],
        "timestamp": fired_at,
        "data": {
            "id": message.incident,
            "organization": message.organization,
            "kind": message.kind_name,
            "severity": message.severity,
            "title": message.title,
            "facts": dict(message.facts),
            "lines": [{"label": line.label, "value": line.value} for line in message.lines],
            "url": message.url,
            "alert_url": message.alert_url,
        },
    }
