"""Usage events as clients send them."""

import itertools
from datetime import UTC, datetime
from typing import Any

_numbers = itertools.count(1)


def event(**fields: Any) -> dict[str, Any]:
    """A valid event of now with a fresh id; keyword arguments replace fields."""
    return {
        "id": f"evt_{next(_numbers)}",
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "provider": "openai",
        "model": "gpt-4.1-nano",
        "usage": {"input_tokens": 1500, "cache_read_input_tokens": 300, "output_tokens": 250},
    } | fields
