"""Redis itself is killed while threads authorize, and comes back older or empty: its counters say what the
ledger says within the lease, and nobody is refused what fits."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from budgets.models import Budget
from budgets.reservations import settled
from budgets.reservations.authorize import outage
from budgets.reservations.outage import Outage
from budgets.reservations.settled import engine
from budgets.reservations.sweep import sweep
from common.problems import Problem
from costhub.embedded import Home
from costhub.embedded.redis import Redis
from costhub.processes import start
from tenants.access import organization_scope
from tests.budgets.support import use
from tests.budgets.test_authorizations import HELD, hard
from tests.budgets.test_reservation_life import acme, ask, spent, standing
from tests.factories import Tenant
from tests.faults.forgetful import Log
from tests.ingest.payloads import event

__all__ = ["acme"]

THREADS = 3
LEASE_S = 1.0
# For the sweeps in between, and for a machine that is busy.
SLACK_S = 2.0


class Server:
    """A Redis of its own, as the product starts it."""

    def __init__(self, home: Home) -> None:
        self._program = Redis(home).program()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = start(self._program)
        while not self._program.is_ready():
            time.sleep(0.01)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.at(tmp_path / "home")
    home.create()
    home.create_runtime()
    yield home
    shutil.rmtree(home.runtime)


@pytest.fixture
def server(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(settled, "_outage", Outage())
    engine.cache_clear()
    outage.over()
    server = Server(home)
    server.start()
    with override_settings(REDIS_URL=f"unix://{home.redis_socket}"):
        yield server
    server.kill()
    engine.cache_clear()
    outage.over()


class Asking(threading.Thread):
    """Asks for one authorization after the other until told to stop."""

    def __init__(self, tenant: Tenant, name: str, granted: list[str]) -> None:
        super().__init__(name=name, daemon=True)
        self._tenant, self._granted = tenant, granted
        self._stopped = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            try:
                granted = ask(self._tenant, f"{self.name}-{number}", lease_ms=int(LEASE_S * 1000))
            except Problem as problem:
                if problem.slug != "budget-unavailable":
                    raise
                time.sleep(0.05)
            else:
                self._granted.append(granted.authorization)
        connection.close()

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("comes_back", ["older", "empty"])
def test_killed_amid_authorizations(server: Server, home: Home, acme: Tenant, comes_back: str) -> None:
    budget = hard(acme, abandoned="full")
    granted: list[str] = []
    log, asking = Log(home), [Asking(acme, f"thread-{number}", granted) for number in range(THREADS)]
    for thread in asking:
        thread.start()
    wait_for(lambda: len(granted) > 10)
    log.look()
    use(acme, event(authorization=granted[0]), event(authorization=granted[1]), event())
    server.kill()
    if comes_back == "older":
        log.cut(0)
    if comes_back == "empty":
        log.drop()
    server.start()
    before = len(granted)
    wait_for(lambda: len(granted) > before + 5)
    use(acme, event(authorization=granted[2]), event(authorization=granted[-1]))
    for thread in asking:
        thread.stop()
    until = time.monotonic() + LEASE_S + SLACK_S
    while sweep(timezone.now()) or standing(acme)[:2] != (spent(acme, budget), 0):
        assert time.monotonic() < until
        time.sleep(0.05)

    with organization_scope(acme.id):
        Budget.objects.update(limit=spent(acme, budget) + HELD)
    ask(acme, "fits")
    with pytest.raises(Problem, match="budget-exceeded"):
        ask(acme, "does not")
