"""SIGKILL at random and worse while usage is sent: nothing acknowledged is lost, doubled or summed wrongly."""

import random
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from tests.faults import disk
from tests.faults.sender import Sender
from tests.product import Product, running_product

SENDERS = 3
SHORT_KILLS, LONG_KILLS = 18, 200
# A mishap after as many kills.
MISHAP_EVERY = 3
# What a program is known by in the list of processes.
MARKS = {
    "web": ("gunicorn",),
    "worker": ("celery", " worker "),
    "beat": ("celery", " beat "),
    "redis": ("redis-server",),
    "postgres": ("postgres",),
}
# The supervisor gives a program up that dies more often than this within a minute; a campaign stays below.
ROOT_KILLS_PER_MINUTE = 3
SETTLE_S = 180.0
# A server that was killed reads its log first, on a slow disk for long.
RECOVERED_S = 180.0
HALF_AN_HOUR_S = 1_800


class Killer:
    """Kills processes of the product at random: a program itself now and then, else one of its children."""

    def __init__(self, product: Product, seed: int, *, spared: str = "") -> None:
        """`spared` is killed only by `kill_program`."""
        self._product = product
        self._draw = random.Random(seed)
        self._roots: dict[str, deque[float]] = {name: deque() for name in MARKS}
        self._victims = sorted(name for name in MARKS if name != spared)
        self.kills: Counter[str] = Counter()

    def kill_one(self) -> None:
        name = self._draw.choice(self._victims)
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

    def kill_program(self, name: str, before_it_starts_again: Callable[[], None], *, at_any_rate: bool = False) -> bool:
        """Kills the program itself; whether it was there and had not been killed too often already. Once in a minute it
        may be killed at any rate."""
        root = self._program(name)
        if root is None or not (at_any_rate or self._may_kill_root(name)):
            return False
        self._roots[name].append(time.monotonic())
        with suppress(psutil.NoSuchProcess):
            root.kill()
            while root.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.001)
        before_it_starts_again()
        self.kills[name] += 1
        return True

    def _may_kill_root(self, name: str) -> bool:
        times = self._roots[name]
        while times and times[0] < time.monotonic() - 60:
            times.popleft()
        return len(times) < ROOT_KILLS_PER_MINUTE

    def _program(self, name: str) -> psutil.Process | None:
        for process in self._product.programs():
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if all(mark in line for mark in MARKS[name]):
                return process
        return None


class Mishaps:
    """What goes wrong besides: Redis forgets all, the disk under the inbox is full, the clock is set wrong."""

    def __init__(self, product: Product, clock: Path) -> None:
        self._product, self._clock = product, clock
        self.happened: Counter[str] = Counter()
        self._steps = cycle(
            (self.flush_redis, self.fill_disk, self.free_disk, self.clock_ahead, self.clock_behind, self.clock_right)
        )

    def one(self) -> None:
        step = next(self._steps)
        step()
        self.happened[step.__name__] += 1

    def end(self) -> None:
        self.free_disk()
        self.clock_right()

    def flush_redis(self) -> None:
        client = redis.Redis(unix_socket_path=str(self._product.home.redis_socket), socket_timeout=5)
        self._persist(client.flushall)

    def fill_disk(self) -> None:
        self._persist(lambda: disk.fill(self._product.home))

    def free_disk(self) -> None:
        self._persist(lambda: disk.free(self._product.home))

    def clock_ahead(self) -> None:
        self._clock.write_text("3600")

    def clock_behind(self) -> None:
        self._clock.write_text("-3600")

    def clock_right(self) -> None:
        self._clock.write_text("0")

    def _persist(self, step: Callable[[], object]) -> None:
        """The servers themselves may have been killed just now."""
        deadline = time.monotonic() + RECOVERED_S
        while True:
            try:
                step()
            except (redis.RedisError, psycopg.Error) as error:
                if time.monotonic() > deadline:
                    log = (self._product.home.logs / "postgres.log").read_text().splitlines()
                    telling = [line for line in log if "in recovery mode" not in line]
                    raise AssertionError("\n".join(telling[-40:])) from error
                time.sleep(0.5)
            else:
                return


def settled(product: Product, organization: str) -> dict[str, Any]:
    """The audit once the inbox is empty."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        report: dict[str, Any] = product.run_json("-m", "tests.faults.audit", organization)
        if report["waiting"] == 0 or time.monotonic() > deadline:
            return report
        time.sleep(1)


@pytest.mark.parametrize("seed", [20261124])
def test_nothing_acknowledged_is_lost_or_doubled(seed: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kills = LONG_KILLS if request.config.getoption("--long") else SHORT_KILLS
    clock = tmp_path / "clock"
    own_clock = {"PYTHONPATH": str(Path(__file__).parent / "clock"), "COSTHUB_TEST_CLOCK": str(clock)}
    with running_product(LOG_LEVEL="ERROR", **own_clock) as product:
        tenant = product.run_json("-m", "tests.faults.tenant")
        senders = [Sender(product.port, tenant["secret"], name=f"s{n}", seed=seed + n) for n in range(SENDERS)]
        for sender in senders:
            sender.start()
        killer, mishaps = Killer(product, seed), Mishaps(product, clock)
        pause = random.Random(seed)
        while killer.kills.total() < kills:
            time.sleep(pause.uniform(0.2, 1.5))
            assert product.process.poll() is None, product.log.read_text()[-3000:]
            killer.kill_one()
            if killer.kills.total() >= MISHAP_EVERY * (mishaps.happened.total() + 1):
                mishaps.one()
        mishaps.end()
        time.sleep(3)
        for sender in senders:
            sender.stop()
        for sender in senders:
            sender.join(30)
        report = settled(product, tenant["organization"])

    sent = {event_id for sender in senders for event_id in sender.sent}
    acknowledged = {event_id for sender in senders for event_id in sender.acknowledged}
    print(f"{killer.kills.total()} kills {dict(killer.kills)} and {dict(mishaps.happened)}")
    print(f"{len(acknowledged)} of {len(sent)} events acknowledged; received within {report['received_within_s']} s")
    assert [status for sender in senders for status in sender.refused] == []
    assert len(acknowledged) > kills
    assert report["received_within_s"] > HALF_AN_HOUR_S, "no event was received while the clock was wrong"
    assert report["waiting"] == 0
    assert len(report["events"]) == len(set(report["events"])), "an event was stored twice"
    assert acknowledged <= set(report["events"]), "an acknowledged event is lost"
    assert set(report["events"]) <= sent
    assert report["claims"] == len(report["events"])
    assert report["differences"] == []
    assert report["ledger"] == dict.fromkeys(("organization", "team", "virtual_key"), report["cost"])
    assert len(report["alerts"]) == len(set(report["alerts"]))
