"""`python -m tests.faults.caller PORT NAME SEED FILE SECRET…`: asks before each call, makes it, reports what it used.

Some calls are released, forgotten or reported after their lease. Each step is a line of the file before the next one
begins, so that whoever kills the process knows how far it came.
"""

import http.client
import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Tokens of a call at most, and what is held for it in nano-USD, at 0.10 and 0.40 USD per million.
INPUT, MAX_OUTPUT = 1_200, 800
INPUT_PRICE, OUTPUT_PRICE = 100, 400
HELD = INPUT * INPUT_PRICE + MAX_OUTPUT * OUTPUT_PRICE
MODEL = {"provider": "openai", "model": "gpt-4.1-nano"}
TIMEOUT_S = 5.0
# A call that nobody answers for so long is not made.
PATIENCE_S = 4.0
RETRY_S = 0.1
# Of a hundred calls.
RELEASED, FORGOTTEN, LATE = 10, 6, 5
LATE_S = 4.0


def ask(
    port: int,
    method: str,
    path: str,
    credential: str,
    body: Any = None,
    *,
    timeout_s: float = TIMEOUT_S,
    **headers: str,
) -> tuple[int, dict[str, Any]] | None:
    """Status and document of the answer; None when there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    sent = {"Authorization": credential, "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def estimate(name: str, tokens: int = INPUT, cap: int = MAX_OUTPUT) -> dict[str, Any]:
    return {"id": name, **MODEL, "estimate": {"input_tokens": tokens, "max_output_tokens": cap}}


class Caller:
    def __init__(self, port: int, name: str, seed: int, file: Path, secrets: list[str]) -> None:
        self._port, self._name, self._secrets = port, name, secrets
        self._draw = random.Random(seed)
        self._file = file.open("a", buffering=1)
        self._late: list[tuple[float, str, str, str]] = []

    def run(self) -> None:
        number = 0
        while True:
            self._call(f"{self._name}-{number}", self._draw.choice(self._secrets))
            number += 1
            while self._late and self._late[0][0] < time.time():
                _, name, secret, authorization = self._late.pop(0)
                self._report(name, secret, authorization)

    def _call(self, name: str, secret: str) -> None:
        self._note("asked", name, key=secret)
        answer = self._persist("POST", "authorizations", secret, estimate(name), enough={201, 402, 409})
        if answer is None:
            self._note("unanswered", name)
            return
        status, document = answer
        if status != 201:
            self._note("refused" if status == 402 else "ended", name)
            self._sleep(0.05, 0.2)
            return
        authorization = document["authorization"]
        expires = datetime.fromisoformat(document["expires_at"]).timestamp()
        self._note("allowed", name, key=secret, authorization=authorization, expires=expires)
        self._sleep(0.02, 0.25)
        self._end(name, secret, authorization)

    def _end(self, name: str, secret: str, authorization: str) -> None:
        chance = self._draw.randrange(100)
        if chance < RELEASED:
            answer = self._persist("DELETE", f"authorizations/{authorization}", secret, enough={204, 404, 409})
            self._note("released" if answer and answer[0] == 204 else "unreleased", name)
        elif chance < RELEASED + FORGOTTEN:
            self._note("forgotten", name)
        elif chance < RELEASED + FORGOTTEN + LATE:
            self._late.append((time.time() + LATE_S, name, secret, authorization))
        else:
            self._report(name, secret, authorization)

    def _report(self, name: str, secret: str, authorization: str) -> None:
        usage = {"input_tokens": INPUT, "output_tokens": self._draw.randrange(MAX_OUTPUT + 1)}
        used = {
            "id": f"used-{name}", "time": datetime.now(UTC).isoformat(), **MODEL, "usage": usage,
            "authorization": authorization,
        }  # fmt: skip
        self._note("sent", name)
        while self._persist("POST", "events", secret, {"events": [used]}, enough={202}) is None:
            pass
        self._note("reported", name)

    def _persist(
        self, method: str, path: str, secret: str, body: Any = None, *, enough: set[int]
    ) -> tuple[int, dict[str, Any]] | None:
        """Asks again, with the same id, until an answer is enough; None when none was in time."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            answer = ask(self._port, method, path, f"Bearer {secret}", body)
            if answer and answer[0] in enough:
                return answer
            if answer and answer[0] < 500:
                self._note("wrong", f"{answer[0]} {answer[1].get('type')}")
                return None
            time.sleep(RETRY_S)
        return None

    def _sleep(self, least: float, most: float) -> None:
        time.sleep(self._draw.uniform(least, most))

    def _note(self, what: str, name: str, **more: Any) -> None:
        self._file.write(json.dumps({"at": time.time(), "what": what, "name": name, **more}) + "\n")


if __name__ == "__main__":
    port, name, seed, file, *secrets = sys.argv[1:]
    Caller(int(port), name, int(seed), Path(file), secrets).run()
