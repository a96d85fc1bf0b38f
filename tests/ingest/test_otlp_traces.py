"""OTLP traces: which spans become events, and of what content, in protobuf and JSON alike."""

import gzip
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from openinference.semconv.trace import SpanAttributes as OpenInference
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv_ai import SpanAttributes as OpenLLMetry

from ingest.formats.otlp.wire import TRACES
from ingest.tasks import forget_old_claims
from pricing.usage_buckets import Buckets
from tenants.access import organization_scope
from tests.factories import Tenant, make_token
from tests.ingest.otlp import as_protobuf, attributes, span, traces
from tests.ingest.sending import assert_refused, post, sources, waiting

PROTOBUF = "application/x-protobuf"
URL = "/v1/traces"
CURRENT = {
    gen_ai.GEN_AI_PROVIDER_NAME: "openai",
    gen_ai.GEN_AI_OPERATION_NAME: "chat",
    gen_ai.GEN_AI_REQUEST_MODEL: "gpt-4.1-nano",
    gen_ai.GEN_AI_RESPONSE_MODEL: "gpt-4.1-nano-2025-04-14",
    gen_ai.GEN_AI_USAGE_INPUT_TOKENS: 1500,
    gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: 300,
    gen_ai.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: 100,
    gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: 250,
    gen_ai.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: 50,
    gen_ai.GEN_AI_AGENT_NAME: "researcher",
    gen_ai.GEN_AI_CONVERSATION_ID: "c9",
    "enduser.id": "u_17",
}
BUCKETS = Buckets(uncached_input=1100, cache_read=300, cache_write_5m=100, output=200, reasoning_output=50)
OLDER = {
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.prompt_tokens": 10,
    "gen_ai.usage.completion_tokens": 5,
}
TRACELOOP = {
    OpenLLMetry.LLM_SYSTEM: "Anthropic",
    OpenLLMetry.LLM_REQUEST_TYPE: "chat",
    OpenLLMetry.LLM_RESPONSE_MODEL: "claude-sonnet-4-5",
    OpenLLMetry.LLM_USAGE_PROMPT_TOKENS: 900,
    OpenLLMetry.LLM_USAGE_COMPLETION_TOKENS: 40,
    OpenLLMetry.LLM_USAGE_TOTAL_TOKENS: 940,
    OpenLLMetry.LLM_USAGE_CACHE_READ_INPUT_TOKENS: 500,
    OpenLLMetry.LLM_USAGE_CACHE_CREATION_INPUT_TOKENS: 300,
    OpenLLMetry.TRACELOOP_WORKFLOW_NAME: "support-bot",
    f"{OpenLLMetry.TRACELOOP_ASSOCIATION_PROPERTIES}.user_id": "u_17",
    f"{OpenLLMetry.TRACELOOP_ASSOCIATION_PROPERTIES}.session_id": "s1",
}
OPENINFERENCE = {
    OpenInference.OPENINFERENCE_SPAN_KIND: "LLM",
    OpenInference.LLM_PROVIDER: "azure",
    OpenInference.LLM_SYSTEM: "openai",
    OpenInference.LLM_MODEL_NAME: "gpt-4o",
    OpenInference.LLM_TOKEN_COUNT_PROMPT: 700,
    OpenInference.LLM_TOKEN_COUNT_PROMPT_DETAILS_CACHE_READ: 200,
    OpenInference.LLM_TOKEN_COUNT_PROMPT_DETAILS_AUDIO: 60,
    OpenInference.LLM_TOKEN_COUNT_COMPLETION: 90,
    OpenInference.LLM_TOKEN_COUNT_COMPLETION_DETAILS_REASONING: 30,
    OpenInference.LLM_TOKEN_COUNT_TOTAL: 790,
    OpenInference.SESSION_ID: "s2",
    OpenInference.USER_ID: "u_18",
}


