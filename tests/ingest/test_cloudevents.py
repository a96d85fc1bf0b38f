"""CloudEvents 1.0, made by the CloudEvents SDK: every mode, and what the envelope fills in."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from django.test import Client

from tests.factories import Tenant
from tests.ingest.payloads import event
from tests.ingest.sending import assert_refused, post, sources, waiting

URL = "/api/v1/events"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


def bare(**fields: Any) -> dict[str, Any]:
    """An event that leaves its id and time to the envelope."""
    return {name: value for name, value in event(**fields).items() if name not in {"id", "time"}}


def envelope(data: Any, **fields: Any) -> dict[str, Any]:
    made = {"specversion": "1.0", "id": "ce-1", "source": "/apps/support-bot", "type": "com.acme.llm.call"}
    return made | {"time": datetime.now(UTC).isoformat(), "data": data} | fields


def from_sdk(data: dict[str, Any]) -> CloudEvent:
    attributes = {
        "id": "ce-1",
        "source": "/apps/support-bot",
        "type": "com.acme.llm.call",
        "datacontenttype": "application/json",
        "time": datetime.now(UTC),
        "team": "an extension",
    }
    return CloudEvent(attributes=attributes, data=data)


@pytest.mark.parametrize("mode", [to_structured_event, to_binary_event])
def test_what_the_sdk_sends(client: Client, tenant: Tenant, mode: Any) -> None:
    made = from_sdk(bare())
    message = mode(made)
    headers = {name: value for name, value in message.headers.items() if name.lower() != "content-type"}
    [content_type] = [value for name, value in message.headers.items() if name.lower() == "content-type"]
    answer = post(client, tenant, URL, message.body, content_type, **headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1), answer.content
    [stored] = waiting(tenant)
    assert (stored.id, stored.time) == ("ce-1", made.get_time())
    assert stored.buckets.input_tokens == 1500
    assert sources(tenant) == {"cloudevents"}


def test_a_batch(client: Client, tenant: Tenant) -> None:
    batch = [envelope(bare(), id=f"ce-{number}") for number in range(3)]
    assert post(client, tenant, URL, batch, BATCH).json()["accepted"] == 3
    assert post(client, tenant, URL, batch, BATCH).json()["duplicates"] == 3


def test_the_event_says_it_better_than_the_envelope(client: Client, tenant: Tenant) -> None:
    own = event()
    assert post(client, tenant, URL, envelope(own, time="yesterday"), STRUCTURED).status_code == 202
    assert [stored.id for stored in waiting(tenant)] == [own["id"]]


def test_an_envelope_and_the_bare_event_are_the_same_usage(client: Client, tenant: Tenant) -> None:
    own = event()
    post(client, tenant, URL, own)
    assert post(client, tenant, URL, envelope(own), STRUCTURED).json()["duplicates"] == 1


@pytest.mark.parametrize("identifier", ["an id with spaces", "x" * 300, "ü"])
def test_an_id_that_is_none_of_ours_is_hashed(client: Client, tenant: Tenant, identifier: str) -> None:
    sent = envelope(bare(), id=identifier)
    assert post(client, tenant, URL, sent, STRUCTURED).json()["accepted"] == 1
    assert post(client, tenant, URL, sent, STRUCTURED).json()["duplicates"] == 1
    assert waiting(tenant)[0].id.startswith("hash:")


def test_base64(client: Client, tenant: Tenant) -> None:
    sent = envelope(None, data_base64=b64encode(json.dumps(bare()).encode()).decode())
    assert post(client, tenant, URL, sent, STRUCTURED).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("broken", "pointer", "code"),
    [
        ({"specversion": "0.3"}, "/specversion", "invalid"),
        ({"specversion": 1.0}, "/specversion", "required"),
        ({"id": ""}, "/id", "required"),
        ({"source": None}, "/source", "required"),
        ({"type": 7}, "/type", "required"),
        ({"datacontenttype": "application/xml"}, "/datacontenttype", "invalid"),
        ({"time": "yesterday"}, "/time", "invalid"),
        ({"time": "2026-11-24T10:00:00"}, "/time", "timezone_required"),
        ({"time": None}, "/data/time", "required"),
        ({"time": (datetime.now(UTC) - timedelta(days=36)).isoformat()}, "/time", "timestamp_out_of_window"),
        ({"data": "text"}, "/data", "type"),
        ({"data": None}, "/data", "type"),
        ({"data": {"events": []}}, "/data/events", "unknown_field"),
        ({"data": bare(usage={"input_tokens": -1})}, "/data/usage/input_tokens", "out_of_range"),
        ({"data_base64": "?"}, "/data_base64", "invalid"),
    ],
)
def test_faults_point_into_the_envelope(
    client: Client, tenant: Tenant, broken: dict[str, Any], pointer: str, code: str
) -> None:
    sent = envelope(bare()) | broken
    assert (pointer, code) in assert_refused(
        post(client, tenant, URL, sent, STRUCTURED), 422, "validation-error", tenant
    )
    batch = [envelope(bare(), id="sound"), sent]
    assert (f"/1{pointer}", code) in assert_refused(
        post(client, tenant, URL, batch, BATCH), 422, "validation-error", tenant
    )


@pytest.mark.parametrize(
    ("content_type", "body", "status", "slug"),
    [
        (STRUCTURED, b"", 400, "malformed-json"),
        (STRUCTURED, b"[]", 422, "validation-error"),
        (BATCH, b"[]", 422, "validation-error"),
        (BATCH, b"{}", 422, "validation-error"),
        (BATCH, b"[1]", 422, "validation-error"),
        (STRUCTURED, b'{"id":"a","id":"b"}', 400, "malformed-json"),
        (STRUCTURED, b'{"data":' + b"[" * 1000 + b"]" * 1000 + b"}", 400, "too-deep"),
        (BATCH, b"[" + b"{}," * 1000 + b"{}]", 413, "batch-too-large"),
    ],
)
def test_what_is_no_cloud_event(
    client: Client, tenant: Tenant, content_type: str, body: bytes, status: int, slug: str
) -> None:
    assert_refused(post(client, tenant, URL, body, content_type), status, slug, tenant)


def test_binary_mode_carries_json_only(client: Client, tenant: Tenant) -> None:
    answer = post(client, tenant, URL, json.dumps(bare()), "application/x-ndjson", **{"ce-specversion": "1.0"})
    assert_refused(answer, 415, "unsupported-media-type", tenant)


def test_binary_mode_needs_its_attributes(client: Client, tenant: Tenant) -> None:
    answer = post(client, tenant, URL, bare(), **{"ce-specversion": "1.0", "ce-id": "a%20b"})
    assert {"/source", "/type"} == {at for at, _ in assert_refused(answer, 422, "validation-error", tenant)}
