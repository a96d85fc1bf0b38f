"""The units of one model call, in buckets that never overlap.

Sources disagree on whether "input" contains the cached tokens; a bucket never does. Each ingest format converts its
own convention once, at the edge; `from_inclusive` is the conversion of ours (which is OpenTelemetry's).
"""

from typing import NamedTuple


class Buckets(NamedTuple):
    """Counts, each an int ≥ 0 (callers validate). A tuple, because one is made and multiplied for every event."""

    uncached_input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning_output: int = 0
    input_audio: int = 0
    output_audio: int = 0
    images: int = 0
    requests: int = 1
    tool_calls: int = 0

    @property
    def input_tokens(self) -> int:
        """All input tokens; long-context prices are chosen by this sum."""
        return self.uncached_input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.input_audio

    @property
    def output_tokens(self) -> int:
        return self.output + self.reasoning_output + self.output_audio


BUCKETS: tuple[str, ...] = Buckets._fields


class UsageError(ValueError):
    """Counts that cannot all be true. `field` is the wire name of the count to blame."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


def from_inclusive(
    *,
    input_tokens: int,
    output_tokens: int = 0,
    cache_read_input_tokens: int = 0,
    cache_write_input_tokens: int = 0,
    cache_write_1h_input_tokens: int = 0,
    reasoning_output_tokens: int = 0,
    input_audio_tokens: int = 0,
    output_audio_tokens: int = 0,
    images: int = 0,
    requests: int = 1,
    tool_calls: int = 0,
) -> Buckets:
    """Our wire convention to buckets: input includes cached, written and audio; output includes reasoning and audio.

    `cache_write_input_tokens` are the five-minute writes; the one-hour writes come beside them, not inside them.
    Raises UsageError when a part is larger than its whole or a count is negative.
    """
    counts = locals()
    for field, count in counts.items():
        if count < 0:
            raise UsageError(field, "must not be negative")
    cached = cache_read_input_tokens + cache_write_input_tokens + cache_write_1h_input_tokens
    uncached = input_tokens - cached - input_audio_tokens
    if uncached < 0:
        raise UsageError("input_tokens", f"is less than its cached and audio parts ({cached + input_audio_tokens})")
    visible = output_tokens - reasoning_output_tokens - output_audio_tokens
    if visible < 0:
        parts = reasoning_output_tokens + output_audio_tokens
        raise UsageError("output_tokens", f"is less than its reasoning and audio parts ({parts})")
    return Buckets(
        uncached,
        cache_read_input_tokens,
        cache_write_input_tokens,
        cache_write_1h_input_tokens,
        visible,
        reasoning_output_tokens,
        input_audio_tokens,
        output_audio_tokens,
        images,
        requests,
        tool_calls,
    )