def export(client: Client, tenant: Tenant, *spans: dict[str, Any], **options: Any) -> Any:
    return post(client, tenant, URL, traces(*spans, **options))


@pytest.mark.parametrize("encoding", ["application/json", PROTOBUF])
def test_a_span_becomes_an_event(client: Client, tenant: Tenant, encoding: str) -> None:
    sent = span(CURRENT, parentSpanId="00000000000000ff")
    request = traces(sent, resource={"service.name": "shop", "costhub.tag.env": "prod", "costhub.customer": "acme"})
    body = json.dumps(request) if encoding != PROTOBUF else as_protobuf(TRACES, request)
    answer = post(client, tenant, URL, gzip.compress(body if isinstance(body, bytes) else body.encode()),
                  encoding, **{"Content-Encoding": "gzip"})  # fmt: skip
    assert (answer.status_code, answer["Content-Type"]) == (200, encoding)
    if encoding == PROTOBUF:
        assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    else:
        assert answer.json() == {}
    [event] = waiting(tenant)
    assert sources(tenant) == {"otlp"}
    assert event.id == f"{sent['traceId']}-{sent['spanId']}"
    assert int(event.time.timestamp() * 1_000_000) == int(sent["startTimeUnixNano"]) // 1000
    assert (event.provider, event.model, event.operation) == ("openai", "gpt-4.1-nano-2025-04-14", "chat")
    assert event.buckets == BUCKETS
    assert (event.latency_ms, event.status) == (500, "ok")
    assert (event.trace_id, event.span_id, event.parent_span_id) == (
        sent["traceId"],
        sent["spanId"],
        "00000000000000ff",
    )
    assert (event.agent, event.session, event.end_user, event.customer) == ("researcher", "c9", "u_17", "acme")
    assert event.tags == {"service": "shop", "env": "prod"}


def test_both_encodings_are_the_same_event(client: Client, tenant: Tenant) -> None:
    request = traces(span(CURRENT), span(OLDER), span(TRACELOOP), span(OPENINFERENCE | {"llm.cost.total": 0.0123}))
    assert post(client, tenant, URL, request).status_code == 200
    assert post(client, tenant, URL, as_protobuf(TRACES, request), PROTOBUF).status_code == 200
    assert len(waiting(tenant)) == 4


@pytest.mark.parametrize(
    ("said", "provider", "model", "buckets"),
    [
        (CURRENT, "openai", "gpt-4.1-nano-2025-04-14", BUCKETS),
        (OLDER, "openai", "gpt-4o", Buckets(10, output=5)),
        (TRACELOOP, "Anthropic", "claude-sonnet-4-5", Buckets(100, 500, 300, output=40)),
        (
            OPENINFERENCE,
            "azure",
            "gpt-4o",
            Buckets(440, 200, input_audio=60, output=60, reasoning_output=30),
        ),
    ],
)
def test_every_vocabulary(
    client: Client, tenant: Tenant, said: dict[str, Any], provider: str, model: str, buckets: Buckets
) -> None:
    assert export(client, tenant, span(said)).json() == {}
    [event] = waiting(tenant)
    assert (event.provider, event.model, event.buckets) == (provider, model, buckets)


def test_labels_of_openllmetry_and_openinference(client: Client, tenant: Tenant) -> None:
    export(client, tenant, span(TRACELOOP), span(OPENINFERENCE))
    assert [(event.feature, event.end_user, event.session) for event in waiting(tenant)] == [
        ("support-bot", "u_17", "s1"),
        ("", "u_18", "s2"),
    ]


