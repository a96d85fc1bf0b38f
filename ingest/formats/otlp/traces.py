"""Spans of instrumented applications: OpenTelemetry's gen_ai names, current and older, OpenLLMetry's, OpenInference's.

Token convention: all four say that input includes cached tokens and output includes reasoning. Instrumentations that
pass a provider's own number through (Anthropic's excludes cached tokens) break it; that is seen where the parts exceed
the whole, or where the span's own total is just the parts more, and then the parts are added
(`foreign.inclusive_usage`). Where neither shows it, the convention holds.

Billed is each span that carries usage and has no descendant that carries it: agents and chains repeat what the calls
below them used. Spans of a trace may come in several requests: what is above a span that carried usage is remembered
(`ingest.spans`) and not billed when it comes; what comes below a span that was billed is not billed either. Everything
about an event comes from its span and resource alone, so that a span sent again, in whatever batch, is the same event.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ingest.formats import foreign
from ingest.formats.foreign import Unreadable
from ingest.formats.otlp import common, wire
from ingest.formats.otlp.common import Found
from ingest.formats.otlp.wire import Record, Value

_COUNTS: dict[str, tuple[str, ...]] = {
    "input_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    "cache_read_input_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.prompt_details.cache_input",
    ),
    "cache_write_input_tokens": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning_output_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "input_audio_tokens": ("gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"),
    "output_audio_tokens": ("gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"),
}
_TOTAL = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total")
_ALL_COUNTS = (*(name for names in _COUNTS.values() for name in names), *_TOTAL)
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor")
_MODEL = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "gen_ai.request.model",
    "llm.model_name",
    "llm.request.model_name",
)
_COST = ("gen_ai.usage.cost", "llm.cost.total")
_TIER = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "openai.request.service_tier",
    "gen_ai.openai.request.service_tier",
)
_TIERS = frozenset({"flex", "priority", "batch"})
_OPERATION = ("gen_ai.operation.name", "llm.request.type", "openinference.span.kind", "traceloop.span.kind")
_OPERATIONS = {
    "": "chat",
    "unknown": "chat",
    "chat": "chat",
    "generate_content": "chat",
    "llm": "chat",
    "llm_call": "chat",
    "text_completion": "completion",
    "completion": "completion",
    "embeddings": "embeddings",
    "embedding": "embeddings",
    "rerank": "rerank",
    "reranker": "rerank",
}
_ERROR = frozenset({2, "STATUS_CODE_ERROR"})
# Coding agents, whose calls are billed from their log events, name their services or spans so.
_AGENT_SERVICES = frozenset({"claude-code", "gemini-cli", "codex_cli_rs", "codex_exec", "codex_tui"})
_AGENT_SPANS = ("claude_code.", "gemini_cli.", "codex.")


@dataclass(slots=True)
class Span:
    """A span with what is asked of it. `id` and `parent` are trace id and span id in hex, "" where there is none."""

    record: Record
    id: str
    parent: str
    attributes: dict[str, Value]

    @property
    def carries_usage(self) -> bool:
        """Whether it counts any tokens; the zeros that some instrumentations give to every span are none."""
        return any(self.attributes.get(name) not in (None, 0, 0.0, "0", "") for name in _ALL_COUNTS)

    @property
    def of_coding_agent(self) -> bool:
        return self.record.resource.get("service.name") in _AGENT_SERVICES or (
            (self.record.message.name or "").startswith(_AGENT_SPANS)
        )


def _span(record: Record) -> Span:
    message = record.message
    trace = wire.hexadecimal(message.trace_id, 32)
    own, parent = wire.hexadecimal(message.span_id, 16), wire.hexadecimal(message.parent_span_id, 16)
    return Span(
        record,
        f"{trace}-{own}" if trace and own else "",
        f"{trace}-{parent}" if trace and parent else "",
        wire.attributes(message),
    )


class Tree:
    """The spans of a request and how they hang together."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = list(spans)
        self._by_id = {span.id: span for span in self.spans}
        self._carriers = [span for span in self.spans if span.carries_usage]

    @property
    def ids(self) -> set[str]:
        """Of all spans here and their parents."""
        return {name for span in self.spans for name in (span.id, span.parent)} - {""}

    def covered(self, known: Collection[str] = ()) -> set[str]:
        """The ids of what is above a span that carries usage; `known` are those of earlier requests among `ids`."""
        above: set[str] = set()
        for span in self.spans:
            if span.carries_usage or span.id in known:
                for ancestor in self._above(span):
                    if ancestor in above:
                        break
                    above.add(ancestor)
        return above

    def billed(self, covered: Collection[str], taken: Collection[str] = ()) -> Found:
        """The events of what carries usage, is not covered, and is below nothing that was taken in before."""
        found = Found()
        below: dict[str, bool] = {}
        for span in self._carriers:
            if span.of_coding_agent:
                found.elsewhere += 1
            elif span.id not in covered and not self._is_below(span, taken, below):
                _bill(span, found)
        return found

    def _is_below(self, span: Span, taken: Collection[str], known: dict[str, bool]) -> bool:
        """Whether one of its ancestors is taken; `known` keeps the answer for them, so that none is asked twice."""
        path, answer = [], False
        for ancestor in self._above(span):
            answer = ancestor in taken or known.get(ancestor, False)
            if answer or ancestor in known:
                break
            path.append(ancestor)
        known.update(dict.fromkeys(path, answer))
        return answer

    def _above(self, span: Span) -> Iterator[str]:
        """The ids of its ancestors, nearest first, as far as they are here; a loop of parents ends where it closes."""
        seen, ancestor = {span.id}, span.parent
        while ancestor and ancestor not in seen:
            seen.add(ancestor)
            yield ancestor
            ancestor = self._by_id[ancestor].parent if ancestor in self._by_id else ""


