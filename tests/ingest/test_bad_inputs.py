"""The rows I and K of the list of bad inputs: what each gets, and that nothing was stored."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from ingest.models import Claim, InboxBatch
from tenants.access import organization_scope
from tests.factories import Tenant, make_key, make_token
from tests.ingest.payloads import event

JSON = "application/json"


@pytest.fixture
def send(tenant: Tenant, client: Client) -> Any:
    def post(body: Any, *, content_type: str = JSON, **headers: str) -> Any:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        # CONTENT_TYPE once more, because Django's client leaves it out when the body is empty.
        return client.generic(
            "POST",
            "/api/v1/events",
            data,
            content_type,
            headers={**tenant.bearer, **headers},
            CONTENT_TYPE=content_type,
        )

    return post


def stored(tenant: Tenant) -> tuple[int, int]:
    with organization_scope(tenant.id):
        return Claim.objects.count(), sum(InboxBatch.objects.values_list("events", flat=True))


def assert_problem(response: Any, status: int, slug: str, tenant: Tenant) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == f"https://costhub.dev/problems/{slug}"
    assert problem["status"] == status
    assert problem["request_id"] == response["X-Request-Id"]
    assert stored(tenant) == (0, 0)
    return problem  # type: ignore[no-any-return]


def body_with(raw: str, field: str = "input_tokens") -> str:
    """A batch of one valid event whose usage field holds raw JSON text."""
    text = json.dumps({"events": [event(usage={field: 111222333})]})
    return text.replace("111222333", raw)


@pytest.mark.parametrize("body", [b"", b"  \n", b'{"events":[', b"{,}", b'{"a":1}x', b"\xff\xfe", b'{"events":[NaN]}'])
def test_what_is_not_json(send: Any, tenant: Tenant, body: bytes) -> None:
    assert_problem(send(body), 400, "malformed-json", tenant)


@pytest.mark.parametrize("body", ["null", "[]", '"x"', "7"])
def test_json_that_is_no_object(send: Any, tenant: Tenant, body: str) -> None:
    problem = assert_problem(send(body), 422, "validation-error", tenant)
    assert problem["errors"][0]["pointer"] == ""


def test_an_empty_batch(send: Any, tenant: Tenant) -> None:
    assert assert_problem(send({"events": []}), 422, "validation-error", tenant)["errors"][0]["code"] == "empty_batch"


def test_too_many_events(send: Any, tenant: Tenant) -> None:
    problem = assert_problem(send({"events": [{}] * 1001}), 413, "batch-too-large", tenant)
    assert problem["limit"] == 1000


def test_a_body_over_one_mebibyte(send: Any, tenant: Tenant) -> None:
    problem = assert_problem(send(b" " * (1_048_576 + 1)), 413, "body-too-large", tenant)
    assert problem["limit"] == 1_048_576


def test_a_gzip_bomb(send: Any, tenant: Tenant) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    assert_problem(send(bomb, **{"Content-Encoding": "gzip"}), 413, "body-too-large", tenant)


EMPTY_GZIP = gzip.compress(b"{}", mtime=0)


@pytest.mark.parametrize("body", [b"not gzip", EMPTY_GZIP[:-4], EMPTY_GZIP + b"more"])
def test_broken_gzip(send: Any, tenant: Tenant, body: bytes) -> None:
    assert_problem(send(body, **{"Content-Encoding": "gzip"}), 400, "malformed-body", tenant)


def test_an_unknown_content_encoding(send: Any, tenant: Tenant) -> None:
    assert_problem(send(b"{}", **{"Content-Encoding": "br"}), 415, "unsupported-media-type", tenant)


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize("field", ["tags", "nobody_knows_this"])
def test_deep_nesting(send: Any, tenant: Tenant, depth: int, field: str) -> None:
    text = json.dumps({"events": [event(**{field: "HERE"})]}).replace('"HERE"', "[" * depth + "]" * depth)
    assert_problem(send(text), 400, "too-deep", tenant)


@pytest.mark.parametrize(
    "raw", ["9223372036854775808", "9007199254740993", "1000000000000001", "-1", "1e400", "-1e400"]
)
def test_counts_out_of_range(send: Any, tenant: Tenant, raw: str) -> None:
    problem = assert_problem(send(body_with(raw)), 422, "validation-error", tenant)
    assert problem["errors"][0]["code"] == "out_of_range"


def test_minus_zero_is_zero(send: Any, tenant: Tenant) -> None:
    assert send(body_with("-0")).status_code == 202


@pytest.mark.parametrize("raw", ["1.5", '"1_000"', '"١٢"', "1e3", "true", '"0x10"', "1.0", "null", "[]", "{}"])
def test_counts_of_another_type(send: Any, tenant: Tenant, raw: str) -> None:
    problem = assert_problem(send(body_with(raw)), 422, "validation-error", tenant)
    assert problem["errors"] == [
        {"pointer": "/events/0/usage/input_tokens", "code": "type", "detail": "has the wrong type"}
    ]


@pytest.mark.parametrize(
    "cost",
    [
        "0.1234567890123", " 0.1 ", "1E+2", 0.30000000000000004, "NaN", "sNaN", "Infinity", "-5", -5, "", "1_0", "٣",
        "01", "+1", True,
    ],
)  # fmt: skip
def test_costs_that_are_no_plain_decimal(send: Any, tenant: Tenant, cost: Any) -> None:
    problem = assert_problem(send({"events": [event(cost=cost)]}), 422, "validation-error", tenant)
    assert problem["errors"][0]["pointer"] == "/events/0/cost"


@pytest.mark.parametrize("cost", ["0.1", "0", "0.000000000001", "12", 250_000])
def test_costs_that_are_plain(send: Any, cost: Any) -> None:
    assert send({"events": [event(cost=cost)]}).status_code == 202


@pytest.mark.parametrize("field", ["id", "time", "provider", "model", "usage"])
def test_a_required_field_is_missing(send: Any, tenant: Tenant, field: str) -> None:
    broken = event()
    del broken[field]
    problem = assert_problem(send(broken), 422, "validation-error", tenant)
    assert problem["errors"] == [{"pointer": f"/{field}", "code": "required", "detail": "is required"}]


@pytest.mark.parametrize(
    "identifier", ["", "x" * 201, "  a  ", "a\u200bb", "\u202eabc", "a\r\nb", "a\x00b", "e\u0301", "é", "😀", "a\n"]
)
def test_ids_are_visible_ascii(send: Any, tenant: Tenant, identifier: str) -> None:
    assert_problem(send(event(id=identifier)), 422, "validation-error", tenant)


def test_a_lone_surrogate(send: Any, tenant: Tenant) -> None:
    assert_problem(send(json.dumps(event()).replace("evt_", "\\ud800")), 400, "malformed-json", tenant)


@pytest.mark.parametrize(
    ("time", "code"),
    [
        ("2026-03-29T02:30:00", "timezone_required"),
        ("2026-03-29", "invalid"),
        (1_700_000_000, "type"),
        ("2026-03-29T24:00:00Z", "invalid"),
        ("2026-03-29T23:59:60Z", "invalid"),
        ("2026-03-29T23:59:00+99:99", "invalid"),
        ("0001-01-01T00:00:00Z", "timestamp_out_of_window"),
        ("0001-01-01T00:00:00+10:00", "timestamp_out_of_window"),
        ("9999-12-31T23:59:59Z", "timestamp_out_of_window"),
        ("9999-12-31T23:59:59-10:00", "timestamp_out_of_window"),
        (timedelta(days=-36), "timestamp_out_of_window"),
        (timedelta(minutes=6), "timestamp_out_of_window"),
    ],
)
def test_times_that_are_refused(send: Any, tenant: Tenant, time: Any, code: str) -> None:
    if isinstance(time, timedelta):
        time = (datetime.now(UTC) + time).isoformat()
    problem = assert_problem(send(event(time=time)), 422, "validation-error", tenant)
    assert (problem["errors"][0]["pointer"], problem["errors"][0]["code"]) == ("/time", code)


@pytest.mark.parametrize("model", ["../../etc", "{{7*7}}", "'; DROP TABLE", "<script>alert(1)</script>", "模型"])
def test_strange_model_names_are_only_names(send: Any, model: str) -> None:
    assert send(event(model=model)).status_code == 202


def test_a_model_name_that_is_too_long(send: Any, tenant: Tenant) -> None:
    assert_problem(send(event(model="m" * 201)), 422, "validation-error", tenant)


@pytest.mark.parametrize(
    "tags",
    [
        {f"k{number}": "v" for number in range(21)},
        {f"k{number}": "v" for number in range(10_000)},
        {"k" * 41: "v"},
        {"k": {"nested": "v"}},
        {"k": ["v"]},
        {"k": None},
        {"k": 7},
        {"constructor.prototype": "v"},
        {"$where": "v"},
        {"a.b": "v"},
        {"Upper": "v"},
        {"k": "v" * 201},
        {"k": "a\x00b"},
    ],
)
def test_tags_that_are_refused(send: Any, tenant: Tenant, tags: Any) -> None:
    assert_problem(send(event(tags=tags)), 422, "validation-error", tenant)


@pytest.mark.parametrize("name", ["org_id", "is_admin", "cost_override", "organization", "team"])
def test_unknown_fields(send: Any, tenant: Tenant, name: str) -> None:
    problem = assert_problem(send({"events": [event(), event(**{name: 1})]}), 422, "validation-error", tenant)
    assert problem["errors"] == [
        {"pointer": f"/events/1/{name}", "code": "unknown_field", "detail": "is not a known field"}
    ]


def test_unknown_fields_beside_the_events(send: Any, tenant: Tenant) -> None:
    assert_problem(send({"events": [event()], "dry_run": True}), 422, "validation-error", tenant)


@pytest.mark.parametrize(
    "text",
    [
        '{"events":[{"id":"a","id":"b"}]}',
        '{"events":[],"events":[]}',
        json.dumps(event(usage={"input_tokens": 5})).replace('"input_tokens"', '"input_tokens": 7, "input_tokens"'),
        json.dumps(event(tags={"env": "a:b"})).replace('"env"', '"env": "c", "env"'),
    ],
)
def test_a_name_twice_in_one_object(send: Any, tenant: Tenant, text: str) -> None:
    assert_problem(send(text), 400, "malformed-json", tenant)


def test_colons_and_quotes_in_strings_are_no_names(send: Any) -> None:
    assert send(event(customer='a:b "c": \\', tags={"env": '\\":"'}, feature="{:}")).status_code == 202


def test_every_fault_is_pointed_at(send: Any, tenant: Tenant) -> None:
    batch = [event(), event(id="", cost="x"), event(usage={"input_tokens": -1, "output_tokens": "2"}), "no event"]
    problem = assert_problem(send({"events": batch}), 422, "validation-error", tenant)
    assert {fault["pointer"] for fault in problem["errors"]} == {
        "/events/1/id",
        "/events/2/usage/input_tokens",
        "/events/2/usage/output_tokens",
        "/events/3",
    }
    assert problem["detail"] == "3 of 4 events are not valid; nothing was stored"


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        ({"input_tokens": 10, "cache_read_input_tokens": 11}, "input_tokens"),
        ({"output_tokens": 10, "reasoning_output_tokens": 11}, "output_tokens"),
    ],
)
def test_a_part_larger_than_its_whole(send: Any, tenant: Tenant, usage: Any, field: str) -> None:
    problem = assert_problem(send(event(usage=usage)), 422, "validation-error", tenant)
    assert problem["errors"][0]["pointer"] == f"/usage/{field}"
    assert problem["errors"][0]["code"] == "inconsistent"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x" + "-" * 100_000],
)
def test_other_content_types(send: Any, tenant: Tenant, content_type: str) -> None:
    assert_problem(send(b"{}", content_type=content_type), 415, "unsupported-media-type", tenant)


@pytest.mark.parametrize("method", ["put", "patch", "delete", "trace"])
def test_other_methods(tenant: Tenant, client: Client, method: str) -> None:
    response = getattr(client, method)("/api/v1/events", headers=tenant.bearer)
    assert_problem(response, 405, "method-not-allowed", tenant)
    assert "POST" in response["Allow"]


def test_a_method_cannot_be_overridden(send: Any) -> None:
    assert send(event(), **{"X-HTTP-Method-Override": "DELETE"}).status_code == 202


def test_a_foreign_host(tenant: Tenant, client: Client) -> None:
    response = client.post(
        "/api/v1/events", data="{}", content_type=JSON, headers={**tenant.bearer, "Host": "evil.example"}
    )
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_unknown_paths_below_the_api(client: Client) -> None:
    response = client.get("/api/v1/nothing/here")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


def test_unknown_query_parameters(tenant: Tenant, client: Client) -> None:
    response = client.post(
        "/api/v1/events?dry_run=1", data=json.dumps(event()), content_type=JSON, headers=tenant.bearer
    )
    assert_problem(response, 422, "validation-error", tenant)


@pytest.mark.parametrize(
    "authorization",
    [
        None, "Bearer", "Bearer  ", "Basic x", "Bearer x' OR '1'='1", "Bearer '; SELECT pg_sleep(10)--",
        "Bearer chk_live_", "Bearer chk_live_" + "0" * 50, "Bearer \u0661", "chk_live_x",
    ],
)  # fmt: skip
def test_credentials_that_are_none(tenant: Tenant, client: Client, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = client.post("/api/v1/events", data=json.dumps(event()), content_type=JSON, headers=headers)
    problem = assert_problem(response, 401, "unauthenticated", tenant)
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert problem["detail"] == "A valid bearer token is needed"


def test_a_wrong_checksum_needs_no_query(tenant: Tenant, client: Client, django_assert_num_queries: Any) -> None:
    broken = tenant.secret[:-1] + ("0" if tenant.secret[-1] != "0" else "1")
    with django_assert_num_queries(0):
        response = client.post(
            "/api/v1/events", data="{}", content_type=JSON, headers={"Authorization": f"Bearer {broken}"}
        )
    assert response.status_code == 401


def test_the_stored_digest_is_no_key(tenant: Tenant, client: Client) -> None:
    stolen = bytes(tenant.key.digest).hex()
    response = client.post(
        "/api/v1/events", data="{}", content_type=JSON, headers={"Authorization": f"Bearer {stolen}"}
    )
    assert_problem(response, 401, "unauthenticated", tenant)


def test_a_key_in_the_query_does_not_count(tenant: Tenant, client: Client) -> None:
    response = client.post(f"/api/v1/events?api_key={tenant.secret}", data=json.dumps(event()), content_type=JSON)
    assert_problem(response, 401, "unauthenticated", tenant)


def test_a_session_does_not_count_on_the_api(tenant: Tenant, client: Client) -> None:
    client.force_login(tenant.owner)
    response = client.post("/api/v1/events", data=json.dumps(event()), content_type=JSON)
    assert_problem(response, 401, "unauthenticated", tenant)


def test_an_expired_key(tenant: Tenant, client: Client, time_machine: Any) -> None:
    _, secret = make_key(tenant, "short", expires_at=datetime.now(UTC) + timedelta(hours=1))
    header = {"Authorization": f"Bearer {secret}"}
    assert client.post("/api/v1/events", data=json.dumps(event()), content_type=JSON, headers=header).status_code == 202
    time_machine.move_to(datetime.now(UTC) + timedelta(hours=1, seconds=1))
    assert client.post("/api/v1/events", data=json.dumps(event()), content_type=JSON, headers=header).status_code == 401


def test_a_token_names_a_key_of_its_own_organization(tenant: Tenant, stranger: Tenant, client: Client) -> None:
    token = make_token(tenant, "usage:write")

    def post(**fields: Any) -> Any:
        return client.post("/api/v1/events", data=json.dumps(event(**fields)), content_type=JSON, headers=token)

    foreign = assert_problem(post(virtual_key=str(stranger.key.id)), 422, "validation-error", tenant)
    random = assert_problem(post(virtual_key="1234567890"), 422, "validation-error", tenant)
    assert foreign["errors"] == random["errors"]
    assert foreign["errors"][0]["code"] == "unknown_reference"
    assert_problem(post(), 422, "validation-error", tenant)
    assert post(virtual_key=str(tenant.key.id)).status_code == 202


def test_a_virtual_key_reports_for_itself_only(send: Any, tenant: Tenant) -> None:
    problem = assert_problem(send(event(virtual_key=str(tenant.key.id))), 422, "validation-error", tenant)
    assert problem["errors"][0]["code"] == "not_allowed"


def test_a_token_without_the_scope(tenant: Tenant, client: Client) -> None:
    response = client.post(
        "/api/v1/events", data=json.dumps(event()), content_type=JSON, headers=make_token(tenant, "usage:read")
    )
    assert_problem(response, 403, "insufficient-scope", tenant)
