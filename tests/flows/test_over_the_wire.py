"""Bad inputs that only a real server shows: chunks, floods and drips over a real socket."""

import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ingest.payloads import event
from tests.product import Product

MIB = 1_048_576


@pytest.fixture(scope="module")
def made(product: Product) -> dict[str, str]:
    tenant: dict[str, str] = product.run_json("-m", "tests.faults.tenant")
    return tenant


@pytest.fixture(scope="module")
def secret(made: dict[str, str]) -> str:
    return made["secret"]


def request(product: Product, secret: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=30)
    try:
        connection.request(
            "POST",
            "/api/v1/events",
            body,
            {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"} | headers,
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def chunks(total: int) -> Iterator[bytes]:
    for _ in range(total // 1024):
        yield b" " * 1024


def web_memory(product: Product) -> int:
    """Bytes resident in the web server's processes."""
    masters = [process for process in product.programs() if any("gunicorn" in part for part in process.cmdline())]
    return sum(
        process.memory_info().rss for master in masters for process in [master, *master.children(recursive=True)]
    )


def test_a_chunked_body_is_read(product: Product, secret: str) -> None:
    body = json.dumps(event()).encode()
    status, answer = request(product, secret, iter([body[:20], body[20:]]))
    assert (status, answer["accepted"]) == (202, 1)


def test_chunks_that_are_none(product: Product, secret: str) -> None:
    status, answer = request(product, secret, b"{}", **{"Transfer-Encoding": "chunked"})
    assert (status, answer["type"].rsplit("/", 1)[-1]) == (400, "malformed-body")


def test_one_byte_too_many(product: Product, secret: str) -> None:
    assert request(product, secret, b" " * (MIB + 1))[0] == 413


def test_a_chunked_body_without_a_length_that_is_too_large(product: Product, secret: str) -> None:
    status, answer = request(product, secret, chunks(MIB + 2048))
    assert (status, answer["type"].rsplit("/", 1)[-1]) == (413, "body-too-large")


def test_an_endless_body_is_cut_off(product: Product, secret: str) -> None:
    """The server stops reading; the sender hears 413 or finds the connection closed, but never gets to the end."""
    with pytest.raises((ConnectionError, AssertionError)):  # noqa: PT012
        status, _ = request(product, secret, chunks(1024 * MIB), **{"Transfer-Encoding": "chunked"})
        assert status == 202
    assert request(product, secret, json.dumps(event()).encode())[0] == 202


def test_a_gzip_bomb_does_not_grow_the_server(product: Product, secret: str) -> None:
    bomb = gzip.compress(bytes(200 * MIB))
    request(product, secret, json.dumps(event()).encode())
    before = web_memory(product)
    for _ in range(3):
        assert request(product, secret, bomb, **{"Content-Encoding": "gzip"})[0] == 413
    assert web_memory(product) - before < 50 * MIB


def test_a_body_that_drips_is_ended(product: Product, secret: str) -> None:
    with socket.create_connection(("127.0.0.1", product.port), timeout=40) as line:
        line.sendall(
            b"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + secret.encode() + b"\r\nContent-Length: 1000\r\n\r\n{"
        )
        started = time.monotonic()
        line.settimeout(1)
        answer = b""
        while not answer and time.monotonic() - started < 40:
            try:
                answer = line.recv(4096)
            except TimeoutError:
                line.sendall(b" ")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in answer


def test_a_foreign_host_and_forwarding_headers(product: Product, secret: str) -> None:
    status, answer = request(product, secret, b"{}", Host="evil.example")
    assert (status, answer["type"].rsplit("/", 1)[-1]) == (400, "bad-request")
    body = json.dumps(event()).encode()
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Original-URL": "/admin"}
    assert request(product, secret, body, **forwarded)[0] == 202


def test_a_key_in_the_query_is_not_logged(product: Product, secret: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=30)
    connection.request("POST", f"/api/v1/events?api_key={secret}", b"{}", {"Content-Type": "application/json"})
    assert connection.getresponse().status == 401
    deadline = time.monotonic() + 5
    while b'"POST /api/v1/events" (401)' not in product.log.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.1)
    log = product.log.read_bytes()
    assert b"/api/v1/events" in log
    assert secret.encode() not in log


def test_an_event_settles_without_being_asked(product: Product, secret: str) -> None:
    assert request(product, secret, json.dumps(event()).encode())[0] == 202
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=5)
        connection.request("GET", "/readyz")
        state = json.loads(connection.getresponse().read())
        if state["waiting_events"] == 0:
            return
        time.sleep(0.2)
    raise AssertionError(state)


def test_where_the_key_was_used_from_is_written_down_within_seconds(product: Product, made: dict[str, str]) -> None:
    """By the web server itself, and not from where the caller says it is."""
    body = json.dumps(event()).encode()
    assert request(product, made["secret"], body, **{"X-Forwarded-For": "203.0.113.7"})[0] == 202
    networks: list[str] = []
    deadline = time.monotonic() + 15
    while not networks and time.monotonic() < deadline:
        time.sleep(0.2)
        connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=5)
        token = {"Authorization": f"Bearer {made['token']}"}
        connection.request("GET", f"/api/v1/keys/{made['key']}/networks", headers=token)
        networks = [each["network"] for each in json.loads(connection.getresponse().read())["data"]]
    assert networks == ["127.0.0.0/24"]
