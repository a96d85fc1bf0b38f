"""LiteLLM's StandardLoggingPayload, as its `generic_api` callback sends it: an array, one object, or NDJSON.

Token convention: LiteLLM gives every provider's usage OpenAI's shape, so `prompt_tokens` includes cache reads and
writes and `completion_tokens` includes reasoning; `total_tokens` is their sum. The parts come from the usage object,
wherever the version puts it.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from common.problems import Fault, Problem
from ingest.formats import foreign, foreign_json
from ingest.formats.base import Decoded
from ingest.formats.foreign import Unreadable, first_label

JSON, NDJSON = "application/json", "application/x-ndjson"
_OPERATIONS = {
    "completion": "chat",
    "responses": "chat",
    "anthropic_messages": "chat",
    "generate_content": "chat",
    "generate_content_stream": "chat",
    "realtime": "chat",
    "text_completion": "completion",
    "embedding": "embeddings",
    "image_generation": "image",
    "image_edit": "image",
    "image_variation": "image",
    "transcription": "audio",
    "speech": "audio",
    "rerank": "rerank",
    "moderation": "moderation",
    "retrieve_batch": "batch",
}
_TIERS = {"flex": "flex", "priority": "priority", "batch": "batch"}
# Our field → theirs, for what a fault can be about.
_PLACES = {
    "id": "id",
    "time": "startTime",
    "provider": "custom_llm_provider",
    "model": "model",
    "cost": "response_cost",
    "usage/input_tokens": "prompt_tokens",
    "usage/output_tokens": "completion_tokens",
}
_OWN_POINTER = re.compile(r"((?:/[0-9]+)?)/([a-z0-9_/]+)")


def decode(media_type: str, body: bytes, *, limit: int) -> Decoded:
    """The calls of a body. Problem 400, 413, or 422 with a pointer into LiteLLM's payload."""
    document = foreign_json.decode(body, lines=media_type == NDJSON)
    payloads = document if isinstance(document, list) else [document]
    if not payloads:
        raise foreign_json.not_valid(Fault("", "empty_batch", "a batch holds at least one payload"))
    if len(payloads) > limit:
        raise Problem("batch-too-large", f"A batch holds at most {limit} events.", extra={"limit": limit})
    events: list[Any] = []
    pointers: list[str] = []
    faults: list[Fault] = []
    for index, payload in enumerate(payloads):
        at = f"/{index}" if isinstance(document, list) else ""
        event = _Payload(payload, at).event(faults)
        if event:
            events.append(event)
            pointers.append(at)
    if faults:
        raise foreign_json.not_valid(*faults)
    return Decoded(events, pointers, ignored=len(payloads) - len(events), place=_place)


def _place(pointer: str) -> str:
    match = _OWN_POINTER.fullmatch(pointer)
    return f"{match[1]}/{_PLACES.get(match[2], match[2])}" if match else pointer


