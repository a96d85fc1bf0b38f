"""Telemetry of coding agents: every answered call once, whatever signals they export, and the developer it is for."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from ingest import pipeline
from ingest.formats.otlp.wire import LOGS, METRICS
from pricing.usage_buckets import Buckets
from tenants.access import organization_scope
from tests.factories import Tenant
from tests.ingest.otlp import as_protobuf, counter, log, logs, metrics, point
from tests.ingest.sending import post, sources, waiting
from usage.models import UsageEvent

PROTOBUF = "application/x-protobuf"
FROM_METRICS = {"service.name": "claude-code", "costhub.usage_from": "metrics"}
DEVELOPER = {"session.id": "s1", "user.account_uuid": "a1", "user.email": "dev@acme.example", "organization.id": "o1"}
CLAUDE = DEVELOPER | {
    "event.name": "api_request",
    "event.timestamp": "2026-11-24T10:00:00.000Z",
    "event.sequence": 3,
    "prompt.id": "p1",
    "model": "claude-sonnet-4-5-20250929",
    "cost_usd": 0.0123,
    "duration_ms": 2500,
    "input_tokens": 10,
    "output_tokens": 400,
    "cache_read_tokens": 20_000,
    "cache_creation_tokens": 1_000,
    "request_id": "req_011",
    "query_source": "repl_main_thread",
    "speed": "normal",
    "effort": "high",
}
CLAUDE_BUCKETS = Buckets(10, 20_000, 1_000, output=400)
GEMINI = {
    "event.name": "gemini_cli.api_response",
    "session.id": "s2",
    "user.email": "dev@acme.example",
    "prompt_id": "p2",
    "model": "gemini-2.5-pro",
    "status_code": 200,
    "duration_ms": 900,
    "input_token_count": 24_939,
    "output_token_count": 20,
    "cached_content_token_count": 21_263,
    "thoughts_token_count": 154,
    "tool_token_count": 7,
    "total_token_count": 25_120,
}
CODEX = {
    "event.name": "codex.sse_event",
    "event.kind": "response.completed",
    "event.timestamp": "2026-11-24T10:00:00.000Z",
    "conversation.id": "c1",
    "user.account_id": "acc",
    "user.email": "dev@acme.example",
    "model": "gpt-5-codex",
    "input_token_count": "9000",
    "output_token_count": "300",
    "cached_token_count": 8000,
    "reasoning_token_count": 200,
    "tool_token_count": "9300",
}


def send_logs(client: Client, tenant: Tenant, *records: dict[str, Any], **options: Any) -> Any:
    return post(client, tenant, "/v1/logs", logs(*records, **options))


def send_metrics(client: Client, tenant: Tenant, *described: dict[str, Any], **options: Any) -> Any:
    return post(client, tenant, "/v1/metrics", metrics(*described, **options))


@pytest.mark.parametrize("encoding", ["application/json", PROTOBUF])
def test_a_request_of_claude_code(client: Client, tenant: Tenant, encoding: str) -> None:
    record = log(CLAUDE, body={"stringValue": "claude_code.api_request"})
    request = logs(record, resource={"service.name": "claude-code", "department": "platform"})
    body = as_protobuf(LOGS, request) if encoding == PROTOBUF else json.dumps(request)
    answer = post(client, tenant, "/v1/logs", body, encoding)
    assert (answer.status_code, answer["Content-Type"]) == (200, encoding)
    [event] = waiting(tenant)
    assert sources(tenant) == {"otlp"}
    assert (event.id, event.provider, event.model) == ("claude-code:req_011", "anthropic", CLAUDE["model"])
    assert event.buckets == CLAUDE_BUCKETS
    assert (event.agent, event.feature, event.end_user) == ("claude-code", "repl_main_thread", "dev@acme.example")
    assert (event.session, event.trace_id, event.latency_ms) == ("s1", "p1", 2500)
    assert event.reported_cost == 12_300_000_000
    assert event.tags == {"service": "claude-code", "department": "platform", "effort": "high", "speed": "normal"}
    assert int(event.time.timestamp() * 10**6) == int(record["timeUnixNano"]) // 1000


@pytest.mark.parametrize(
    ("said", "agent", "buckets"),
    [
        (CLAUDE, "claude-code", CLAUDE_BUCKETS),
        (CLAUDE | {"input_tokens": "10", "cache_read_tokens": 20_000.0}, "claude-code", CLAUDE_BUCKETS),
        (GEMINI, "gemini-cli", Buckets(24_939 + 7 - 21_263, 21_263, output=20, reasoning_output=154)),
        (CODEX, "codex-cli", Buckets(1000, 8000, output=100, reasoning_output=200)),
    ],
)
def test_every_agent(client: Client, tenant: Tenant, said: dict[str, Any], agent: str, buckets: Buckets) -> None:
    answer = send_logs(client, tenant, log(said), resource={"service.name": "claude-code"})
    assert answer.json() == {}
    [event] = waiting(tenant)
    assert (event.agent, event.buckets, event.end_user) == (agent, buckets, "dev@acme.example")
    if said is GEMINI:
        assert event.buckets.input_tokens + event.buckets.output_tokens == said["total_token_count"]


def test_other_events_pass(client: Client, tenant: Tenant) -> None:
    others = [
        log(CLAUDE | {"event.name": "user_prompt"}, body={"stringValue": "claude_code.user_prompt"}),
        log(CLAUDE | {"event.name": "api_error"}, body={"stringValue": "claude_code.api_error"}),
        log(CODEX | {"event.kind": "response.created"}),
        log({name: CODEX[name] for name in CODEX if not name.endswith("token_count")}),
        # Gemini CLI says the same call in the semantic conventions' words as well.
        log({"event.name": "gen_ai.client.inference.operation.details", "gen_ai.usage.input_tokens": 5}),
        log({"event.name": "api_request", "input_tokens": 5}),
        log({}, body={"kvlistValue": {"values": []}}),
    ]
    assert send_logs(client, tenant, *others).json() == {}
    assert waiting(tenant) == []


def test_events_without_a_request_id_are_told_apart_by_what_they_say(client: Client, tenant: Tenant) -> None:
    said = {name: CLAUDE[name] for name in CLAUDE if name != "request_id"}
    first = log(said, body={"stringValue": "claude_code.api_request"})
    resumed = {**first, "timeUnixNano": str(int(first["timeUnixNano"]) + 10**9)}
    for records in ([first], [first, resumed], [resumed]):
        assert send_logs(client, tenant, *records).json() == {}
    assert len(waiting(tenant)) == 2


def test_the_time_of_a_record_that_has_none(client: Client, tenant: Tenant) -> None:
    now = datetime.now(UTC).replace(microsecond=1000)
    stamped = CODEX | {"event.timestamp": now.isoformat().replace("+00:00", "Z")}
    observed = {name: CODEX[name] for name in CODEX if name != "event.timestamp"}
    send_logs(client, tenant, log(stamped, timeUnixNano="0"))
    assert waiting(tenant)[0].time == now
    send_logs(client, tenant, log(observed, timeUnixNano=None, observedTimeUnixNano=str(time.time_ns())))
    assert len(waiting(tenant)) == 2


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("input_tokens", -1), ("input_tokens", 1.5), ("output_tokens", "1_000"), ("cost_usd", "much"), ("cost_usd", -1)],
)
def test_a_record_that_cannot_be_read_is_rejected(client: Client, tenant: Tenant, field: str, wrong: Any) -> None:
    records = [log(CLAUDE), log(CLAUDE | {field: wrong, "request_id": "req_2"})]
    answer = send_logs(client, tenant, *records, resource={"service.name": "claude-code"}).json()
    assert answer["partialSuccess"]["rejectedLogRecords"] == "1"
    assert field in answer["partialSuccess"]["errorMessage"]
    assert [event.id for event in waiting(tenant)] == ["claude-code:req_011"]


def counters(at: int) -> list[dict[str, Any]]:
    """What Claude Code counts in a minute, in two models."""
    sonnet, haiku = DEVELOPER | {"model": "claude-sonnet-4-5"}, DEVELOPER | {"model": "claude-haiku-4-5"}
    tokens = [
        point(10, sonnet | {"type": "input"}, at=at),
        point(400.0, sonnet | {"type": "output"}, at=at),
        point(20_000, sonnet | {"type": "cacheRead"}, at=at),
        point(1_000, sonnet | {"type": "cacheCreation"}, at=at),
        point(7, haiku | {"type": "input"}, at=at),
    ]
    return [
        counter("claude_code.token.usage", tokens),
        counter("claude_code.cost.usage", [point(0.0123, sonnet, at=at)]),
        counter("claude_code.session.count", [point(1, DEVELOPER, at=at)]),
        {"name": "gen_ai.client.token.usage", "histogram": {"dataPoints": []}},
    ]


def test_metrics_are_not_billed_unless_asked(client: Client, tenant: Tenant) -> None:
    answer = send_metrics(client, tenant, *counters(time.time_ns()), resource={"service.name": "claude-code"}).json()
    assert answer["partialSuccess"]["rejectedDataPoints"] == "0"
    assert "costhub.usage_from=metrics" in answer["partialSuccess"]["errorMessage"]
    assert waiting(tenant) == []


@pytest.mark.parametrize("encoding", ["application/json", PROTOBUF])
def test_metrics_when_asked(client: Client, tenant: Tenant, encoding: str) -> None:
    at = time.time_ns()
    request = metrics(*counters(at), resource=FROM_METRICS)
    body = as_protobuf(METRICS, request) if encoding == PROTOBUF else json.dumps(request)
    for _ in range(2):
        assert post(client, tenant, "/v1/metrics", body, encoding).status_code == 200
    haiku, sonnet = sorted(waiting(tenant), key=lambda event: event.model)
    assert sonnet.buckets == CLAUDE_BUCKETS._replace(requests=0)
    assert (sonnet.reported_cost, sonnet.agent, sonnet.end_user) == (12_300_000_000, "claude-code", "dev@acme.example")
    assert haiku.buckets == Buckets(7, requests=0)
    assert int(sonnet.time.timestamp() * 10**6) == at // 1000


@pytest.mark.parametrize("resource", [{"service.name": "claude-code"}, FROM_METRICS])
def test_a_call_told_by_every_signal_is_billed_once(client: Client, tenant: Tenant, resource: dict[str, Any]) -> None:
    record = log(CLAUDE, body={"stringValue": "claude_code.api_request"})
    send_logs(client, tenant, record, resource=resource)
    send_metrics(client, tenant, counters(time.time_ns())[0], resource=resource)
    sonnets = [event for event in waiting(tenant) if event.model.startswith("claude-sonnet")]
    assert [event.buckets._replace(requests=1) for event in sonnets] == [CLAUDE_BUCKETS]


def test_points_of_one_interval_in_two_requests(client: Client, tenant: Tenant) -> None:
    """A collector may split them; together they are what was used."""
    at = time.time_ns()
    [tokens, *_] = counters(at)
    for part in (tokens["sum"]["dataPoints"][:2], tokens["sum"]["dataPoints"][2:4]):
        send_metrics(client, tenant, counter("claude_code.token.usage", part), resource=FROM_METRICS)
    assert sum(event.buckets.input_tokens for event in waiting(tenant)) == 21_010
    assert sum(event.buckets.output_tokens for event in waiting(tenant)) == 400


@pytest.mark.parametrize("temporality", [0, 2, "AGGREGATION_TEMPORALITY_CUMULATIVE"])
def test_cumulative_counters_are_rejected(client: Client, tenant: Tenant, temporality: Any) -> None:
    points = [point(number, {"type": "input"}, at=time.time_ns()) for number in (5, 6)]
    described = counter("claude_code.token.usage", points, temporality=temporality)
    answer = send_metrics(client, tenant, described, resource=FROM_METRICS).json()["partialSuccess"]
    assert (answer["rejectedDataPoints"], "delta" in answer["errorMessage"]) == ("2", True)
    assert waiting(tenant) == []


@pytest.mark.parametrize("number", [-1, 1.5, 1e300, "NaN"])
def test_counters_that_cannot_be_read_are_rejected(client: Client, tenant: Tenant, number: Any) -> None:
    broken = point(1.0, {"type": "input"}, at=time.time_ns()) | {"asDouble": number}
    answer = send_metrics(client, tenant, counter("claude_code.token.usage", [broken]), resource=FROM_METRICS).json()
    assert answer["partialSuccess"]["rejectedDataPoints"] == "1"
    assert waiting(tenant) == []


def test_cost_per_developer(client: Client, tenant: Tenant, prices: None) -> None:
    """What a manager asks: who used how much, priced like any other call."""
    for user, request in (("ann@acme.example", "1"), ("bob@acme.example", "2")):
        said = CLAUDE | {"user.email": user, "request_id": request}
        send_logs(client, tenant, log(said), resource={"service.name": "claude-code"})
    pipeline.settle_waiting(datetime.now(UTC))
    with organization_scope(tenant.id):
        costs = dict(UsageEvent.objects.values_list("end_user", "cost"))
    # USD per million of claude-sonnet-4-5: input 3, cache read 0.30, write 3.75, output 15.
    nano = 10 * 3_000 + 20_000 * 300 + 1_000 * 3_750 + 400 * 15_000
    assert costs == {"ann@acme.example": nano, "bob@acme.example": nano}
