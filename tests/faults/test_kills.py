"""SIGKILL at random while usage is sent: nothing that was acknowledged is lost, doubled or summed wrongly."""

import random
import time
from collections import Counter, deque
from typing import Any

import psutil
import pytest

from tests.faults.sender import Sender
from tests.product import Product, running_product

SENDERS = 3
SHORT_KILLS, LONG_KILLS = 24, 200
# The supervisor gives a program up that dies more often than this within a minute; a campaign stays below.
ROOT_KILLS_PER_MINUTE = 3
SETTLE_S = 120.0


class Killer:
    """Kills processes of the product at random: a program itself now and then, else one of its children."""

    def __init__(self, product: Product, seed: int) -> None:
        self._product = product
        self._draw = random.Random(seed)
        self._roots: dict[str, deque[float]] = {name: deque() for name in ("web", "worker", "postgres")}
        self.kills: Counter[str] = Counter()

    def kill_one(self) -> None:
        name = self._draw.choice(sorted(self._roots))
        root = self._program(name)
        if root is None:
            return
        children = root.children(recursive=name != "postgres")
        victim, what = root, name
        if children and (self._draw.random() < 0.7 or not self._may_kill_root(name)):
            victim, what = self._draw.choice(children), f"{name} child"
        elif not self._may_kill_root(name):
            return
        else:
            self._roots[name].append(time.monotonic())
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            return
        self.kills[what] += 1

    def _may_kill_root(self, name: str) -> bool:
        times = self._roots[name]
        while times and times[0] < time.monotonic() - 60:
            times.popleft()
        return len(times) < ROOT_KILLS_PER_MINUTE

    def _program(self, name: str) -> psutil.Process | None:
        marks = {"web": "gunicorn", "worker": "worker", "postgres": "postgres"}
        for process in self._product.programs():
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if marks[name] in line and not (name == "worker" and "celery" not in line):
                return process
        return None


def settled(product: Product, organization: str) -> dict[str, Any]:
    """The audit once the inbox is empty."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        report: dict[str, Any] = product.run_json("-m", "tests.faults.audit", organization)
        if report["waiting"] == 0 or time.monotonic() > deadline:
            return report
        time.sleep(1)


@pytest.mark.parametrize("seed", [20261124])
def test_nothing_acknowledged_is_lost_or_doubled(seed: int, request: pytest.FixtureRequest) -> None:
    kills = LONG_KILLS if request.config.getoption("--long") else SHORT_KILLS
    with running_product(LOG_LEVEL="ERROR") as product:
        tenant = product.run_json("-m", "tests.faults.tenant")
        senders = [Sender(product.port, tenant["secret"], name=f"s{n}", seed=seed + n) for n in range(SENDERS)]
        for sender in senders:
            sender.start()
        killer = Killer(product, seed)
        pause = random.Random(seed)
        while killer.kills.total() < kills:
            time.sleep(pause.uniform(0.2, 1.5))
            assert product.process.poll() is None, product.log.read_text()[-3000:]
            killer.kill_one()
        time.sleep(3)
        for sender in senders:
            sender.stop()
        for sender in senders:
            sender.join(30)
        report = settled(product, tenant["organization"])

    sent = {event_id for sender in senders for event_id in sender.sent}
    acknowledged = {event_id for sender in senders for event_id in sender.acknowledged}
    print(f"{killer.kills.total()} kills {dict(killer.kills)}; {len(acknowledged)} events acknowledged")
    assert [status for sender in senders for status in sender.refused] == []
    assert len(acknowledged) > kills
    assert report["waiting"] == 0
    assert len(report["events"]) == len(set(report["events"])), "an event was stored twice"
    assert acknowledged <= set(report["events"]), "an acknowledged event is lost"
    assert set(report["events"]) <= sent
    assert report["claims"] == len(report["events"])
    assert report["differences"] == []
    assert report["ledger"] == dict.fromkeys(("organization", "team", "virtual_key"), report["cost"])
    assert len(report["alerts"]) == len(set(report["alerts"]))
