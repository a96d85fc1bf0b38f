"""LiteLLM's StandardLoggingPayload, with the fields its documentation lists and the values its proxy gives them."""

import json
import time
from typing import Any

import pytest
from django.test import Client

from pricing.usage_buckets import Buckets
from tests.factories import Tenant, make_token
from tests.ingest.sending import assert_refused, post, sources, waiting

URL = "/api/v1/litellm"


def payload(**fields: Any) -> dict[str, Any]:
    """A call of Claude through a proxy, with the prompt cache read and written; keyword arguments replace fields."""
    started = time.time() - 60
    return {
        "id": "chatcmpl-123",
        "trace_id": "trace-1",
        "call_type": "acompletion",
        "stream": False,
        "response_cost": 1.3545e-02,
        "response_cost_failure_debug_info": None,
        "cost_breakdown": {"input_cost": 0.01, "output_cost": 0.003545},
        "status": "success",
        "custom_llm_provider": "anthropic",
        "total_tokens": 13_250,
        "prompt_tokens": 13_000,
        "completion_tokens": 250,
        "startTime": started,
        "endTime": started + 1.5,
        "completionStartTime": started + 0.4,
        "response_time": 1.5,
        "model": "claude-sonnet-4-5",
        "model_id": "d3adb33f",
        "model_group": "smart",
        "api_base": "https://api.anthropic.com/v1/messages",
        "metadata": {
            "user_api_key_hash": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
            "user_api_key_alias": "backend",
            "user_api_key_team_id": "team-7",
            "user_api_key_team_alias": "Search",
            "user_api_key_user_id": "u_17",
            "user_api_key_org_id": None,
            "spend_logs_metadata": {"free": "form"},
            "usage_object": {
                "prompt_tokens": 13_000,
                "completion_tokens": 250,
                "total_tokens": 13_250,
                "prompt_tokens_details": {"cached_tokens": 10_000, "audio_tokens": None, "text_tokens": None},
                "completion_tokens_details": {"reasoning_tokens": 100},
                "cache_creation_input_tokens": 2_000,
                "cache_read_input_tokens": 10_000,
                "server_tool_use": {"web_search_requests": 2},
            },
        },
        "cache_hit": False,
        "cache_key": None,
        "saved_cache_cost": 0.0,
        "request_tags": ["env:prod", "User-Agent: litellm/1.80", "nightly", 7],
        "end_user": "acme",
        "requester_ip_address": "10.0.0.1",
        "messages": [{"role": "user", "content": "hi"}],
        "response": {"id": "chatcmpl-123", "choices": [], "usage": {"prompt_tokens": 13_000}},
        "error_str": None,
        "error_information": {"error_code": "", "error_class": "", "llm_provider": ""},
        "model_parameters": {"tools": [{"parameters": {"type": "object"}}]},
        "hidden_params": {"response_cost": None, "litellm_model_name": "claude-sonnet-4-5"},
        "a_field_of_next_year": {"deep": [[[]]]},
    } | fields


def test_a_call(client: Client, tenant: Tenant) -> None:
    sent = payload()
    answer = post(client, tenant, URL, [sent])
    assert answer.status_code == 202, answer.content
    assert {name: answer.json()[name] for name in ("accepted", "duplicates", "ignored")} == {
        "accepted": 1,
        "duplicates": 0,
        "ignored": 0,
    }
    [event] = waiting(tenant)
    assert sources(tenant) == {"litellm"}
    assert (event.id, event.provider, event.model, event.operation) == (
        "chatcmpl-123",
        "anthropic",
        "claude-sonnet-4-5",
        "chat",
    )
    assert event.buckets == Buckets(1000, 10_000, 2_000, output=150, reasoning_output=100, tool_calls=2)
    assert event.buckets.input_tokens + event.buckets.output_tokens == sent["total_tokens"]
    assert abs(event.time.timestamp() - sent["startTime"]) < 1e-6
    assert event.latency_ms in {1499, 1500}
    assert event.reported_cost == 13_545_000_000
    assert (event.customer, event.end_user, event.trace_id) == ("acme", "u_17", "trace-1")
    assert event.tags == {
        "litellm_team": "Search",
        "litellm_key": "backend",
        "env": "prod",
        "user_agent": "litellm/1.80",
        "nightly": "true",
        "7": "true",
    }


@pytest.mark.parametrize("log_format", ["json_array", "ndjson", "single"])
def test_every_log_format(client: Client, tenant: Tenant, log_format: str) -> None:
    batch = [payload(id="a"), payload(id="b")]
    if log_format == "json_array":
        bodies, content_type = [json.dumps(batch)], "application/json"
    elif log_format == "ndjson":
        bodies, content_type = ["\n".join(map(json.dumps, batch))], "application/x-ndjson"
    else:
        bodies, content_type = [json.dumps(sent) for sent in batch], "application/json"
    for body in bodies:
        assert post(client, tenant, URL, body, content_type).status_code == 202
    assert [event.id for event in waiting(tenant)] == ["a", "b"]
    for body in bodies:
        assert post(client, tenant, URL, body, content_type).json()["accepted"] == 0
    assert len(waiting(tenant)) == 2


