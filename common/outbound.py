"""The one way CostHub sends HTTP to a URL that a user gave: guarded against server-side request forgery.

A name is resolved once, every address of it must be public, and the connection goes to an address that was checked,
with the name kept for TLS and Host. Redirects and proxies are not followed, and nothing but a class of outcome comes
back, so that an answer can never be read through CostHub. Its body is left alone, but where a receiver is known to hide
an error's status in that of a 200: there the status is looked for, and nothing else.

`settings.OUTBOUND_ALLOWED_ORIGINS` are the operator's exceptions, as exact origins such as http://127.0.0.1:9000.
"""

import http.client
import io
import json
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings

from common.addresses import all_public
from common.problems import Problem

MAX_URL_LENGTH = 2_000
MAX_READ_BYTES = 65_536
MAX_HIDDEN_BYTES = 2_000
TOTAL_S = 10.0
# With another address left to try, one that does not answer may not use up the time.
CONNECT_S = 3.0
MAX_RETRY_AFTER_S = 86_400

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_DOTTED_QUAD = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DEFAULT_PORTS = {"https": 443, "http": 80}

# (host, port, seconds) → the addresses as text, in the order to try them; OSError when there are none.
Resolver = Callable[[str, int, float], list[str]]


class Kind(StrEnum):
    DELIVERED = "delivered"
    RETRYABLE = "retryable"
    PERMANENT = "permanent"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request. `reason` is one of a few fixed words, never text of the other side.

    `gone`: the receiver refuses this URL itself, so later requests will fare no better.
    """

    kind: Kind
    reason: str
    gone: bool = False
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def allowed_by_operator(self) -> bool:
        return self.origin in settings.OUTBOUND_ALLOWED_ORIGINS


def url_not_allowed() -> Problem:
    """The one answer to every URL that is refused: it never says whether a name or a port exists."""
    return Problem("url-not-allowed", "Give the https address of a public server, without user name or port.")


def resolve(host: str, port: int, timeout_s: float) -> list[str]:
    """The system's resolver, with an end: `getaddrinfo` itself knows no timeout."""
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError) as error:
            answers.put(OSError(str(error)))
        else:
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty as error:
        raise TimeoutError("the name service did not answer") from error
    if isinstance(answer, OSError):
        raise answer
    return answer


def parse_url(url: str) -> Target:
    """The parts of a URL whose form is allowed; Problem url-not-allowed otherwise. Asks no name server.

    Names are plain ASCII: an international name must be given as xn--…, which shows a look-alike for what it is.
    """
    if len(url) > MAX_URL_LENGTH or not _VISIBLE_ASCII.fullmatch(url) or any(sign in url for sign in "\\#"):
        raise url_not_allowed()
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise url_not_allowed() from error
    authority = _AUTHORITY.fullmatch(parts.netloc.lower())
    if parts.scheme not in _DEFAULT_PORTS or authority is None:
        raise url_not_allowed()
    host = authority["host"].strip("[]")
    port = int(authority["port"] or _DEFAULT_PORTS[parts.scheme])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(parts.scheme, host, port, path)
    if not _host_is_plain(authority["host"]) or not (_is_default(target) or target.allowed_by_operator):
        raise url_not_allowed()
    return target


def _is_default(target: Target) -> bool:
    return target.scheme == "https" and target.port == _DEFAULT_PORTS["https"]


def _host_is_plain(host: str) -> bool:
    """A name of proper labels, an IPv6 literal, or four decimal numbers; none of the older ways to write IPv4."""
    if host.startswith("["):
        return _is_ipv6(host[1:-1])
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    return not _NUMERIC_LABEL.fullmatch(labels[-1]) or bool(_DOTTED_QUAD.fullmatch(host))


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


def check_url(url: str, *, only_hosts: Collection[str] = (), resolver: Resolver = resolve) -> str:
    """The URL, when it may be saved; Problem url-not-allowed, always the same one, otherwise.

    With `only_hosts` one of those names is required (`*.` before one stands for any name below it) and not resolved:
    its addresses are tested whenever it is used.
    """
    target = parse_url(url)
    if target.allowed_by_operator:
        return url
    if only_hosts:
        if not any(_host_matches(target.host, pattern) for pattern in only_hosts):
            raise url_not_allowed()
        return url
    try:
        addresses = resolver(target.host, target.port, TOTAL_S)
    except OSError as error:
        raise url_not_allowed() from error
    if not all_public(addresses):
        raise url_not_allowed()
    return url


