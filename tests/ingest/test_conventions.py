"""Whatever a source counts, in whichever convention: our buckets are disjoint and sum to the source's own total."""

import time
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import cloudevents, litellm
from ingest.formats.otlp import agents, logs, metrics, traces, wire
from ingest.schema import parse_events
from pricing.usage_buckets import Buckets
from tests.factories import utc_now
from tests.ingest import otlp
from tests.ingest.payloads import event

COUNT = st.integers(0, 10**9)
PARTS = st.tuples(COUNT, COUNT, COUNT, COUNT, COUNT)


def buckets_of(events: list[Any]) -> Buckets:
    assert len(events) == 1
    _, [reported] = parse_events(events, pointers=[""], now=utc_now())
    assert min(reported.buckets) >= 0
    return reported.buckets


def total(buckets: Buckets) -> int:
    return buckets.input_tokens + buckets.output_tokens


def body(document: Any) -> bytes:
    return msgspec.json.encode(document)


@given(PARTS)
def test_our_own_and_cloudevents(parts: tuple[int, int, int, int, int]) -> None:
    uncached, read, write, visible, reasoning = parts
    usage = {
        "input_tokens": uncached + read + write,
        "cache_read_input_tokens": read,
        "cache_write_input_tokens": write,
        "output_tokens": visible + reasoning,
        "reasoning_output_tokens": reasoning,
    }
    envelope = {"specversion": "1.0", "id": "1", "source": "/", "type": "t", "data": event(usage=usage)}
    decoded = cloudevents.decode(cloudevents.EVENT, body(envelope), limit=1)
    buckets = buckets_of(decoded.events)
    assert buckets == Buckets(uncached, read, write, output=visible, reasoning_output=reasoning)
    assert total(buckets) == usage["input_tokens"] + usage["output_tokens"]


@given(PARTS, st.sampled_from(["gen_ai.usage", "llm.token_count"]))
def test_spans_that_keep_the_convention(parts: tuple[int, int, int, int, int], names: str) -> None:
    uncached, read, write, visible, reasoning = parts
    said = _span_counts(names, uncached + read + write, visible + reasoning, read, write, reasoning)
    buckets = _billed(said | {_total(names): sum(parts)})
    if sum(parts):
        assert buckets == Buckets(uncached, read, write, output=visible, reasoning_output=reasoning)
        assert buckets == _billed(said)


@given(PARTS, st.booleans(), st.booleans())
def test_spans_whose_total_tells_what_is_apart(
    parts: tuple[int, int, int, int, int], cache_apart: bool, reasoning_apart: bool
) -> None:
    uncached, read, write, visible, reasoning = parts
    given_input = uncached + (0 if cache_apart else read + write)
    received = visible + (0 if reasoning_apart else reasoning)
    said = _span_counts("gen_ai.usage", given_input, received, read, write, reasoning)
    buckets = _billed(said | {"gen_ai.usage.total_tokens": sum(parts)})
    if sum(parts):
        assert total(buckets) == sum(parts)
        # Where both could be what is apart, because they are equally many, either answer sums to the total.
        if read + write != reasoning:
            assert buckets == Buckets(uncached, read, write, output=visible, reasoning_output=reasoning)


@given(PARTS, st.integers(0, 10**6), st.booleans())
def test_litellm(parts: tuple[int, int, int, int, int], hour: int, apart: bool) -> None:
    uncached, read, write, visible, reasoning = parts
    prompt = uncached + (0 if apart else read + write + hour)
    payload = {
        "id": "1",
        "startTime": time.time(),
        "model": "m",
        "custom_llm_provider": "anthropic",
        "prompt_tokens": prompt,
        "completion_tokens": visible + reasoning,
        "total_tokens": sum(parts) + hour,
        "usage": {
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": write + hour,
            "prompt_tokens_details": {"cache_creation_token_details": {"ephemeral_1h_input_tokens": hour}},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        },
    }
    buckets = buckets_of(litellm.decode(litellm.JSON, body(payload), limit=1).events)
    assert buckets == Buckets(uncached, read, write, hour, output=visible, reasoning_output=reasoning)
    assert total(buckets) == payload["total_tokens"]


@given(PARTS)
def test_claude_code(parts: tuple[int, int, int, int, int]) -> None:
    uncached, read, write, visible, _ = parts
    counts = dict(zip(agents.CLAUDE_CODE.counts.values(), (uncached, visible, read, write), strict=True))
    buckets = _logged(counts | {"event.name": "claude_code.api_request"})
    assert buckets == Buckets(uncached, read, write, output=visible)
    assert total(buckets) == sum(counts.values())
    kinds = zip(("input", "output", "cacheRead", "cacheCreation"), (uncached, visible, read, write), strict=True)
    at = time.time_ns()
    points = [otlp.point(number, {"type": kind}, at=at) for kind, number in kinds]
    described = otlp.counter("claude_code.token.usage", points)
    request = otlp.metrics(described, resource={"costhub.usage_from": "metrics"})
    counted = metrics.read(wire.JSON, body(request)).events
    assert buckets_of(counted)._replace(requests=1) == buckets


@given(PARTS, COUNT)
def test_gemini_cli(parts: tuple[int, int, int, int, int], tool: int) -> None:
    uncached, read, _, visible, thoughts = parts
    said = {
        "event.name": "gemini_cli.api_response",
        "input_token_count": uncached + read,
        "cached_content_token_count": read,
        "output_token_count": visible,
        "thoughts_token_count": thoughts,
        "tool_token_count": tool,
    }
    buckets = _logged(said)
    assert buckets == Buckets(uncached + tool, read, output=visible, reasoning_output=thoughts)
    assert total(buckets) == uncached + read + visible + thoughts + tool


@given(PARTS)
def test_codex_cli(parts: tuple[int, int, int, int, int]) -> None:
    uncached, read, _, visible, reasoning = parts
    said = {
        "event.name": "codex.sse_event",
        "event.kind": "response.completed",
        "input_token_count": uncached + read,
        "cached_token_count": read,
        "output_token_count": visible + reasoning,
        "reasoning_token_count": reasoning,
    }
    buckets = _logged(said)
    assert buckets == Buckets(uncached, read, output=visible, reasoning_output=reasoning)
    assert total(buckets) == uncached + read + visible + reasoning


def _total(names: str) -> str:
    return "gen_ai.usage.total_tokens" if names == "gen_ai.usage" else "llm.token_count.total"


def _span_counts(names: str, given_input: int, received: int, read: int, write: int, reasoning: int) -> dict[str, int]:
    if names == "gen_ai.usage":
        fields = ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_creation.input_tokens")
        parts = (*fields, "reasoning.output_tokens")
    else:
        fields = ("prompt", "completion", "prompt_details.cache_read", "prompt_details.cache_write")
        parts = (*fields, "completion_details.reasoning")
    counts = (given_input, received, read, write, reasoning)
    return {f"{names}.{part}": number for part, number in zip(parts, counts, strict=True)}


def _billed(said: dict[str, int]) -> Buckets:
    tree = traces.read(wire.JSON, body(otlp.traces(otlp.span(said))))
    found = tree.billed(tree.covered())
    assert found.faults == []
    return buckets_of(found.events) if any(said.values()) else Buckets()


def _logged(said: dict[str, Any]) -> Buckets:
    found = logs.read(wire.JSON, body(otlp.logs(otlp.log(said))))
    assert found.faults == []
    return buckets_of(found.events)
