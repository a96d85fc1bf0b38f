"""One connection to the API, kept open, that does not give up easily: everything it sends may be sent again."""

import gzip
import http.client
import json
import random
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 30.0
# About a minute and a half of a server that does not answer, longer where it says how long to wait.
ATTEMPTS = 12
# Before anything was sent, whoever mistyped the URL should not wait that long.
FIRST_CONTACT_ATTEMPTS = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 15.0
LONGEST_RETRY_AFTER_S = 60.0
# What another attempt may change: too many requests, a restart, an overload.
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class ReplayError(Exception):
    """Why the replay cannot go on, in a sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send: the product's base URL and a virtual key."""

    url: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
        except ValueError:
            usable = False
        if not usable:
            raise ReplayError("The URL must look like http://127.0.0.1:8000.")
        if not (self.key.isascii() and self.key.isprintable()):
            raise ReplayError("The key holds characters that no key has.")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    document: dict[str, Any]


class Client:
    """For one thread. `stop` ends its pauses."""

    def __init__(
        self, target: Target, stop: threading.Event, *, compress: bool = False, attempts: int = ATTEMPTS
    ) -> None:
        parts = urlsplit(target.url)
        host, self._prefix = parts.hostname or "", parts.path.rstrip("/")
        if parts.scheme == "https":
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
        self._target, self._stop, self._compress, self._attempts = target, stop, compress, attempts

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str) -> Answer:
        return self._persist("GET", path, None)

    def post(self, path: str, document: Any) -> Answer:
        body = json.dumps(document, separators=(",", ":")).encode()
        return self._persist("POST", path, gzip.compress(body, 5) if self._compress else body)

    def _persist(self, method: str, path: str, body: bytes | None) -> Answer:
        """The answer of the first attempt that gets a lasting one. ReplayError when none does, or on a hopeless one."""
        trouble = ""
        for attempt in range(self._attempts):
            if self._stop.is_set():
                raise ReplayError("The replay was stopped.")
            pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * random.uniform(0.5, 1)
            try:
                response, document = self._once(method, path, body)
            except ssl.SSLError as error:
                raise ReplayError(f"No trusted connection to {self._target.url}: {error}.") from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                trouble = f"{self._target.url} cannot be reached ({error or type(error).__name__})"
            else:
                if response.status not in _TRANSIENT:
                    return _lasting(Answer(response.status, document), self._target.url)
                trouble = f"{self._target.url} answers {response.status}"
                pause = _retry_after(response.headers.get("Retry-After")) or pause
            self._stop.wait(pause)
        raise ReplayError(f"{trouble}, after {self._attempts} attempts.")

    def _once(self, method: str, path: str, body: bytes | None) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self._target.key}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            if self._compress:
                headers["Content-Encoding"] = "gzip"
        self._connection.request(method, self._prefix + path, body, headers)
        response = self._connection.getresponse()
        raw = response.read()
        try:
            document = json.loads(raw)
        except ValueError:
            document = {}
        return response, document if isinstance(document, dict) else {}


def _lasting(answer: Answer, url: str) -> Answer:
    if answer.status in {401, 403}:
        raise ReplayError("The key is not accepted: it may be mistyped, revoked, expired, or of another installation.")
    if 300 <= answer.status < 400 or answer.status == 404 or not answer.document:
        raise ReplayError(f"{url} answers {answer.status}, but not as CostHub does: is it the right URL?")
    return answer


def _retry_after(text: str | None) -> float | None:
    """Seconds to wait as the server says, within reason; None when it does not say, or says a date."""
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    return min(LONGEST_RETRY_AFTER_S, float(text))