@pytest.mark.parametrize(
    ("usage", "counts", "buckets"),
    [
        ({}, (10, 5, 15), Buckets(10, output=5)),
        ({"prompt_tokens_details": {"cached_tokens": 4}}, (10, 5, 15), Buckets(6, 4, output=5)),
        # One-hour writes are among all writes.
        (
            {
                "cache_creation_input_tokens": 8,
                "prompt_tokens_details": {"cache_creation_token_details": {"ephemeral_1h_input_tokens": 3}},
            },
            (10, 5, 15),
            Buckets(2, 0, 5, 3, output=5),
        ),
        # A version that passed Anthropic's own input through.
        ({"cache_read_input_tokens": 400}, (10, 5, 15), Buckets(10, 400, output=5)),
        ({"prompt_tokens_details": {"audio_tokens": 6}}, (10, 5, 15), Buckets(4, output=5, input_audio=6)),
        ({"input_tokens_details": {"cached_tokens": 4}}, (10, 5, 15), Buckets(6, 4, output=5)),
    ],
)
@pytest.mark.parametrize("place", ["metadata", "response", "beside"])
def test_the_parts_wherever_they_are(
    client: Client,
    tenant: Tenant,
    usage: dict[str, Any],
    counts: tuple[int, int, int],
    buckets: Buckets,
    place: str,
) -> None:
    places: dict[str, dict[str, Any]] = {
        "metadata": {"metadata": {"usage_object": usage}, "response": "redacted-by-litellm"},
        "response": {"metadata": {"usage_object": None}, "response": {"usage": usage}},
        "beside": {"metadata": None, "response": None, "usage": usage},
    }
    prompt, completion, total = counts
    numbers = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    assert post(client, tenant, URL, payload(**numbers, **places[place])).status_code == 202
    assert waiting(tenant)[0].buckets == buckets


def test_an_answer_from_litellms_cache(client: Client, tenant: Tenant) -> None:
    post(client, tenant, URL, payload(cache_hit=True, response_cost=0.0))
    [event] = waiting(tenant)
    assert (event.cache, event.reported_cost) == ("hit", 0)


def test_failed_attempts_of_one_call_are_events_of_their_own(client: Client, tenant: Tenant) -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "metadata": {}, "response": None}
    error = {"error_class": "RateLimitError", "error_code": "429", "llm_provider": "anthropic"}
    attempts = [
        payload(status="failure", response_cost=0, error_information=error, startTime=time.time() - ago, **nothing)
        for ago in (3, 2)
    ]
    assert post(client, tenant, URL, [*attempts, payload()]).json()["accepted"] == 3
    failed = [event for event in waiting(tenant) if event.status == "error"]
    assert [event.buckets for event in failed] == [Buckets(requests=0)] * 2
    assert [event.tags["error"] for event in failed] == ["RateLimitError"] * 2


def test_images(client: Client, tenant: Tenant) -> None:
    numbers = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "metadata": {}}
    post(client, tenant, URL, payload(call_type="aimage_generation", response={"data": [{}, {}]}, **numbers))
    [event] = waiting(tenant)
    assert (event.operation, event.buckets) == ("image", Buckets(images=2))


@pytest.mark.parametrize(
    ("call_type", "operation"),
    [
        ("litellm.completion", "chat"),
        ("aresponses", "chat"),
        ("anthropic_messages", "chat"),
        ("atext_completion", "completion"),
        ("aembedding", "embeddings"),
        ("arerank", "rerank"),
        ("aspeech", "audio"),
        ("amoderation", "moderation"),
        ("something_new", "other"),
    ],
)
def test_kinds_of_calls(client: Client, tenant: Tenant, call_type: str, operation: str) -> None:
    post(client, tenant, URL, payload(call_type=call_type))
    assert waiting(tenant)[0].operation == operation


def test_what_is_no_call_is_ignored(client: Client, tenant: Tenant) -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "metadata": {}, "response": None}
    listing = payload(call_type="afile_list", response_cost=0.0, **nothing)
    answer = post(client, tenant, URL, [listing]).json()
    assert (answer["accepted"], answer["ignored"]) == (0, 1)
    assert waiting(tenant) == []


def test_a_provider_that_is_not_said_is_in_the_models_name(client: Client, tenant: Tenant) -> None:
    post(client, tenant, URL, payload(custom_llm_provider=None, model="azure/gpt-4o"))
    [event] = waiting(tenant)
    assert (event.provider, event.model) == ("litellm", "azure/gpt-4o")


