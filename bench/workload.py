"""What the benchmarks send: events of a mixed, believable workload, already encoded, in batches."""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

MODELS = (
    ("openai", "gpt-4.1-mini"),
    ("openai", "gpt-4.1-nano"),
    ("openai", "gpt-4o"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("google", "gemini-2.5-flash"),
)


def bodies(*, events: int, batch: int, seed: int) -> list[bytes]:
    """JSON bodies of `batch` events each, as live traffic has them, with ids that no other call makes."""
    draw, run = random.Random(seed), uuid.uuid4().hex[:8]
    now = datetime.now(UTC)
    return [
        json.dumps({"events": [_event(f"{run}-{start + index}", draw, now) for index in range(batch)]}).encode()
        for start in range(0, events, batch)
    ]


def _event(event_id: str, draw: random.Random, now: datetime) -> dict[str, Any]:
    provider, model = draw.choice(MODELS)
    into = int(draw.lognormvariate(7, 1))
    return {
        "id": event_id,
        "time": (now - timedelta(seconds=_age(draw))).isoformat(),
        "provider": provider,
        "model": model,
        "latency_ms": draw.randrange(200, 9_000),
        "usage": {
            "input_tokens": into,
            "cache_read_input_tokens": int(into * draw.random() * 0.6),
            "output_tokens": int(draw.lognormvariate(5, 1)),
        },
        "customer": f"customer-{draw.randrange(50)}",
        "feature": draw.choice(["chat", "search", "summary"]),
        "tags": {"env": "prod"},
    }


def _age(draw: random.Random) -> int:
    """Seconds since the call: minutes for nearly all, and for one in fifty anything up to a day."""
    return draw.randrange(86_400) if draw.random() < 0.02 else draw.randrange(300)
