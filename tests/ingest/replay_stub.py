"""A server that speaks CostHub's API just well enough to misbehave on purpose. The real one is in tests/flows."""

import gzip
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

KEY = "chk_live_stub"


@dataclass
class Misbehaviour:
    """Instead of an answer: a status with headers, or (0) a connection that is cut."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class StubCostHub:
    """Takes events like CostHub: batches whole or not at all, ids once. `misbehave` comes first, one a request."""

    def __init__(self) -> None:
        self.events: dict[str, str] = {}
        self.posts = 0
        self.connections = 0
        self.gzipped = 0
        self.delay_s = 0.0
        self.unsettled = 0  # of the requests, how many /me does not know yet; one less at each look
        self.misbehave: deque[Misbehaviour] = deque()
        self.bad_models: set[str] = set()
        self.limit = 1_000
        self.posted_at: list[float] = []
        self.lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stub": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def stored(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.events.values()]

    def take(self, events: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.posts += 1
            self.posted_at.append(time.monotonic())
            if len(events) > self.limit:
                return 413, {"title": "too large"}
            return self._judge(events)

    def _judge(self, events: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        texts = {event["id"]: json.dumps(event, sort_keys=True) for event in events}
        faults = [
            {"pointer": f"/events/{index}/model", "code": "invalid", "detail": "is not valid"}
            for index, event in enumerate(events)
            if event["model"] in self.bad_models
        ]
        if faults:
            return 422, {"detail": "some are not valid", "errors": faults}
        known = [event_id for event_id in texts if event_id in self.events]
        conflicts = [event_id for event_id in known if self.events[event_id] != texts[event_id]]
        if conflicts:
            errors = [{"pointer": "", "code": "event_conflict", "detail": f"id {name}"} for name in conflicts]
            return 409, {"detail": "known", "errors": errors}
        self.events |= texts
        return 202, {"accepted": len(texts) - len(known), "duplicates": len(events) - len(texts) + len(known)}

    def me(self) -> dict[str, Any]:
        with self.lock:
            settled = self.stored[: len(self.events) - self.unsettled]
            self.unsettled = max(0, self.unsettled - 1)
        usage = [event["usage"] for event in settled]
        return {
            "spend": {
                "total": {
                    "requests": len(usage),
                    "input_tokens": sum(counts.get("input_tokens", 0) for counts in usage),
                    "output_tokens": sum(counts.get("output_tokens", 0) for counts in usage),
                    "cost": "0.000000000",
                    "unpriced_requests": 0,
                }
            }
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: StubCostHub

    def setup(self) -> None:
        super().setup()
        self.stub.connections += 1

    def do_GET(self) -> None:
        self._say(200, self.stub.me()) if self._authorized() else self._say(401, {"title": "no"})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
            self.stub.gzipped += 1
        time.sleep(self.stub.delay_s)
        if self.stub.misbehave:
            self._misbehave(self.stub.misbehave.popleft())
        elif self._authorized():
            self._say(*self.stub.take(json.loads(raw)["events"]))
        else:
            self._say(401, {"title": "no"})

    def _authorized(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {KEY}"

    def _misbehave(self, how: Misbehaviour) -> None:
        if not how.status:
            self.close_connection = True
            return
        self._say(how.status, how.body, **how.headers)

    def _say(self, status: int, document: Any, **headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass
