"""Log events of coding agents: each event that stands for an answered model call is billed; all others are ignored.

Token convention: each agent's own (`agents`). One call is never billed twice: of an agent's three signals its log
events are billed, unless its resource says `costhub.usage_from=metrics`; then its data points are (`metrics`) and these
are ignored. A resource is the same on all signals of a process. Its spans are never billed (`traces`).
"""

from typing import Any

from ingest.formats import foreign
from ingest.formats.foreign import Unreadable
from ingest.formats.otlp import common, wire
from ingest.formats.otlp.agents import BY_EVENT, CLAUDE_CODE, CODEX_CLI, Agent
from ingest.formats.otlp.common import Found
from ingest.formats.otlp.wire import Record, Value


def read(media_type: str, body: bytes) -> Found:
    """The answered calls of a request. Problem 400 or 422 when it is none."""
    found = Found()
    for record in wire.records(wire.LOGS, media_type, body):
        own = wire.attributes(record.message)
        agent = _agent(record, own)
        if agent is None:
            continue
        if record.resource.get(common.USAGE_FROM) == "metrics":
            found.elsewhere += 1
            continue
        try:
            found.events.append(_event(agent, record, own))
            found.pointers.append(record.pointer)
        except Unreadable as error:
            found.faults.append(error.at(record.pointer))
    return found


def _agent(record: Record, own: dict[str, Value]) -> Agent | None:
    """Whose answered call this is; None for everything else."""
    message = record.message
    names = (message.event_name, own.get("event.name"), wire.scalar(message.body))
    agent = next((BY_EVENT[name] for name in names if isinstance(name, str) and name in BY_EVENT), None)
    if agent is None and own.get("event.name") == "api_request" and _is_claude_code(record):
        agent = CLAUDE_CODE
    if agent is CODEX_CLI and (own.get("event.kind") != "response.completed" or "input_token_count" not in own):
        return None
    return agent


def _is_claude_code(record: Record) -> bool:
    return "claude_code" in record.scope or record.resource.get("service.name") == "claude-code"


def _event(agent: Agent, record: Record, own: dict[str, Value]) -> dict[str, Any]:
    message, said = record.message, record.resource | own
    counts = {part: _count(own, name) for part, name in agent.counts.items()}
    more = (("effort", own.get("effort")), ("speed", own.get("speed")), ("subagent", own.get("agent.name")))
    event = common.attribution(said, more) | {
        "id": _id(agent, record, own),
        "time": _time(message, own),
        "provider": agent.provider,
        "model": common.first_label(own, "model", "slug") or foreign.UNKNOWN,
        "latency_ms": foreign.latency(own.get("duration_ms", -1)),
        "cost": _cost(own),
        "agent": agent.name,
        "trace_id": wire.hexadecimal(message.trace_id, 32) or common.first_label(own, "prompt.id", "prompt_id"),
        "span_id": wire.hexadecimal(message.span_id, 16),
    }
    event["feature"] = event["feature"] or common.first_label(own, "query_source", "skill.name")
    return foreign.compact(event) | {"usage": agent.usage(counts)}


def _id(agent: Agent, record: Record, own: dict[str, Value]) -> str:
    """The provider's id of the request where the agent tells it, else a hash of all that was said of this call."""
    request = common.first_label(own, "request_id")
    if request:
        return foreign.identifier(f"{agent.name}:{request}")
    time = _time(record.message, own)
    said = sorted((name, str(value)) for name, value in own.items())
    return f"{agent.name}:{foreign.digest(time, said)}"


def _time(message: Any, own: dict[str, Value]) -> str:
    if wire.nanoseconds(message.time_unix_nano):
        return wire.moment_of(message.time_unix_nano)
    said = own.get("event.timestamp")
    return said if isinstance(said, str) else wire.moment_of(message.observed_time_unix_nano)


def _count(own: dict[str, Value], name: str) -> int:
    try:
        return foreign.count(own.get(name))
    except Unreadable as error:
        raise Unreadable(error.code, f"{name} {error}") from error


def _cost(own: dict[str, Value]) -> str | None:
    try:
        return foreign.cost(own.get("cost_usd"))
    except Unreadable as error:
        raise Unreadable(error.code, f"cost_usd {error}") from error
