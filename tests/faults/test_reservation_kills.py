"""SIGKILL at random while callers authorize, call and report: limits hold, and counters return to the ledger's truth.

Callers, web, workers, beat, Postgres and Redis are killed; Redis now and then comes back with nothing, or as it was a
while ago. Each round ends with all callers dead at once and a Redis that has forgotten.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.caller import HELD, INPUT_PRICE, ask, estimate
from tests.faults.forgetful import Log
from tests.faults.test_kills import Killer
from tests.product import CHECKOUT, Product, running_product

CALLERS = 5
# Rounds, and kills in each besides those at its end.
SHORT, LONG = (1, 5), (5, 20)
LEASE_S, SWEEP_S = 2, 5
# What was killed must first start again, on a busy machine slowly; that is not part of what is judged.
START_S = 90.0
# For a sweep that comes late and takes its time.
SLACK_S = 5.0
# What a Redis that comes back older has forgotten, in seconds.
FORGOTTEN_S = (0.5, 3.0)
# What a batch may take from the moment that its settling names to the moment that the counters know of it.
SETTLING_S = 5.0
BELIEVED_S = 2.1
RAISED_BY = HELD


class Callers:
    """Processes that authorize calls; one that is killed is followed by another."""

    def __init__(self, product: Product, secrets: list[str], folder: Path, seed: int) -> None:
        self._product, self._secrets, self._folder, self._seed = product, secrets, folder, seed
        self._running: list[subprocess.Popen[bytes]] = []
        self._started = 0
        self.kills = 0

    def start(self) -> None:
        while len(self._running) < CALLERS:
            self._started += 1
            name = f"c{self._started}"
            self._running.append(
                subprocess.Popen(
                    [
                        sys.executable, "-m", "tests.faults.caller", str(self._product.port), name,
                        str(self._seed + self._started), str(self._folder / name), *self._secrets,
                    ],
                    cwd=CHECKOUT,
                )
            )  # fmt: skip

    def kill(self, caller: "subprocess.Popen[bytes]") -> None:
        caller.kill()
        caller.wait()
        self._running.remove(caller)
        self.kills += 1

    def kill_one(self, draw: random.Random) -> None:
        self.kill(draw.choice(self._running))
        self.start()

    def kill_all(self) -> None:
        for caller in list(self._running):
            self.kill(caller)

    def steps(self) -> list[dict[str, Any]]:
        """All that callers wrote down; the last line of one that was killed may be half a line."""
        lines = [line for path in sorted(self._folder.iterdir()) for line in path.read_text().splitlines(keepends=True)]
        return [json.loads(line) for line in lines if line.endswith("\n")]


@dataclass
class Loss:
    """Redis came back at `at` and counted no call of which it had heard, or that had been settled, since `since`."""

    at: float
    since: float


@dataclass
class Campaign:
    product: Product
    tenant: dict[str, Any]
    callers: Callers
    killer: Killer
    log: Log
    draw: random.Random
    # Of this round.
    losses: list[Loss] = field(default_factory=list)
    came_back: Counter[str] = field(default_factory=Counter)
    # Until the counters were right, and of that until a sweep had run again.
    longest_s: tuple[float, float] = (0.0, 0.0)
    # Nano-USD: how far a budget was passed at most, and how far it may have been then.
    passed_by: tuple[int, int] = (0, 0)
    probes: Counter[str] = field(default_factory=Counter)
    # What was answered where a call should have been allowed.
    blocked: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.killer.kills.total() + self.callers.kills

    def round(self, kills: int) -> dict[str, Any]:
        """So many kills, then the end of all callers; what the books say once the counters are right again."""
        until = self.kills + kills
        self.losses.clear()
        self.callers.start()
        while self.kills < until:
            time.sleep(self.draw.uniform(0.1, 0.9))
            assert self.product.process.poll() is None, self.product.log.read_text()[-3000:]
            self.log.look()
            self.raise_limits()
            chance = self.draw.random()
            if chance < 0.35:
                self.callers.kill_one(self.draw)
            elif chance < 0.5:
                self.kill_redis()
            else:
                self.killer.kill_one()
        self.callers.kill_all()
        while not self.killer.kill_program("redis", self.forget, at_any_rate=True):
            time.sleep(0.1)
        return self.settle_down()

    def kill_redis(self) -> None:
        """It comes back as it was, or has forgotten something or all."""
        self.killer.kill_program("redis", self.draw.choice([lambda: None, self.forget, self.forget]))

    def forget(self) -> None:
        """In turn it is older and empty."""
        how = "empty" if self.came_back["older"] > self.came_back["empty"] else "older"
        since = self.log.drop() if how == "empty" else self.log.cut(self.draw.uniform(*FORGOTTEN_S))
        self.losses.append(Loss(time.time(), since))
        self.came_back[how] += 1

    def raise_limits(self) -> None:
        """Room for some more calls in one of the tight budgets. What fails in between is raised the next time."""
        self.raise_limit(self.draw.choice(self.tenant["tight"]))

    def raise_limit(self, budget: str) -> int | None:
        """The limit in nano-USD as it stood before it was raised; None when nobody told."""
        port, path, token = self.product.port, f"budgets/{budget}", self.tenant["token"]
        found = ask(port, "GET", path, token, timeout_s=2)
        if found is None or found[0] != 200:
            return None
        before = int(found[1]["limit"].replace(".", ""))
        limit = f"{(before + RAISED_BY) // 10**9}.{(before + RAISED_BY) % 10**9:09}"
        ask(port, "PATCH", path, token, {"limit": limit}, timeout_s=2, If_Match="*")
        return before

    def settle_down(self) -> dict[str, Any]:
        within = LEASE_S + SWEEP_S + START_S
        report: dict[str, Any] = self.product.run_json(
            "-m", "tests.faults.truth", self.tenant["organization"], str(time.time()), str(within)
        )
        # An empty Redis holds nothing that is not true, before any sweep.
        took = report["took_s"]
        swept = took if report["swept_s"] is None else report["swept_s"]
        assert report["off"] == [], f"{report['off']} after {took} s; sweeps since {swept} s"
        assert took <= max(swept, LEASE_S) + SWEEP_S + SLACK_S, f"took {took} s; sweeps since {swept} s"
        self.longest_s = max(self.longest_s, (took, swept))
        return report

    def probe(self, report: dict[str, Any]) -> None:
        """Of each key: a call that fits to the last token is allowed, and with one token more it is refused."""
        for budget in self.tenant["tight"]:
            self.make_room(budget, report["budgets"][budget])
        time.sleep(BELIEVED_S)
        for number, (secret, budgets) in enumerate(self.tenant["keys"].items()):
            left = min(
                each["limit"] - each["spent"] - each["provisional"]
                for each in (report["budgets"][budget] for budget in budgets)
            )
            name = f"probe-{self.probes.total()}-{number}"
            self.probes[self.probed(secret, f"{name}-more", left // INPUT_PRICE + 1, allowed=False)] += 1
            self.probes[self.probed(secret, name, left // INPUT_PRICE, allowed=True)] += 1

    def make_room(self, budget: str, standing: dict[str, int]) -> None:
        """For more than a call; `standing` then has the limit in force."""
        path, token = f"budgets/{budget}", self.tenant["token"]
        while standing["limit"] <= standing["spent"] + standing["provisional"] + HELD:
            self.raise_limit(budget)
            found = ask(self.product.port, "GET", path, token)
            if found and found[0] == 200:
                standing["limit"] = int(found[1]["limit"].replace(".", ""))

    def probed(self, secret: str, name: str, tokens: int, *, allowed: bool) -> str:
        body = estimate(name, tokens, 0)
        status, document = self.answered("POST", "authorizations", secret, {201, 402}, body)
        if status == 201:
            self.answered("DELETE", f"authorizations/{document['authorization']}", secret, {204})
            return "allowed" if allowed else "wrongly allowed"
        if allowed:
            self.blocked.append(document)
        return "phantom block" if allowed else "refused"

    def answered(
        self, method: str, path: str, secret: str, enough: set[int], body: Any = None
    ) -> tuple[int, dict[str, Any]]:
        """Asks until the answer is one of these: the web server may be starting again."""
        until = time.monotonic() + START_S
        while True:
            answer = ask(self.product.port, method, path, f"Bearer {secret}", body)
            if answer and answer[0] in enough:
                return answer
            assert time.monotonic() < until, answer
            time.sleep(0.2)


def overshoot_allowed(steps: list[dict[str, Any]], losses: list[Loss], report: dict[str, Any]) -> Counter[str]:
    """Per key, how many calls may not have been counted for a while because Redis had forgotten them
    (docs/reservations.md: how far a hard budget can be passed). Before the round there was room in every budget."""
    found: Counter[str] = Counter()
    for step in steps:
        settled = report["committed"].get(step.get("authorization", ""))
        if step["what"] != "allowed" or settled is None:
            continue
        if any(step["at"] <= loss.at + 1 and loss.since - 1 <= settled + SETTLING_S for loss in losses):
            found[step["key"]] += 1
    return found


@contextmanager
def campaign(seed: int, folder: Path) -> Iterator[Campaign]:
    with running_product(LOG_LEVEL="ERROR", AUTHORIZATION_LEASE_SECONDS=str(LEASE_S)) as product:
        tenant = product.run_json("-m", "tests.faults.governed")
        callers = Callers(product, list(tenant["keys"]), folder, seed)
        try:
            yield Campaign(
                product, tenant, callers, Killer(product, seed, spared="redis"), Log(product.home), random.Random(seed)
            )  # fmt: skip
        finally:
            callers.kill_all()


@pytest.mark.parametrize("seed", [20261125])
def test_counters_return_to_the_truth(seed: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rounds, kills = LONG if request.config.getoption("--long") else SHORT
    with campaign(seed, tmp_path) as running:
        for _ in range(rounds):
            report = running.round(kills)
            running.probe(report)
            judge(running, report)
    say(running, report)
    outcomes = Counter(step["what"] for step in running.callers.steps())
    assert outcomes["refused"] > 0, "no budget was tight"
    assert outcomes["reported"] > kills


def judge(running: Campaign, report: dict[str, Any]) -> None:
    assert set(running.probes) <= {"allowed", "refused"}, f"{running.probes} {running.blocked} {report['budgets']}"
    steps = running.callers.steps()
    assert [step["name"] for step in steps if step["what"] == "wrong"] == []
    sent, reported = (
        {f"used-{step['name']}" for step in steps if step["what"] == what} for what in ("sent", "reported")
    )
    assert len(report["events"]) == len(set(report["events"])), "an event was stored twice"
    assert reported <= set(report["events"]) <= sent
    assert report["differences"] == []
    charged = {step["name"] for step in steps if step.get("authorization") in set(report["provisional"])}
    assert {name for name in charged if f"used-{name}" in report["events"]} == set(), "a charge was not taken back"
    uncovered = overshoot_allowed(steps, running.losses, report)
    for budget, each in report["budgets"].items():
        keys = [secret for secret, budgets in running.tenant["keys"].items() if budget in budgets]
        most = sum(uncovered[secret] for secret in keys) * HELD
        passed = each["spent"] - each["limit"]
        assert passed <= most, f"{budget} was passed by {passed}, and by {most} at most it may be"
        running.passed_by = max(running.passed_by, (passed, most))


def say(running: Campaign, report: dict[str, Any]) -> None:
    steps = Counter(step["what"] for step in running.callers.steps())
    drift = f"{report['drifted']} counters drifted (by {report['largest_drift']} at most), {report['rebuilt']} rebuilt"
    print(
        f"\n{running.kills} kills: {running.callers.kills} callers and {dict(running.killer.kills)};"
        f" Redis came back {running.came_back['empty']} times empty and {running.came_back['older']} times older;"
        f" {steps['asked']} authorizations asked for,"
        f" {steps['allowed']} allowed, {steps['refused']} refused, {steps['unanswered']} unanswered,"
        f" {steps['released']} released, {len(report['provisional'])} abandoned; {drift};"
        f" {running.probes['phantom block']} phantom blocks in {running.probes.total()} probes;"
        f" a budget passed by {running.passed_by[0]} nano-USD at most (it may: {running.passed_by[1]});"
        f" back to the truth in {running.longest_s[0]} s at the longest, {running.longest_s[1]} s of them until a sweep"
        f" ran again (lease {LEASE_S} s, sweep every {SWEEP_S} s)"
    )
