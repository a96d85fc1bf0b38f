"""What spans, log records and data points have in common: whose usage it is and how it is labelled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.problems import Fault
from ingest.formats import foreign
from ingest.formats.otlp.wire import Value

TAG = "costhub.tag."
# A resource attribute or header that an access token names the key by.
VIRTUAL_KEY = "costhub.virtual_key"
# Telemetry of coding agents: their calls are billed from their log events, or from metrics where the resource asks.
USAGE_FROM = "costhub.usage_from"
_RESOURCE_TAGS = {
    "service.name": "service",
    "deployment.environment.name": "env",
    "deployment.environment": "env",
    "department": "department",
    "team.id": "team_id",
    "cost_center": "cost_center",
}
_USER = ("user.email", "enduser.id", "user.id", "user.account_uuid", "user.account_id", "gen_ai.user", "llm.user")
_ASSOCIATED = "traceloop.association.properties."


@dataclass(slots=True)
class Found:
    """What a request comes to: events as in `Decoded`, and what is left out of them."""

    events: list[dict[str, Any]] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    # One for each span, record or point that tells usage but cannot be read.
    faults: list[Fault] = field(default_factory=list)
    # How many of them tell usage that is billed from another signal.
    elsewhere: int = 0


def first_label(attributes: Mapping[str, Value], *names: str) -> str:
    return foreign.first_label(*(attributes.get(name) for name in names))


def attribution(attributes: Mapping[str, Value], more_tags: Iterable[tuple[str, object]] = ()) -> dict[str, Any]:
    """The labels that all signals carry alike; `attributes` are the resource's under the record's own."""
    return {
        "customer": first_label(attributes, "costhub.customer", f"{_ASSOCIATED}customer_id"),
        "feature": first_label(attributes, "costhub.feature", "gen_ai.workflow.name", "traceloop.workflow.name"),
        "user": first_label(attributes, *_USER, f"{_ASSOCIATED}user_id"),
        "session": first_label(
            attributes, "session.id", "gen_ai.conversation.id", "conversation.id", f"{_ASSOCIATED}session_id"
        ),
        "tags": foreign.tags(_tags(attributes, more_tags)),
        "virtual_key": first_label(attributes, VIRTUAL_KEY),
    }


def _tags(attributes: Mapping[str, Value], more: Iterable[tuple[str, object]]) -> Iterable[tuple[str, object]]:
    yield from ((name.removeprefix(TAG), value) for name, value in attributes.items() if name.startswith(TAG))
    yield from ((tag, attributes.get(name)) for name, tag in _RESOURCE_TAGS.items())
    yield from more