class _Payload:
    """One payload on its way to an event of ours; each reading of a field may find a fault."""

    def __init__(self, payload: Any, at: str) -> None:
        self.is_object = isinstance(payload, dict)
        self.fields: dict[str, Any] = payload if self.is_object else {}
        self.at = at
        self.metadata = self._mapping(self.fields.get("metadata"))
        self.usage = self._usage_object()
        self.faults: list[Fault] = []

    def event(self, faults: list[Fault]) -> dict[str, Any] | None:
        """None for what is no call of a model, or is faulty; faults are added to the list."""
        if not self.is_object:
            faults.append(Fault(self.at, "type", "must be an object"))
            return None
        event = self._event()
        faults += self.faults
        return None if self.faults or _is_nothing(event) else event

    def _event(self) -> dict[str, Any]:
        failed = self.fields.get("status") == "failure"
        started, ended = self._seconds("startTime"), self._seconds("endTime")
        hit = str(self.fields.get("cache_hit")).lower() == "true"
        operation = self._operation()
        event = foreign.compact(
            {
                "id": self._id(failed),
                "time": foreign.moment(started) if started else None,
                "provider": first_label(self.fields.get("custom_llm_provider"), "litellm"),
                "model": first_label(self.fields.get("model"), self.fields.get("model_group"), foreign.UNKNOWN),
                "operation": operation,
                "service_tier": _TIERS.get(first_label(self.usage.get("service_tier"))),
                "status": "error" if failed else "ok",
                "cache": "hit" if hit else "miss",
                "latency_ms": foreign.latency((ended - started) // 1000) if started and ended else None,
                "cost": self._cost(),
                "customer": first_label(self.fields.get("end_user")),
                "user": first_label(
                    self.metadata.get("user_api_key_user_email"),
                    self.metadata.get("user_api_key_user_id"),
                    self.fields.get("end_user"),
                ),
                "trace_id": first_label(self.fields.get("trace_id")),
                "session": first_label(self.fields.get("session_id"), self.metadata.get("session_id")),
                "agent": first_label(self.fields.get("agent_id"), self.metadata.get("agent_id")),
                "tags": self._tags(),
            }
        )
        return event | {"usage": self._counts(operation, failed)}

    def _cost(self) -> str | None:
        try:
            return foreign.cost(self.fields.get("response_cost"))
        except Unreadable as error:
            self.faults.append(error.at(f"{self.at}/response_cost"))
            return None

    def _id(self, failed: bool) -> str | None:
        given = self.fields.get("id") or self.fields.get("litellm_call_id")
        if not isinstance(given, str):
            self.faults.append(Fault(f"{self.at}/id", "required", "is required"))
            return None
        # Attempts that failed share the id of their call; each is an event of its own.
        return foreign.identifier(f"{given}:failed:{self.fields.get('startTime')}" if failed else given)

    def _seconds(self, name: str) -> int | None:
        """A time in seconds since 1970 as microseconds; endTime may be absent."""
        value = self.fields.get(name)
        if value is None and name != "startTime":
            return None
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 < value < 10**11:
            self.faults.append(Fault(f"{self.at}/{name}", "invalid", "must be seconds since 1970"))
            return None
        return int(value * 1_000_000)

    def _operation(self) -> str:
        call = str(self.fields.get("call_type") or "completion").rpartition(".")[2]
        return _OPERATIONS.get(call) or _OPERATIONS.get(call.removeprefix("a"), "other")

    def _usage_object(self) -> dict[str, Any]:
        """Where the parts of the tokens are: in the metadata, in the answer or beside them, as the version has it."""
        response = self._mapping(self.fields.get("response"))
        places = (self.metadata.get("usage_object"), response.get("usage"), self.fields.get("usage"))
        return next((place for place in places if isinstance(place, dict) and place), {})

    def _counts(self, operation: str, failed: bool) -> dict[str, int]:
        prompt = self._mapping(self.usage.get("prompt_tokens_details") or self.usage.get("input_tokens_details"))
        answer = self._mapping(self.usage.get("completion_tokens_details") or self.usage.get("output_tokens_details"))
        hour = self._mapping(prompt.get("cache_creation_token_details")).get("ephemeral_1h_input_tokens")
        tools = self._mapping(self.usage.get("server_tool_use"))
        counts = {
            "input_tokens": self._count("prompt_tokens", self.fields.get("prompt_tokens")),
            "output_tokens": self._count("completion_tokens", self.fields.get("completion_tokens")),
            "cache_read_input_tokens": self._count(
                "usage", self.usage.get("cache_read_input_tokens") or prompt.get("cached_tokens")
            ),
            "cache_write_input_tokens": self._count(
                "usage", self.usage.get("cache_creation_input_tokens") or prompt.get("cache_creation_tokens")
            ),
            "cache_write_1h_input_tokens": self._count("usage", hour),
            "reasoning_output_tokens": self._count("usage", answer.get("reasoning_tokens")),
            "input_audio_tokens": self._count("usage", prompt.get("audio_tokens")),
            "output_audio_tokens": self._count("usage", answer.get("audio_tokens")),
            "tool_calls": self._count("usage", tools.get("web_search_requests")),
        }
        # The one-hour writes are among all writes there, beside the five-minute ones here.
        writes = counts["cache_write_input_tokens"] - counts["cache_write_1h_input_tokens"]
        counts["cache_write_input_tokens"] = max(writes, 0)
        usage = foreign.inclusive_usage(counts, self._count("total_tokens", self.fields.get("total_tokens")))
        used = any(usage.values())
        if operation == "image" and not used:
            usage["images"] = self._images()
        return {name: value for name, value in usage.items() if value} | ({} if used or not failed else {"requests": 0})

    def _count(self, name: str, value: Any) -> int:
        try:
            return foreign.count(value)
        except Unreadable as error:
            self.faults.append(error.at(f"{self.at}/{name}"))
            return 0

    def _images(self) -> int:
        made = self._mapping(self.fields.get("response")).get("data")
        return len(made) if isinstance(made, list) else 0

    def _tags(self) -> dict[str, str]:
        requested = self.fields.get("request_tags")
        pairs: list[tuple[str, object]] = [
            ("litellm_team", self.metadata.get("user_api_key_team_alias") or self.metadata.get("user_api_key_team_id")),
            ("litellm_key", self.metadata.get("user_api_key_alias")),
            ("litellm_org", self.metadata.get("user_api_key_org_id")),
            ("error", self._mapping(self.fields.get("error_information")).get("error_class")),
        ]
        for text in requested if isinstance(requested, list) else []:
            # "env:prod" is a name and a value; a bare word is true.
            name, colon, value = str(text).partition(":")
            pairs.append((name, value if colon else "true"))
        return foreign.tags(pairs)

    @staticmethod
    def _mapping(value: Any) -> Mapping[str, Any]:
        return value if isinstance(value, dict) else {}


def _is_nothing(event: dict[str, Any]) -> bool:
    """What is no call of a model and neither used nor cost anything, such as the listing of files."""
    return event["operation"] == "other" and not event["usage"] and event.get("cost") in (None, "0")
