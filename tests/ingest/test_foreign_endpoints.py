"""What every endpoint for other tools' formats has in common: who may send, how much, in what, and that bytes of any
kind are answered without a 5xx and without a stored half."""

import gzip
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.formats.otlp.wire import LOGS, METRICS, TRACES
from ingest.models import Claim
from tenants.access import organization_scope
from tests.factories import Tenant, make_token
from tests.ingest import otlp
from tests.ingest.payloads import event
from tests.ingest.sending import JSON, assert_refused, post, waiting
from tests.ingest.test_litellm import payload
from tests.ingest.test_otlp_agents import CLAUDE, FROM_METRICS, counters
from tests.ingest.test_otlp_traces import CURRENT

PROTOBUF, NDJSON = "application/x-protobuf", "application/x-ndjson"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
URLS = ("/v1/traces", "/v1/logs", "/v1/metrics", "/api/v1/litellm")
OTLP_URLS = URLS[:3]


def envelope(number: int) -> dict[str, Any]:
    return {"specversion": "1.0", "id": f"ce-{number}", "source": "/", "type": "t", "data": event()}


def examples() -> list[tuple[str, str, bytes]]:
    """A valid body of two calls for every endpoint and encoding: (URL, content type, body)."""
    agent = otlp.span(CURRENT)
    calls = [otlp.log(CLAUDE), otlp.log(CLAUDE | {"request_id": "2"})]
    requests = {
        TRACES: otlp.traces(agent, otlp.span(CURRENT, parent=agent), otlp.span(CURRENT)),
        LOGS: otlp.logs(*calls, resource={"service.name": "claude-code"}),
        METRICS: otlp.metrics(*counters(time.time_ns()), resource=FROM_METRICS),
    }
    payloads = [payload(id="a"), payload(id="b")]
    documents: list[tuple[str, str, Any]] = [
        ("/api/v1/litellm", JSON, payloads),
        ("/api/v1/events", BATCH, [envelope(1), envelope(2)]),
        ("/api/v1/events", JSON, {"events": [event(), event()]}),
        *((f"/v1/{signal.name}", JSON, request) for signal, request in requests.items()),
    ]
    lines = "\n".join(map(json.dumps, payloads)).encode()
    return [
        *((url, kind, json.dumps(document).encode()) for url, kind, document in documents),
        *((f"/v1/{signal.name}", PROTOBUF, otlp.as_protobuf(signal, request)) for signal, request in requests.items()),
        ("/api/v1/litellm", NDJSON, lines),
    ]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_other_content_types(client: Client, tenant: Tenant, url: str, content_type: str) -> None:
    assert_refused(post(client, tenant, url, b"{}", content_type), 415, "unsupported-media-type", tenant)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "trace"])
def test_other_methods(client: Client, tenant: Tenant, url: str, method: str) -> None:
    response = getattr(client, method)(url, headers=tenant.bearer)
    assert_refused(response, 405, "method-not-allowed", tenant)
    assert "POST" in response["Allow"]


@pytest.mark.parametrize("url", URLS)
def test_who_may_send(client: Client, tenant: Tenant, url: str) -> None:
    for authorization in ("Bearer", "Bearer chk_live_x", "Basic x", f"Bearer {tenant.secret[:-1]}"):
        answer = post(client, tenant, url, b"{}", Authorization=authorization)
        assert_refused(answer, 401, "unauthenticated", tenant)
        assert answer["WWW-Authenticate"].startswith("Bearer")
    client.force_login(tenant.owner)
    assert client.post(url, "{}", content_type=JSON).status_code == 401
    reader = make_token(tenant, "usage:read")
    assert_refused(post(client, tenant, url, b"{}", **reader), 403, "insufficient-scope", tenant)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("body", "headers", "status", "slug"),
    [
        (b" " * 1_048_577, {}, 413, "body-too-large"),
        (gzip.compress(bytes(10_000_000), mtime=0), {"Content-Encoding": "gzip"}, 413, "body-too-large"),
        (b"not gzip", {"Content-Encoding": "gzip"}, 400, "malformed-body"),
        (gzip.compress(b"{}", mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400, "malformed-body"),
        (b"{}", {"Content-Encoding": "br"}, 415, "unsupported-media-type"),
        (b"", {}, 400, "malformed-json"),
        (b'{"a', {}, 400, "malformed-json"),
        (b"\xff\xfe", {}, 400, "malformed-json"),
        (b"NaN", {}, 400, "malformed-json"),
        (b'"x"', {}, 422, "validation-error"),
        (b"7", {}, 422, "validation-error"),
        (b'{"unknown":' + b"[" * 1_000 + b"]" * 1_000 + b"}", {}, 400, "too-deep"),
        (b'{"resourceSpans":' + b"[" * 100_000, {}, 400, "too-deep"),
    ],
)  # fmt: skip
def test_bodies_that_are_refused(
    client: Client, tenant: Tenant, url: str, body: bytes, headers: dict[str, str], status: int, slug: str
) -> None:
    assert_refused(post(client, tenant, url, body, **headers), status, slug, tenant)


@pytest.mark.parametrize("url", OTLP_URLS)
@pytest.mark.parametrize("body", [b"\xff\xff", b"\x0a\x05abc", b"\x0a\x7f" * 50, b"{}"])
def test_bytes_that_are_no_protobuf(client: Client, tenant: Tenant, url: str, body: bytes) -> None:
    assert_refused(post(client, tenant, url, body, PROTOBUF), 400, "malformed-body", tenant)