@pytest.mark.parametrize(
    ("said", "buckets"),
    [
        # Anthropic's own numbers passed through: the caches are more than the input.
        ({"input_tokens": 10, "cache_read.input_tokens": 2000, "output_tokens": 5}, Buckets(10, 2000, output=5)),
        # They are less, but the total tells that they are apart.
        (
            {"input_tokens": 900, "cache_read.input_tokens": 500, "output_tokens": 5, "total_tokens": 1405},
            Buckets(900, 500, output=5),
        ),
        # Gemini's thoughts beside the answer.
        ({"input_tokens": 10, "output_tokens": 5, "reasoning_tokens": 70}, Buckets(10, output=5, reasoning_output=70)),
    ],
)
def test_parts_that_the_whole_does_not_include(
    client: Client, tenant: Tenant, said: dict[str, int], buckets: Buckets
) -> None:
    export(client, tenant, span({f"gen_ai.usage.{name}": number for name, number in said.items()}))
    assert waiting(tenant)[0].buckets == buckets


def test_a_parent_that_repeats_its_children_is_not_billed(client: Client, tenant: Tenant) -> None:
    """Agent and chain carry the sum of two calls; a call without a parent in the request is billed."""
    agent = span(CURRENT | {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 3000})
    chain = span({"gen_ai.operation.name": "chain"}, parent=agent)
    calls = [span(CURRENT, parent=chain), span(CURRENT, parent=chain)]
    alone = span(OLDER)
    export(client, tenant, *calls, chain, agent, alone)
    assert {event.span_id for event in waiting(tenant)} == {call["spanId"] for call in [*calls, alone]}


def test_an_agent_whose_calls_are_not_seen_is_billed(client: Client, tenant: Tenant) -> None:
    agent = span(CURRENT | {"gen_ai.operation.name": "invoke_agent"})
    zeros = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
    export(client, tenant, agent, span({}, parent=agent), span(zeros, parent=agent))
    assert [(event.span_id, event.operation) for event in waiting(tenant)] == [(agent["spanId"], "other")]


def test_spans_of_other_traces_are_no_relatives(client: Client, tenant: Tenant) -> None:
    one = span(CURRENT)
    other = span(CURRENT, parentSpanId=one["spanId"])
    export(client, tenant, one, other)
    assert len(waiting(tenant)) == 2


def test_a_span_that_is_its_own_parent_is_billed(client: Client, tenant: Tenant) -> None:
    loop = span(CURRENT, spanId="00000000000000aa", parentSpanId="00000000000000aa")
    assert export(client, tenant, loop).json() == {}
    assert len(waiting(tenant)) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_tree_in_three_requests(client: Client, tenant: Tenant, order: tuple[int, ...]) -> None:
    """Two calls under an agent, all with usage, in any order and twice: never the agent beside its calls."""
    agent = span(CURRENT | {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 3000})
    calls = [span(CURRENT, parent=agent), span(CURRENT, parent=agent)]
    tree = [agent, *calls]
    for _ in range(2):
        for index in order:
            assert export(client, tenant, tree[index]).json() == {}
    expected = {agent["spanId"]} if order[0] == 0 else {call["spanId"] for call in calls}
    assert {event.span_id for event in waiting(tenant)} == expected


def test_an_agent_two_levels_up_in_a_later_request(client: Client, tenant: Tenant) -> None:
    """Spans end from the inside out, and come so."""
    agent = span(CURRENT)
    chain = span({}, parent=agent)
    call = span(CURRENT, parent=chain)
    for sent in (call, chain, agent):
        export(client, tenant, sent)
    assert [event.span_id for event in waiting(tenant)] == [call["spanId"]]


def test_calls_below_an_agent_that_was_billed_before(client: Client, tenant: Tenant) -> None:
    """Siblings share their ancestors; only the call of another tree is new."""
    agent = span(CURRENT)
    chain = span({}, parent=agent)
    export(client, tenant, agent)
    alone = span(CURRENT, parent=span({}))
    export(client, tenant, span(CURRENT, parent=chain), alone, chain, span(CURRENT, parent=chain))
    assert {event.span_id for event in waiting(tenant)} == {agent["spanId"], alone["spanId"]}


