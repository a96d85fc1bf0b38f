"""The real OpenTelemetry SDK and its OTLP/HTTP exporter against the running product: from a span to the spend."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tests.product import CHECKOUT, Product

# USD per million tokens of gpt-4.1-nano.
INPUT, CACHED, OUTPUT = Decimal("0.10"), Decimal("0.025"), Decimal("0.40")
USAGE: dict[str, str | int] = {
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4.1-nano",
    "gen_ai.usage.input_tokens": 1500,
    "gen_ai.usage.cache_read.input_tokens": 300,
    "gen_ai.usage.output_tokens": 250,
}
COST = (1200 * INPUT + 300 * CACHED + 250 * OUTPUT) / 1_000_000
CALLS = 40
# What Claude Code logs of one call, sent by the SDK's own logs exporter in a process of its own.
AGENT = """
import time
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

provider = LoggerProvider()
provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
said = {"event.name": "api_request", "model": "claude-haiku-4-5", "input_tokens": 10, "output_tokens": 100,
        "cache_read_tokens": 2000, "cache_creation_tokens": 0, "cost_usd": 0.00071, "request_id": "req_1",
        "session.id": "s", "user.email": "dev@acme.example"}
provider.get_logger("com.anthropic.claude_code.events").emit(LogRecord(
    timestamp=time.time_ns(), body="claude_code.api_request", attributes=said, severity_number=SeverityNumber.INFO))
provider.shutdown()
"""


@pytest.fixture(scope="module")
def tenant(product: Product) -> dict[str, str]:
    made: dict[str, str] = product.run_json("-m", "tests.faults.tenant", "otel")
    issued = product.run("manage.py", "issue_token", "--organization", made["slug"], "--scopes", "usage:read")
    return made | {"reader": issued.splitlines()[-1]}


class Watched(SpanExporter):
    """The exporter, remembering what became of each export."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self.exporter, self.results = exporter, list[SpanExportResult]()

    def export(self, spans: Any) -> SpanExportResult:
        self.results.append(self.exporter.export(spans))
        return self.results[-1]

    def shutdown(self) -> None:
        self.exporter.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def exporter(product: Product, tenant: dict[str, str]) -> Iterator[Watched]:
    headers = {"Authorization": f"Bearer {tenant['secret']}"}
    exporter = Watched(OTLPSpanExporter(f"{product.url}/v1/traces", headers=headers, compression=Compression.Gzip))
    yield exporter
    exporter.shutdown()


def spend(product: Product, tenant: dict[str, str], group: str) -> dict[str, Any]:
    """What the API says was spent in the last hours, by a dimension, once everything is settled."""
    deadline = time.monotonic() + 20
    while _read(f"{product.url}/readyz")["waiting_events"] and time.monotonic() < deadline:
        time.sleep(0.2)
    hours = [time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(time.time() + ahead * 3600)) for ahead in (-2, 1)]
    url = f"{product.url}/api/v1/spend?from={hours[0]}&to={hours[1]}&interval=day&group_by={group}"
    rows = _read(url, tenant["reader"])["data"]
    return {row["group"][group]: row for row in rows}


def _read(url: str, token: str = "") -> Any:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_spans_of_an_agent_become_spend(product: Product, tenant: dict[str, str], exporter: Watched) -> None:
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    # Small batches: the agent's span leaves in a later request than most of its calls.
    provider.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=CALLS // 4))
    tracer = provider.get_tracer("test")
    total: dict[str, str | int] = {"gen_ai.usage.input_tokens": 1500 * CALLS, "gen_ai.usage.output_tokens": 250 * CALLS}
    with tracer.start_as_current_span("invoke_agent researcher", attributes=USAGE | total):
        for _ in range(CALLS):
            with tracer.start_as_current_span("chat gpt-4.1-nano", attributes=USAGE):
                pass
    provider.shutdown()
    assert set(exporter.results) == {SpanExportResult.SUCCESS}
    row = spend(product, tenant, "model")["gpt-4.1-nano"]
    assert (row["requests"], row["input_tokens"], row["output_tokens"]) == (CALLS, 1500 * CALLS, 250 * CALLS)
    assert Decimal(row["cost"]) == COST * CALLS


def test_a_coding_agents_log_becomes_a_developers_cost(product: Product, tenant: dict[str, str]) -> None:
    environment = os.environ | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": product.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{tenant['secret']}",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=claude-code",
    }
    done = subprocess.run(
        [sys.executable, "-c", AGENT], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    row = spend(product, tenant, "model")["claude-haiku-4-5"]
    # USD per million: input 1, cache read 0.10, output 5.
    assert Decimal(row["cost"]) == Decimal(10 * 1 + 100 * 5) / 1_000_000 + Decimal(2000) / 10_000_000
    assert row["input_tokens"] == 2010