@pytest.mark.parametrize("url", URLS)
def test_unknown_query_parameters(client: Client, tenant: Tenant, url: str) -> None:
    assert_refused(post(client, tenant, f"{url}?dry_run=1", b"{}"), 422, "validation-error", tenant)


@pytest.mark.parametrize(
    ("url", "document", "pointer"),
    [
        ("/v1/traces", {"resourceSpans": {}}, "/resourceSpans"),
        ("/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 7}]}]}]},
         "/resourceSpans/0/scopeSpans/0/spans/0/traceId"),
        ("/v1/logs", {"resourceLogs": [{"resource": {"attributes": [{"key": 1}]}}]},
         "/resourceLogs/0/resource/attributes/0/key"),
        ("/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [7]}]}, "/resourceMetrics/0/scopeMetrics/0"),
    ],
)  # fmt: skip
def test_a_shape_that_is_not_otlps(client: Client, tenant: Tenant, url: str, document: Any, pointer: str) -> None:
    assert assert_refused(post(client, tenant, url, document), 422, "validation-error", tenant) == [(pointer, "type")]


@pytest.mark.parametrize("url", OTLP_URLS)
def test_an_exporter_may_ask_for_protobuf(client: Client, tenant: Tenant, url: str) -> None:
    assert post(client, tenant, url, b"", PROTOBUF, Accept=PROTOBUF).status_code == 200
    assert post(client, tenant, url, b"\xff", PROTOBUF, Accept=PROTOBUF)["Content-Type"] == "application/problem+json"


def test_every_example_is_taken(client: Client, tenant: Tenant) -> None:
    for url, content_type, body in examples():
        before = len(waiting(tenant))
        answer = post(client, tenant, url, body, content_type)
        assert answer.status_code in {200, 202}, answer.content
        # The protobuf and NDJSON of a call that JSON has told already is the same event.
        known = {PROTOBUF: 0, NDJSON: 0}.get(content_type, 2)
        assert len(waiting(tenant)) - before == known, (url, content_type)


def mutated(rng: random.Random, body: bytes) -> bytes:
    """The body with a few bytes changed, cut out, repeated or swapped for what parsers trip over."""
    odd: list[bytes] = rb'null -1 1e999 " \ud800 true [] {} 1.5 "" 9999999999999999999999999999999999999999'.split()
    odd += [b"\x00", b"\xff"]
    changed = bytearray(body)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(changed))
        end = min(len(changed), at + rng.randrange(1, 12))
        changed[at:end] = rng.choice([b"", bytes(changed[at:end]) * 2, rng.randbytes(end - at), rng.choice(odd)])
        changed = changed or bytearray(b" ")
    return bytes(changed)


def values_replaced(rng: random.Random, document: Any) -> Any:
    """The document with one value somewhere in it replaced."""
    odd: list[Any] = [None, True, -1, 2**63, 1.5, "", "x" * 300, "\x00", "١", [], {}, [[]], {"a": {}}, "NaN", 10**400]
    places: list[tuple[Any, Any]] = list(_places(document))
    holder, key = rng.choice(places)
    holder[key] = rng.choice(odd)
    return document


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    for key, inner in list(enumerate(node)) if isinstance(node, list) else list(node.items()):
        yield node, key
        if isinstance(inner, list | dict):
            yield from _places(inner)


def assert_all_or_told(answer: Any, before: int, tenant: Tenant) -> None:
    """Never a 5xx; a refusal stores nothing; what is accepted is what waits, and every claim has its event."""
    after = len(waiting(tenant))
    assert answer.status_code in {200, 202, 400, 409, 413, 415, 422}, answer.content
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        assert after == before
    elif answer.status_code == 202:
        assert after - before == answer.json()["accepted"]
    with organization_scope(tenant.id):
        assert Claim.objects.count() == after


@pytest.mark.parametrize("index", range(10))
def test_mutated_bodies(client: Client, tenant: Tenant, index: int) -> None:
    rng = random.Random(index)
    url, content_type, body = examples()[index]
    for _ in range(60):
        before = len(waiting(tenant))
        assert_all_or_told(post(client, tenant, url, mutated(rng, body), content_type), before, tenant)


@pytest.mark.parametrize("index", range(6))
def test_values_that_are_none(client: Client, tenant: Tenant, index: int) -> None:
    rng = random.Random(index)
    url, content_type, body = examples()[index]
    for _ in range(60):
        before = len(waiting(tenant))
        document = values_replaced(rng, json.loads(body))
        assert_all_or_told(post(client, tenant, url, document, content_type), before, tenant)


@given(st.binary(max_size=200), st.sampled_from([(url, kind) for url in OTLP_URLS for kind in (PROTOBUF, JSON)]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(client: Client, tenant: Tenant, body: bytes, where: tuple[str, str]) -> None:
    assert_all_or_told(post(client, tenant, where[0], body, where[1]), 0, tenant)
    assert waiting(tenant) == []


def test_times_beyond_the_calendar(client: Client, tenant: Tenant) -> None:
    for nanoseconds in (2**64 - 1, 2**63, 1, 10**19):
        request = otlp.traces(otlp.span(CURRENT, startTimeUnixNano=str(nanoseconds)))
        for body, kind in ((json.dumps(request), JSON), (otlp.as_protobuf(TRACES, request), PROTOBUF)):
            answer = post(client, tenant, "/v1/traces", body, kind)
            assert answer.status_code == 200
            assert answer.content
    assert waiting(tenant) == []
