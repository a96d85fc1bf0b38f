"""Exports as providers document them."""

import json
from datetime import UTC, date, datetime
from typing import Any

# The example of OpenAI's API reference for GET /v1/organization/costs.
OPENAI_COSTS: dict[str, Any] = {
    "object": "page",
    "data": [
        {
            "object": "bucket",
            "start_time": 1730419200,
            "end_time": 1730505600,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": "0.06", "currency": "usd"},
                    "line_item": None,
                    "project_id": None,
                }
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}
# The example of OpenAI's API reference for GET /v1/organization/usage/completions.
OPENAI_USAGE: dict[str, Any] = {
    "object": "page",
    "data": [
        {
            "object": "bucket",
            "start_time": 1730419200,
            "end_time": 1730505600,
            "results": [
                {
                    "object": "organization.usage.completions.result",
                    "input_tokens": 1000,
                    "output_tokens": 500,
                    "input_cached_tokens": 800,
                    "num_model_requests": 5,
                    "project_id": None,
                    "user_id": None,
                    "api_key_id": None,
                    "model": None,
                    "batch": None,
                }
            ],
        }
    ],
    "has_more": True,
    "next_page": "AAAAAGdGxdEiJdKOAAAAAGcqsYA=",
}
# The shape of Anthropic's reference for GET /v1/organizations/cost_report; "123.45" in USD represents $1.23.
ANTHROPIC_COSTS: dict[str, Any] = {
    "data": [
        {
            "starting_at": "2025-08-01T00:00:00Z",
            "ending_at": "2025-08-02T00:00:00Z",
            "results": [
                {
                    "currency": "USD",
                    "amount": "123.45",
                    "workspace_id": "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ",
                    "description": "Claude Sonnet 4 Usage - Input Tokens",
                    "cost_type": "tokens",
                    "context_window": "0-200k",
                    "model": "claude-sonnet-4-20250514",
                    "service_tier": "standard",
                    "token_type": "uncached_input_tokens",
                }
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}
# The shape of Anthropic's reference for GET /v1/organizations/usage_report/messages.
ANTHROPIC_USAGE: dict[str, Any] = {
    "data": [
        {
            "starting_at": "2025-08-01T00:00:00Z",
            "ending_at": "2025-08-02T00:00:00Z",
            "results": [
                {
                    "uncached_input_tokens": 1500,
                    "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
                    "cache_read_input_tokens": 200,
                    "output_tokens": 500,
                    "server_tool_use": {"web_search_requests": 10},
                    "api_key_id": None,
                    "workspace_id": None,
                    "model": "claude-sonnet-4-20250514",
                    "service_tier": "standard",
                    "context_window": "0-200k",
                }
            ],
        }
    ],
    "has_more": False,
    "next_page": None,
}


def bucket(day: date, *results: dict[str, Any]) -> dict[str, Any]:
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(results)}


def cost(usd: str, line_item: str | None = "gpt-4.1-nano, input") -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": usd, "currency": "usd"},
        "line_item": line_item,
        "project_id": None,
    }


def usage(read: int, written: int, model: str = "gpt-4.1-nano") -> dict[str, Any]:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": read,
        "output_tokens": written,
        "model": model,
    }


def page(*buckets: dict[str, Any]) -> dict[str, Any]:
    return {"object": "page", "data": list(buckets), "has_more": False, "next_page": None}


def as_file(document: Any) -> bytes:
    return json.dumps(document).encode()
