"""The guarded HTTP sender against real servers: what it refuses it never connects to, what it reads has an end."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from pytest_django import Settings

from common import outbound
from common.outbound import Kind, Outcome, check_url, post_json
from common.problems import Problem
from tests.servers import Answer, SlackServer

PUBLIC, INTERNAL = "93.184.215.14", "127.0.0.1"

_connects: list[object] = []
_watching = threading.Event()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _watching.is_set() and arguments[0].family != socket.AF_UNIX:
        _connects.append(arguments[1])


sys.addaudithook(_watch)


@pytest.fixture
def connects() -> Iterator[list[object]]:
    """Every address this process tries to connect a TCP socket to, as the interpreter itself reports it."""
    _connects.clear()
    _watching.set()
    yield _connects
    _watching.clear()


@pytest.fixture
def slack(settings: Settings) -> Iterator[SlackServer]:
    """A server that the operator allows."""
    with SlackServer() as server:
        settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({server.origin})
        yield server


def answering(*addresses: str) -> outbound.Resolver:
    return lambda host, port, timeout_s: list(addresses)


def unresolvable(host: str, port: int, timeout_s: float) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "unknown")


REFUSED_BY_FORM = [
    "http://127.0.0.1",
    "http://localhost",
    "http://[::1]",
    "http://[::]",
    "http://0.0.0.0",
    "http://2130706433",
    "http://0177.0.0.1",
    "http://127.1",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://0x7f.0.0.1/",
    "https://0x7f000001/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://256.0.0.1/",
    "https://1.1.1.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]",
    "http://100.64.0.1",
    "http://10.0.0.1",
    "http://[::ffff:169.254.169.254]",
    "http://[::ffff:100.100.100.200]",
    "http://[2002:7f00:1::1]",
    "http://224.0.0.1",
    "http://user:pass@host",
    "https://user@hooks.slack.com/",
    "https://:@hooks.slack.com/",
    "https://hooks.slack.com@evil.example",
    "https://hooks.slack.com%40evil.example/",
    "https://hooks.slack.com\\@evil.example/",
    "https://hooks.slack.com#@evil.example/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "redis://example.com/",
    "ftp://example.com/",
    "//example.com/",
    "example.com",
    "",
    "https://",
    "https:///path",
    "https://host:22",
    "https://host:6379",
    "https://host:0/",
    "https://host:/",
    "https://host:99999/",
    "https://host:443443/",
    "https://host:４４３/",
    "https://example.com/a\r\nX-Injected: yes",
    "https://example.com\r\nX-Injected: yes/",
    "https://example.com/a\nb",
    "https://example.com/a\tb",
    "https://example.com/a b",
    "https://example.com/\x00",
    " https://example.com/",
    "https://example.com/\x7f",
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 150 + "example/",
    "https://-a.example/",
    "https://a..example/",
    "https://example.com./",
    "https://exa%6dple.com/",
    "https://example.com/" + "a" * 5_000,
    "https://hооks.slack.com/services/T0/B0/x",  # two Cyrillic letters
    "https://ｈooks.slack.com/",
    "https://hooks。slack.com/",
    "https://①②⑦.0.0.1/",
    "https://example.com/ü",
    "https://[fe80::1%25eth0]/",
    "https://[::1",
    "https://[hooks.slack.com]/",
    "https://[v1.x]/",
    "https://[1.2.3.4]/",
]
REFUSED_BY_ADDRESS = [
    "https://127.0.0.1/",
    "https://localhost/",
    "https://[::1]/",
    "https://[::]/",
    "https://0.0.0.0/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/",
    "https://100.64.0.1/",
    "https://10.0.0.1/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:100.100.100.200]/",
    "https://[::ffff:7f00:1]/",
    "https://[2002:7f00:1::1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2001:0:7f00:1::1]/",
    "https://[::127.0.0.1]/",
    "https://224.0.0.1/",
    "https://[fe80::1]/",
]


@pytest.mark.parametrize("url", [*REFUSED_BY_FORM, *REFUSED_BY_ADDRESS])
def test_refused_at_save_with_the_one_answer(url: str) -> None:
    with pytest.raises(Problem) as refusal:
        check_url(url)
    assert (refusal.value.status, refusal.value) == (422, outbound.url_not_allowed())


@pytest.mark.parametrize("url", [*REFUSED_BY_FORM, *REFUSED_BY_ADDRESS])
def test_blocked_at_send_without_a_connect(url: str, connects: list[object]) -> None:
    assert post_json(url, {}) == Outcome(Kind.BLOCKED, "address")
    assert connects == []


def test_a_refused_local_server_hears_nothing(slack: SlackServer, settings: Settings) -> None:
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset()
    assert post_json(slack.url, {"text": "x"}).kind is Kind.BLOCKED
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({slack.origin})
    assert post_json(slack.url, {"text": "x"}).kind is Kind.DELIVERED
    assert slack.connections == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hook?a=b&c=%0A",
        "https://EXAMPLE.com:443/",
        "https://xn--mller-kva.example/",
        "https://93.184.215.14/",
        "https://[2606:4700:4700::1111]/hook",
        "https://a_b.example/",
    ],
)
def test_accepted_at_save(url: str) -> None:
    assert check_url(url, resolver=answering(PUBLIC)) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com@evil.example/",
        "https://hooks.slack.com.evil.example/",
        "https://evil.example/hooks.slack.com",
        "https://xhooks.slack.com/",
        "https://slack.com/",
        "https://xn--hoks-5uf.slack.com/",
        "http://hooks.slack.com/services/T0/B0/x",
        "https://hooks.slack.com:8443/services/T0/B0/x",
    ],
)
def test_a_pinned_host_is_that_host_exactly(url: str) -> None:
    with pytest.raises(Problem):
        check_url(url, only_hosts=["hooks.slack.com"], resolver=answering(PUBLIC))


def test_a_pinned_host_is_saved_without_asking_a_name_server() -> None:
    url = "https://hooks.slack.com/services/T0/B0/x"
    assert check_url(url, only_hosts=["hooks.slack.com"], resolver=unresolvable) == url


@pytest.mark.parametrize("addresses", [[PUBLIC, INTERNAL], [INTERNAL, PUBLIC], [PUBLIC, "::ffff:10.0.0.1"]])
def test_every_address_of_a_name_counts(addresses: list[str], connects: list[object]) -> None:
    with pytest.raises(Problem):
        check_url("https://example.com/", resolver=answering(*addresses))
    assert post_json("https://example.com/", {}, resolver=answering(*addresses)).kind is Kind.BLOCKED
    assert connects == []


def test_a_name_that_turns_inside_after_saving_is_blocked(connects: list[object]) -> None:
    answers = [[PUBLIC], [INTERNAL]]
    resolver: outbound.Resolver = lambda host, port, timeout_s: answers.pop(0)  # noqa: E731
    assert check_url("https://rebind.example/", resolver=resolver)
    assert post_json("https://rebind.example/", {}, resolver=resolver) == Outcome(Kind.BLOCKED, "address")
    assert connects == []


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(
    slack: SlackServer, connects: list[object], settings: Settings
) -> None:
    asked = []

    def resolver(host: str, port: int, timeout_s: float) -> list[str]:
        asked.append(host)
        return [INTERNAL] if len(asked) == 1 else ["127.0.0.2"]

    port = slack.origin.rsplit(":", 1)[1]
    origin = f"http://receiver.example:{port}"
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({origin})
    assert post_json(f"{origin}/hook?a=1", {"text": "x"}, resolver=resolver).kind is Kind.DELIVERED
    assert (asked, connects) == (["receiver.example"], [(INTERNAL, int(port))])
    assert (slack.requests[0].path, slack.requests[0].headers["Host"]) == ("/hook?a=1", f"receiver.example:{port}")


def test_an_unknown_name_is_refused_at_save_and_retried_at_send(connects: list[object]) -> None:
    with pytest.raises(Problem):
        check_url("https://nowhere.example/", resolver=unresolvable)
    assert post_json("https://nowhere.example/", {}, resolver=unresolvable) == Outcome(Kind.RETRYABLE, "dns")
    assert connects == []


@pytest.mark.parametrize("near", ["http://127.0.0.1:{}", "http://localhost:{}", "https://127.0.0.1:{}"])
def test_an_exception_is_an_exact_origin(slack: SlackServer, near: str) -> None:
    port = int(slack.origin.rsplit(":", 1)[1])
    assert post_json(near.format(port + 1), {"text": "x"}).kind is Kind.BLOCKED
    if near != "http://127.0.0.1:{}":
        assert post_json(near.format(port), {"text": "x"}).kind is Kind.BLOCKED
    assert slack.connections == 0


def test_proxies_of_the_environment_are_not_used(slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post_json(slack.url, {"text": "x"}).kind is Kind.DELIVERED


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200), Outcome(Kind.DELIVERED, "2xx")),
        (Answer(204, b""), Outcome(Kind.DELIVERED, "2xx")),
        (Answer(400, b"invalid_payload"), Outcome(Kind.PERMANENT, "4xx")),
        (Answer(403, b"invalid_token"), Outcome(Kind.PERMANENT, "4xx", gone=True)),
        (Answer(404, b"no_service"), Outcome(Kind.PERMANENT, "4xx", gone=True)),
        (Answer(410, b"channel_is_archived"), Outcome(Kind.PERMANENT, "4xx", gone=True)),
        (Answer(408), Outcome(Kind.RETRYABLE, "4xx")),
        (Answer(429, headers={"Retry-After": "30"}), Outcome(Kind.RETRYABLE, "429", retry_after_s=30)),
        (Answer(429, headers={"Retry-After": "0"}), Outcome(Kind.RETRYABLE, "429", retry_after_s=1)),
        (Answer(429, headers={"Retry-After": "999999999"}), Outcome(Kind.RETRYABLE, "429", retry_after_s=86_400)),
        (Answer(429, headers={"Retry-After": "soon"}), Outcome(Kind.RETRYABLE, "429")),
        (Answer(429, headers={"Retry-After": "-5"}), Outcome(Kind.RETRYABLE, "429")),
        (Answer(500), Outcome(Kind.RETRYABLE, "5xx")),
        (Answer(503, headers={"Retry-After": "7"}), Outcome(Kind.RETRYABLE, "5xx", retry_after_s=7)),
    ],
)
def test_the_status_decides(slack: SlackServer, answer: Answer, outcome: Outcome) -> None:
    slack.answer = answer
    assert post_json(slack.url, {"text": "x"}) == outcome
    assert slack.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["http://169.254.169.254/", "{origin}/services/elsewhere", "{url}"])
def test_a_redirect_is_not_followed(slack: SlackServer, status: int, where: str, connects: list[object]) -> None:
    location = where.format(origin=slack.origin, url=slack.url)
    slack.answer = Answer(status, headers={"Location": location})
    assert post_json(slack.url, {"text": "x"}) == Outcome(Kind.PERMANENT, "3xx")
    assert (len(connects), len(slack.requests), slack.other_requests) == (1, 1, [])


def test_a_slow_answer_counts_when_it_comes_in_time(slack: SlackServer) -> None:
    slack.answer = Answer(delay_s=0.4)
    assert post_json(slack.url, {"text": "x"}, total_s=5).kind is Kind.DELIVERED


def test_a_late_answer_does_not(slack: SlackServer) -> None:
    slack.answer = Answer(delay_s=2)
    started = time.monotonic()
    assert post_json(slack.url, {"text": "x"}, total_s=0.5) == Outcome(Kind.RETRYABLE, "timeout")
    assert time.monotonic() - started < 1.5


def test_dripping_does_not_stretch_the_time(slack: SlackServer) -> None:
    slack.answer = Answer(drip_s=0.1)
    started = time.monotonic()
    assert post_json(slack.url, {"text": "x"}, total_s=0.7) == Outcome(Kind.RETRYABLE, "timeout")
    assert time.monotonic() - started < 1.5


def test_nothing_listens(slack: SlackServer, settings: Settings) -> None:
    with socket.socket() as probe:
        probe.bind((INTERNAL, 0))
        origin = f"http://{INTERNAL}:{probe.getsockname()[1]}"
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({origin})
    assert post_json(origin, {}) == Outcome(Kind.RETRYABLE, "network")


def test_the_next_address_is_tried_when_one_does_not_answer(slack: SlackServer, settings: Settings) -> None:
    port = slack.origin.rsplit(":", 1)[1]
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({f"http://two.example:{port}"})
    outcome = post_json(f"http://two.example:{port}/", {"text": "x"}, resolver=answering("::1", INTERNAL))
    assert outcome.kind is Kind.DELIVERED


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says what HTTP servers do not; yields its origin."""
    listener = socket.create_server((INTERNAL, 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            connection.recv(65_536)
            with suppress(OSError):  # The client may have had enough.
                talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://{INTERNAL}:{listener.getsockname()[1]}"
    finally:
        thread.join(10)
        listener.close()


def endless(start: bytes, more: bytes, sent: list[int]) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(10_000):
            connection.sendall(more)
            sent[0] += len(more)

    return talk


MEGABYTE = b"x" * 1_000_000


def test_a_huge_body_is_not_read(settings: Settings) -> None:
    sent = [0]
    with raw_server(endless(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", MEGABYTE, sent)) as origin:
        settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({origin})
        assert post_json(origin, {}) == Outcome(Kind.DELIVERED, "2xx")
    # What went out lies in the system's buffers, nobody took it.
    assert sent[0] < 100_000_000


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 10_000),
        (b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n" * 1_000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
        (b"", MEGABYTE),
    ],
    ids=["endless header", "endless headers", "endless 100", "no HTTP at all"],
)
def test_endless_heads_end(settings: Settings, start: bytes, more: bytes) -> None:
    started = time.monotonic()
    with raw_server(endless(start, more, [0])) as origin:
        settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({origin})
        post_json(origin, {}, total_s=5)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    "answer", [b"", b"\x00\xff\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 99 \r\n\r\n", b"SSH-2.0\r\n"]
)
def test_nonsense_is_tried_again(settings: Settings, answer: bytes) -> None:
    with raw_server(lambda connection: connection.sendall(answer)) as origin:
        settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({origin})
        assert post_json(origin, {}) == Outcome(Kind.RETRYABLE, "network")


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        release.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        outbound.resolve("slow.example", 443, 0.2)
    assert time.monotonic() - started < 2
    release.set()