def read(media_type: str, body: bytes) -> Tree:
    """All spans of a request. Problem 400 or 422 when it is none."""
    return Tree(_span(record) for record in wire.records(wire.TRACES, media_type, body))


def _bill(span: Span, found: Found) -> None:
    try:
        found.events.append(_event(span))
        found.pointers.append(span.record.pointer)
    except Unreadable as error:
        found.faults.append(error.at(span.record.pointer))


def _event(span: Span) -> dict[str, Any]:
    message, own = span.record.message, span.attributes
    if not span.id:
        raise Unreadable("invalid", "traceId and spanId must be 16 and 8 bytes in hex, not all zero")
    said = span.record.resource | own
    started, ended = wire.nanoseconds(message.start_time_unix_nano), wire.nanoseconds(message.end_time_unix_nano)
    failed = (message.status is not None and message.status.code in _ERROR) or "error.type" in own
    tier = common.first_label(own, *_TIER)
    trace, _, own_id = span.id.partition("-")
    event = {
        "id": span.id,
        "time": wire.moment_of(message.start_time_unix_nano),
        "provider": common.first_label(said, *_PROVIDER) or foreign.UNKNOWN,
        "model": common.first_label(said, *_MODEL) or foreign.UNKNOWN,
        "operation": _OPERATIONS.get(common.first_label(own, *_OPERATION).lower(), "other"),
        "service_tier": tier if tier in _TIERS else "",
        "status": "error" if failed else "ok",
        "latency_ms": foreign.latency((ended - started) // 1_000_000),
        "cost": _read(own, _COST, foreign.cost),
        "agent": common.first_label(said, "gen_ai.agent.name", "agent.name"),
        "trace_id": trace,
        "span_id": own_id,
        "parent_span_id": span.parent.partition("-")[2],
    }
    return foreign.compact(event | common.attribution(said)) | {"usage": _usage(own)}


def _usage(own: Mapping[str, Value]) -> dict[str, int]:
    counts = {field: _read(own, names, foreign.count) for field, names in _COUNTS.items()}
    total = _read(own, _TOTAL, foreign.count)
    if total and not any(counts.values()):
        raise Unreadable("required", "gives a total of tokens but not what of it is input and output")
    return foreign.inclusive_usage({field: number for field, number in counts.items() if number}, total)


def _read(own: Mapping[str, Value], names: Iterable[str], reading: Any) -> Any:
    """The first of these attributes, read; Unreadable names it."""
    name = next((name for name in names if name in own), None)
    try:
        return None if name is None else reading(own[name])
    except Unreadable as error:
        raise Unreadable(error.code, f"{name} {error}") from error
