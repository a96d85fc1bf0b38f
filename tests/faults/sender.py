"""A client that means it: sends a batch again until it is acknowledged, and remembers what was."""

import http.client
import json
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

BATCH = 5
# Old enough to lie in no server's future, though its clock may be an hour slow.
OLD = timedelta(minutes=70)


class Sender(threading.Thread):
    """Sends batches until told to stop. `sent` are all ids that left, `acknowledged` those that got a 2xx."""

    def __init__(self, port: int, secret: str, *, name: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self._port, self._secret = port, secret
        self._draw = random.Random(seed)
        self._stopped = threading.Event()
        self.sent: list[str] = []
        self.acknowledged: list[str] = []
        self.refused: list[str] = []

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            events = [self._event(number + index) for index in range(BATCH)]
            number += BATCH
            self.sent += [event["id"] for event in events]
            if self._send_until_acknowledged(json.dumps({"events": events}).encode()):
                self.acknowledged += [event["id"] for event in events]

    def _event(self, number: int) -> dict[str, Any]:
        return {
            "id": f"{self.name}-{number}",
            "time": (datetime.now(UTC) - OLD).isoformat(),
            "provider": "openai",
            "model": "gpt-4.1-nano",
            "usage": {"input_tokens": self._draw.randrange(10_000), "output_tokens": self._draw.randrange(2_000)},
        }

    def _send_until_acknowledged(self, body: bytes) -> bool:
        while not self._stopped.is_set():
            status = self._send(body)
            if status == 202:
                return True
            if status is not None and status not in {500, 502, 503}:
                self.refused.append(f"{status}")
                return False
            time.sleep(0.05)
        return False

    def _send(self, body: bytes) -> int | None:
        """The status of the answer, None when there was none."""
        headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("POST", "/api/v1/events", body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return None
        else:
            return answer.status
        finally:
            connection.close()
