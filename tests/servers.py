"""Real servers for tests: one that takes mail over SMTP, one that speaks Slack's incoming webhooks over HTTP.

with SlackServer() as slack: ...   # slack.url, slack.requests, slack.answers
with SmtpServer() as smtp: ...     # smtp.url (an EMAIL_URL), smtp.mails, smtp.refuse
"""

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

WAIT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What the Slack server says to one request: after `delay_s` all at once, or drop by drop."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0
    drip_s: float = 0


@dataclass(frozen=True)
class SlackRequest:
    path: str
    headers: dict[str, str]
    payload: dict[str, Any]
    body: bytes


class SlackServer:
    """Answers like hooks.slack.com; `answers` are given first, one a request, then `answer`."""

    def __init__(self) -> None:
        self.requests: list[SlackRequest] = []
        self.other_requests: list[str] = []
        self.answers: deque[Answer] = deque()
        self.answer = Answer()
        self.connections = 0
        self._changed = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_SlackHandler,), {"slack": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/services/T000/B000/XXXXsecretXXXX"

    def wait_for(self, count: int, *, timeout_s: float = WAIT_S) -> list[SlackRequest]:
        """The requests, once there are `count` of them; TimeoutError when they do not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, timeout_s):
                raise TimeoutError(f"{len(self.requests)} of {count} requests came")
            return list(self.requests)

    def fault_of(self, payload: dict[str, Any]) -> bytes:
        """What Slack says of a payload it does not take."""
        return b"" if payload.get("text") or payload.get("blocks") else b"no_text"

    def take(self, request: SlackRequest) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            return self.answers.popleft() if self.answers else self.answer

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(WAIT_S)


class _SlackHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    slack: SlackServer

    def setup(self) -> None:
        self.slack.connections += 1
        super().setup()

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        try:
            payload = json.loads(raw)
        except ValueError:
            self._say(Answer(400, b"invalid_payload"))
            return
        if fault := self.slack.fault_of(payload):
            self._say(Answer(400, fault))
            return
        self._say(self.slack.take(SlackRequest(self.path, dict(self.headers.items()), payload, raw)))

    def do_GET(self) -> None:
        self.slack.other_requests.append(self.path)
        self._say(Answer(405, b"method_not_allowed"))

    def _say(self, answer: Answer) -> None:
        time.sleep(answer.delay_s)
        head = f"HTTP/1.1 {answer.status} Answer\r\nContent-Length: {len(answer.body)}\r\nConnection: close\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        with suppress(OSError):  # The client may have had enough.
            self._write(head.encode() + b"\r\n" + answer.body, answer.drip_s)
        self.close_connection = True

    def _write(self, data: bytes, drip_s: float) -> None:
        if not drip_s:
            self.wfile.write(data)
            return
        for byte in data:
            self.wfile.write(bytes([byte]))
            time.sleep(drip_s)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class HookServer(SlackServer):
    """Takes any JSON: Teams, PagerDuty, or somebody's own receiver."""

    def fault_of(self, payload: dict[str, Any]) -> bytes:
        return b""


class PagerDutyServer(SlackServer):
    """Keeps incidents as PagerDuty's Events API v2 does: an event that it takes changes the incident of its key.

    `incidents` are (dedup key, status) in the order in which they were opened.
    """

    def __init__(self) -> None:
        super().__init__()
        self.incidents: list[tuple[str, str]] = []
        self.answer = Answer(202, b'{"status":"success"}')

    def fault_of(self, payload: dict[str, Any]) -> bytes:
        known = payload.get("event_action") in {"trigger", "acknowledge", "resolve"}
        keyed = len(str(payload.get("routing_key"))) == 32 and 0 < len(payload.get("dedup_key", "")) <= 255
        told = (
            payload.get("event_action") != "trigger" or {"summary", "source", "severity"} <= payload["payload"].keys()
        )
        return b"" if known and keyed and told else b"invalid event"

    def take(self, request: SlackRequest) -> Answer:
        answer = super().take(request)
        if answer.status == 202:
            self._apply(request.payload["event_action"], request.payload["dedup_key"])
        return answer

    def _apply(self, action: str, key: str) -> None:
        """A trigger joins the open incident of its key; what follows names no incident that is resolved."""
        open_ = [place for place, known in enumerate(self.incidents) if known[0] == key and known[1] != "resolved"]
        if open_ and action != "trigger":
            self.incidents[open_[0]] = key, f"{action}d"
        elif not open_ and action == "trigger":
            self.incidents.append((key, "triggered"))


class SmtpServer:
    """Takes mail for everybody but those named in `refuse` (address → answer, e.g. "550 5.1.1 no such user")."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse: dict[str, str] = {}
        # An answer to the content of every mail, e.g. "451 try again later"; None takes it.
        self.refuse_data: str | None = None
        self._changed = threading.Condition()
        self._controller = Controller(self, hostname="127.0.0.1", port=_free_port(), ready_timeout=WAIT_S)

    @property
    def port(self) -> int:
        return int(self._controller.port)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        return [str(mail["X-Envelope-To"]) for mail in self.mails]

    def wait_for(self, count: int, *, timeout_s: float = WAIT_S) -> list[EmailMessage]:
        """The mails, once there are `count` of them; TimeoutError when they do not come."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.mails) >= count, timeout_s):
                raise TimeoutError(f"{len(self.mails)} of {count} mails came")
            return list(self.mails)

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse_data is not None:
            return self.refuse_data
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        mail = message_from_bytes(content, policy=policy.default)
        mail["X-Envelope-To"] = ", ".join(envelope.rcpt_tos)
        with self._changed:
            self.mails.append(mail)
            self._changed.notify_all()
        return "250 OK"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._controller.stop()


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """The text a mail was written with: its "plain" or its "html" one."""
    part = mail.get_body((kind,))
    if part is None:
        raise ValueError(f"the mail has no {kind} text")
    return str(part.get_content())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