def test_a_refused_request_covers_nothing(client: Client, tenant: Tenant) -> None:
    agent = span(CURRENT)
    call = span(CURRENT, parent=agent)
    known = span(CURRENT)
    export(client, tenant, known)
    assert export(client, tenant, call, known | {"attributes": attributes(OLDER)}).status_code == 409
    export(client, tenant, agent)
    assert {event.span_id for event in waiting(tenant)} == {known["spanId"], agent["spanId"]}


def test_another_organizations_trace_covers_nothing(client: Client, tenant: Tenant, stranger: Tenant) -> None:
    agent = span(CURRENT)
    export(client, stranger, span(CURRENT, parent=agent))
    export(client, tenant, agent)
    assert [event.span_id for event in waiting(tenant)] == [agent["spanId"]]


def test_what_is_remembered_of_traces_is_forgotten_with_the_claims(
    client: Client, tenant: Tenant, time_machine: Any
) -> None:
    export(client, tenant, span(CURRENT, parentSpanId="00000000000000bb"))
    forget_old_claims()
    assert covered_spans(tenant) == 1
    time_machine.move_to(datetime.now(UTC) + timedelta(days=41))
    forget_old_claims()
    assert covered_spans(tenant) == 0


def covered_spans(tenant: Tenant) -> int:
    with organization_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ingest_covered_span")
        return int(cursor.fetchone()[0])


def test_sent_again_it_is_known(client: Client, tenant: Tenant) -> None:
    """Also in another batch: nothing of an event comes from its neighbours."""
    first, second = span(CURRENT), span(OLDER)
    for spans in ([first, second], [second], [second, first, span({})]):
        assert export(client, tenant, *spans).json() == {}
    assert len(waiting(tenant)) == 2


def test_usage_without_a_provider_or_model_is_kept_as_unknown(client: Client, tenant: Tenant) -> None:
    export(client, tenant, span({"gen_ai.usage.input_tokens": 5}))
    [event] = waiting(tenant)
    assert (event.provider, event.model) == ("unknown", "unknown")


@pytest.mark.parametrize("status", [{"code": 2}, {"code": "STATUS_CODE_ERROR", "message": "timeout"}])
def test_a_failed_call(client: Client, tenant: Tenant, status: dict[str, Any]) -> None:
    export(client, tenant, span(CURRENT, status=status))
    assert waiting(tenant)[0].status == "error"


@pytest.mark.parametrize(
    ("tier", "kept"), [("default", "standard"), ("auto", "standard"), ("flex", "flex"), ("priority", "priority")]
)
def test_service_tiers(client: Client, tenant: Tenant, tier: str, kept: str) -> None:
    export(client, tenant, span(CURRENT | {gen_ai.GEN_AI_OPENAI_RESPONSE_SERVICE_TIER: tier}))
    assert waiting(tenant)[0].service_tier == kept


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"traceId": "0" * 32}, "traceId"),
        ({"traceId": "abc"}, "traceId"),
        ({"spanId": ""}, "spanId"),
        ({"startTimeUnixNano": "0"}, "time"),
        ({"startTimeUnixNano": "1000000000000000000"}, "35 days"),
        ({"startTimeUnixNano": "99999999999999999999"}, "time"),
        ({"attributes": attributes({"gen_ai.usage.input_tokens": -1})}, "gen_ai.usage.input_tokens"),
        ({"attributes": attributes({"gen_ai.usage.input_tokens": "many"})}, "gen_ai.usage.input_tokens"),
        ({"attributes": attributes({"gen_ai.usage.input_tokens": 1.5})}, "gen_ai.usage.input_tokens"),
        ({"attributes": attributes({"gen_ai.usage.input_tokens": True})}, "gen_ai.usage.input_tokens"),
        ({"attributes": attributes({"gen_ai.usage.input_tokens": 2**53})}, "gen_ai.usage.input_tokens"),
        ({"attributes": attributes({"llm.token_count.total": 5})}, "total"),
        ({"attributes": attributes(CURRENT | {"llm.cost.total": -0.5})}, "llm.cost.total"),
        ({"attributes": attributes(CURRENT | {"llm.token_count.prompt_details.audio": 9999})}, "input_tokens"),
    ],
)
def test_what_cannot_be_read_is_rejected_and_the_rest_taken(
    client: Client, tenant: Tenant, broken: dict[str, Any], said: str
) -> None:
    sound = span(CURRENT)
    partial = export(client, tenant, sound, span(CURRENT, **broken)).json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert partial["errorMessage"].startswith("/resourceSpans/0/scopeSpans/0/spans/1")
    assert said in partial["errorMessage"]
    assert [event.span_id for event in waiting(tenant)] == [sound["spanId"]]