def _host_matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def post_json(
    url: str,
    payload: Any,
    *,
    resolver: Resolver = resolve,
    total_s: float = TOTAL_S,
    hidden: re.Pattern[bytes] | None = None,
) -> Outcome:
    """POSTs the payload as JSON and says what came of it, after at most `total_s` seconds. Raises nothing for it.

    `hidden`: a pattern whose group `status` is that of an error, in the beginning of a 200's body. Whatever it is, the
    receiver took the request and may do better later.
    """
    return post_body(url, json.dumps(payload).encode(), {}, resolver=resolver, total_s=total_s, hidden=hidden)


def post_body(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    resolver: Resolver = resolve,
    total_s: float = TOTAL_S,
    hidden: re.Pattern[bytes] | None = None,
) -> Outcome:
    """POSTs a body of JSON as it stands, for a signature over its bytes; `headers` are our own, in visible ASCII."""
    deadline = time.monotonic() + total_s
    try:
        target = parse_url(url)
    except Problem:
        return Outcome(Kind.BLOCKED, "address")
    try:
        addresses = resolver(target.host, target.port, _left(deadline))
    except OSError:
        return Outcome(Kind.RETRYABLE, "dns")
    if not target.allowed_by_operator and not all_public(addresses):
        return Outcome(Kind.BLOCKED, "address")
    try:
        return _exchange(target, addresses, _head(target, len(body), headers) + body, deadline, hidden)
    except ssl.SSLCertVerificationError:
        return Outcome(Kind.BLOCKED, "tls")
    except TimeoutError:
        return Outcome(Kind.RETRYABLE, "timeout")
    except (OSError, http.client.HTTPException):
        return Outcome(Kind.RETRYABLE, "network")


def _exchange(
    target: Target, addresses: list[str], request: bytes, deadline: float, hidden: re.Pattern[bytes] | None
) -> Outcome:
    with _connect(target, addresses, deadline) as connection:
        connection.settimeout(_left(deadline))
        connection.sendall(request)
        # http.client reads the status and the headers through `makefile`, and nothing more of a socket.
        response = http.client.HTTPResponse(cast("socket.socket", _Bounded(connection, deadline)), method="POST")
        response.begin()
        if response.status == 200 and hidden is not None and (status := _hidden_status(response, hidden)):
            return Outcome(Kind.RETRYABLE, "429" if status == 429 else f"{status // 100}xx")
        return _outcome(response.status, response.getheader("Retry-After", ""))


def _hidden_status(response: http.client.HTTPResponse, hidden: re.Pattern[bytes]) -> int | None:
    """The status of an error in the body; None also where the body does not come, since the head said 200."""
    try:
        found = hidden.search(response.read(MAX_HIDDEN_BYTES))
    except (OSError, http.client.HTTPException):
        return None
    return None if found is None else int(found["status"])


def _head(target: Target, length: int, headers: Mapping[str, str]) -> bytes:
    lines = (
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        "User-Agent: CostHub",
        "Accept: */*",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _connect(target: Target, addresses: list[str], deadline: float) -> socket.socket:
    """A connection to the first address that answers, with TLS verified for the name."""
    for index, address in enumerate(addresses):
        last = index == len(addresses) - 1
        try:
            plain = socket.create_connection(
                (address, target.port), timeout=_left(deadline) if last else min(CONNECT_S, _left(deadline))
            )
        except OSError:
            if last:
                raise
            continue
        if target.scheme == "http":
            return plain
        try:
            plain.settimeout(_left(deadline))
            return ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
        except OSError:
            plain.close()
            raise
    raise OSError("the name has no address")


def _outcome(status: int, retry_after: str) -> Outcome:
    if 200 <= status < 300:
        return Outcome(Kind.DELIVERED, "2xx")
    if status in {408, 425, 429} or status >= 500:
        seconds = int(retry_after) if re.fullmatch(r"[0-9]{1,9}", retry_after) else None
        wait = None if seconds is None else min(max(seconds, 1), MAX_RETRY_AFTER_S)
        return Outcome(Kind.RETRYABLE, "429" if status == 429 else f"{status // 100}xx", retry_after_s=wait)
    return Outcome(Kind.PERMANENT, f"{status // 100}xx", gone=status in {401, 403, 404, 410})


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("out of time")
    return left


class _Bounded:
    """A socket as `http.client` reads it, with an end in time and size that no drip of bytes can move."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline = connection, deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._connection, self._deadline))


class _BoundedReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline, self._bytes_left = connection, deadline, MAX_READ_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._bytes_left == 0:
            return 0
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(memoryview(buffer)[: self._bytes_left])
        self._bytes_left -= count
        return count
