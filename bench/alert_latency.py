"""From an accepted event to the mail of the threshold it crossed, while 1,000 events a second come in."""

import http.client
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from aiosmtpd.smtp import SMTP, Envelope, Session

from alerts.services import channel_create
from bench.processes import web, worker
from bench.tenants import Tenant, make_tenant
from bench.workload import bodies
from budgets.services import budget_create
from budgets.terms import Measure
from tenants.access import organization_scope
from tenants.services import virtual_key_issue
from tests.servers import SmtpServer

PROBES, EVERY_S = 30, 1.0
EVENTS_PER_S, BATCH = 1_000, 100
TARGET_S, PATIENCE_S = 5.0, 60.0
_PROBE = re.compile(r"probe-([0-9]+)")


class _Mailbox(SmtpServer):
    """Notes when the first mail of each probe came."""

    def __init__(self) -> None:
        super().__init__()
        self.came: dict[int, float] = {}

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        moment = time.monotonic()
        answer = await super().handle_DATA(server, session, envelope)
        if found := _PROBE.search(str(self.mails[-1]["Subject"])):
            self.came.setdefault(int(found[1]), moment)
        return answer


@dataclass
class _Load:
    """What the background really sent."""

    events: int = 0
    seconds: float = 0.0
    refused: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


def measure(log: Path) -> None:
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    tenant = make_tenant("Alert latency")
    secrets = _probes(tenant)
    with _Mailbox() as mailbox, web(log) as url, worker(log, EMAIL_URL=mailbox.url):
        # The first one waits for Celery to come up; it is not counted.
        _await(mailbox, {0: _send_probe(url, secrets[0])})
        with _background(url, tenant) as load:
            accepted = {}
            for number, secret in list(enumerate(secrets))[1:]:
                accepted[number] = _send_probe(url, secret)
                time.sleep(EVERY_S)
        _await(mailbox, accepted)
    waits = sorted(mailbox.came[number] - moment for number, moment in accepted.items() if number in mailbox.came)
    _report(waits, lost=len(accepted) - len(waits), load=load)


def _report(waits: list[float], *, lost: int, load: _Load) -> None:
    if not waits:
        raise RuntimeError("no alert came")
    middle, late = waits[len(waits) // 2], waits[min(len(waits) - 1, len(waits) * 95 // 100)]
    print(
        f"\nevent accepted → threshold mail at the SMTP server, beside {load.events / load.seconds:,.0f} events/s"
        f" ({load.refused} batches refused)\n"
        f"{len(waits)} alerts: median {middle:.2f} s, p95 {late:.2f} s, longest {waits[-1]:.2f} s"
        f" (target: p95 {TARGET_S:.0f} s or less); {lost} did not come within {PATIENCE_S:.0f} s",
        flush=True,
    )


def _probes(tenant: Tenant) -> list[str]:
    """The secrets of keys whose first call is past their budget, and a channel that is told."""
    now = datetime.now(UTC)
    secrets = []
    with organization_scope(tenant.id):
        channel_create(
            organization=tenant.organization, kind="email", name="Latency", recipients=["latency@example.com"],
            hourly_limit=1_000, actor=None, now=now,
        )  # fmt: skip
        for number in range(PROBES + 1):
            key, secret = virtual_key_issue(team=tenant.team, name=f"probe-{number}", actor=None, now=now)
            budget_create(
                organization=tenant.organization, name=f"probe-{number}",
                measure=Measure("virtual_key", None, key, "day", "UTC"), limit=1, thresholds=[100], actor=None, now=now,
            )  # fmt: skip
            secrets.append(secret)
    return secrets


def _send_probe(url: str, secret: str) -> float:
    """Sends one event; the moment at which it was accepted."""
    now = datetime.now(UTC)
    event = {
        "id": f"probe-{now.timestamp()}", "time": now.isoformat(), "provider": "openai", "model": "gpt-4.1-mini",
        "usage": {"input_tokens": 1_000, "output_tokens": 100},
    }  # fmt: skip
    status = _post(_connect(url), secret, json.dumps({"events": [event]}).encode())
    if status != 202:
        raise RuntimeError(f"the server answered {status}")
    return time.monotonic()


@contextmanager
def _background(url: str, tenant: Tenant) -> Iterator[_Load]:
    """1,000 events a second from a thread of its own, in batches, until the block ends."""
    load = _Load()
    batches = bodies(events=int(EVENTS_PER_S * (PROBES * EVERY_S + PATIENCE_S)), batch=BATCH, seed=7)
    sender = threading.Thread(target=_send_steadily, args=(url, tenant.secret, batches, load))
    sender.start()
    try:
        yield load
    finally:
        load.stop.set()
        sender.join()


def _send_steadily(url: str, secret: str, batches: list[bytes], load: _Load) -> None:
    connection, started = _connect(url), time.monotonic()
    for number, body in enumerate(batches):
        wait = started + number * BATCH / EVENTS_PER_S - time.monotonic()
        if load.stop.wait(max(wait, 0)):
            break
        if _post(connection, secret, body) == 202:
            load.events += BATCH
        else:
            load.refused += 1
    load.seconds = time.monotonic() - started


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)


def _post(connection: http.client.HTTPConnection, secret: str, body: bytes) -> int:
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/events", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _await(mailbox: _Mailbox, accepted: dict[int, float]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and accepted.keys() - mailbox.came.keys():
        time.sleep(0.05)