def test_rejected_spans_in_protobuf(client: Client, tenant: Tenant) -> None:
    body = as_protobuf(TRACES, traces(span(CURRENT, startTimeUnixNano="0")))
    answer = ExportTraceServiceResponse.FromString(post(client, tenant, URL, body, PROTOBUF).content)
    assert answer.partial_success.rejected_spans == 1
    assert waiting(tenant) == []


def test_a_span_of_an_id_that_is_known_with_other_content_refuses_all(client: Client, tenant: Tenant) -> None:
    known = span(CURRENT)
    export(client, tenant, known)
    answer = export(client, tenant, known | {"attributes": attributes(OLDER)}, span(CURRENT))
    assert answer.status_code == 409
    assert len(waiting(tenant)) == 1


@pytest.mark.parametrize("name", ["claude_code.llm_request", "gemini_cli.call"])
def test_spans_of_coding_agents_are_billed_from_their_logs(client: Client, tenant: Tenant, name: str) -> None:
    partial = export(client, tenant, span(CURRENT, name=name)).json()["partialSuccess"]
    assert partial["rejectedSpans"] == "0"
    assert "OTEL_LOGS_EXPORTER" in partial["errorMessage"]
    assert waiting(tenant) == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"resourceSpans": []}', b'{"resourceSpans": null, "new": {"a": 1}}'])
def test_nothing_is_well_formed(client: Client, tenant: Tenant, body: bytes) -> None:
    encoding = "application/json" if body else PROTOBUF
    assert post(client, tenant, URL, body, encoding).status_code == 200
    assert waiting(tenant) == []


def test_more_calls_than_a_batch_holds(client: Client, tenant: Tenant) -> None:
    request = traces(*(span({"llm.token_count.prompt": 1}) for _ in range(1001)))
    assert_refused(post(client, tenant, URL, request), 413, "batch-too-large", tenant)


def test_an_access_token_names_the_key(client: Client, tenant: Tenant, stranger: Tenant) -> None:
    token = make_token(tenant, "usage:write")
    request = traces(span(CURRENT))
    unnamed = post(client, tenant, URL, request, **token)
    assert assert_refused(unnamed, 422, "validation-error", tenant)[0][1] == "required"
    foreign = post(client, tenant, URL, request, **token, **{"X-CostHub-Virtual-Key": str(stranger.key.id)})
    assert assert_refused(foreign, 422, "validation-error", tenant)[0][1] == "unknown_reference"
    by_resource = traces(span(CURRENT), resource={"costhub.virtual_key": str(tenant.key.id)})
    assert post(client, tenant, URL, by_resource, **token).status_code == 200
    assert post(client, tenant, URL, request, **token, **{"X-CostHub-Virtual-Key": str(tenant.key.id)}).json() == {}
    assert len(waiting(tenant)) == 2


def test_a_virtual_key_names_no_other(client: Client, tenant: Tenant) -> None:
    answer = post(client, tenant, URL, traces(span(CURRENT)), **{"X-CostHub-Virtual-Key": str(tenant.key.id)})
    assert assert_refused(answer, 422, "validation-error", tenant)[0][1] == "not_allowed"