def test_names_that_are_none_of_ours(client: Client, tenant: Tenant) -> None:
    """Too long, or with control characters: cut and told apart, always in the same way."""
    long, longer = "u" * 250, "u" * 251
    sent = [payload(id="an id with spaces", end_user=long), payload(id="x" * 300, end_user=longer, model="a\nb")]
    assert post(client, tenant, URL, sent).json()["accepted"] == 2
    assert post(client, tenant, URL, sent).json()["duplicates"] == 2
    events = waiting(tenant)
    assert len({event.customer for event in events}) == 2
    assert all(len(event.customer) < 200 and event.id.startswith("hash:") for event in events)
    assert {event.model for event in events} == {"claude-sonnet-4-5", "a b"}


@pytest.mark.parametrize(
    ("broken", "pointer", "code"),
    [
        ({"id": None}, "/id", "required"),
        ({"id": 7}, "/id", "required"),
        ({"startTime": None}, "/startTime", "invalid"),
        ({"startTime": "2024-01-01T00:00:00"}, "/startTime", "invalid"),
        ({"startTime": -1}, "/startTime", "invalid"),
        ({"startTime": True}, "/startTime", "invalid"),
        ({"startTime": 1e300}, "/startTime", "invalid"),
        ({"startTime": 1_700_000_000.5}, "/startTime", "timestamp_out_of_window"),
        ({"endTime": []}, "/endTime", "invalid"),
        ({"prompt_tokens": -1}, "/prompt_tokens", "out_of_range"),
        ({"prompt_tokens": 1.5}, "/prompt_tokens", "type"),
        ({"prompt_tokens": True}, "/prompt_tokens", "type"),
        ({"prompt_tokens": 10**15 + 1}, "/prompt_tokens", "out_of_range"),
        ({"completion_tokens": "1_000"}, "/completion_tokens", "type"),
        ({"completion_tokens": "١٢"}, "/completion_tokens", "type"),
        ({"total_tokens": []}, "/total_tokens", "type"),
        ({"usage": {"cache_read_input_tokens": "x"}, "metadata": {}, "response": {}}, "/usage", "type"),
        ({"usage": {"prompt_tokens_details": {"audio_tokens": 99_999}}, "metadata": {}, "response": {}},
         "/prompt_tokens", "inconsistent"),
        ({"response_cost": -0.1}, "/response_cost", "out_of_range"),
        ({"response_cost": "NaN"}, "/response_cost", "out_of_range"),
        ({"response_cost": 1e9}, "/response_cost", "out_of_range"),
        ({"response_cost": {}}, "/response_cost", "type"),
    ],
)  # fmt: skip
def test_faults_point_into_litellms_payload(
    client: Client, tenant: Tenant, broken: dict[str, Any], pointer: str, code: str
) -> None:
    single = post(client, tenant, URL, payload(**broken))
    assert assert_refused(single, 422, "validation-error", tenant) == [(pointer, code)]
    batch = post(client, tenant, URL, [payload(id="sound"), payload(**broken)])
    assert assert_refused(batch, 422, "validation-error", tenant) == [(f"/1{pointer}", code)]


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"", 400, "malformed-json"),
        (b'[{"id"', 400, "malformed-json"),
        (b"[]", 422, "validation-error"),
        (b"null", 422, "validation-error"),
        (b"[7]", 422, "validation-error"),
        (b'{"response_cost": 1e99999999999999999999}', 422, "validation-error"),
        (b'{"messages": ' + b"[" * 1000 + b"]" * 1000 + b"}", 400, "too-deep"),
        (b"[" * 100_000, 400, "too-deep"),
        (b"[" + b"{}," * 1000 + b"{}]", 413, "batch-too-large"),
    ],
)
def test_what_is_no_payload(client: Client, tenant: Tenant, body: bytes, status: int, slug: str) -> None:
    assert_refused(post(client, tenant, URL, body), status, slug, tenant)


def test_an_access_token_names_the_key(client: Client, tenant: Tenant) -> None:
    token = make_token(tenant, "usage:write")
    assert_refused(post(client, tenant, URL, payload(), **token), 422, "validation-error", tenant)
    named = post(client, tenant, URL, payload(), **token, **{"X-CostHub-Virtual-Key": str(tenant.key.id)})
    assert named.json()["accepted"] == 1


def test_a_cost_that_differs_is_kept_and_remarked(client: Client, tenant: Tenant, prices: None) -> None:
    answer = post(client, tenant, URL, [payload(response_cost=5, metadata={})]).json()
    assert [warning["pointer"] for warning in answer["warnings"]] == ["/0/response_cost"]
