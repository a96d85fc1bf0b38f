"""Many callers in several processes at once, and callers that are killed: limits hold, and nothing blocks for ever."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connection
from django.utils import timezone

from budgets.models import Budget
from budgets.reservations.engine import Standing
from budgets.reservations.settled import check, engine
from budgets.reservations.sweep import sweep_organization
from common.problems import Problem
from tenants.access import organization_scope
from tests.budgets.test_authorizations import HELD, hard
from tests.budgets.test_reservation_life import acme, ask, spent, standing
from tests.factories import Tenant

__all__ = ["acme"]

PROCESSES, THREADS = 4, 16


@contextmanager
def callers(tenant: Tenant, *, calls: int, lease_ms: int = 60_000) -> Iterator["subprocess.Popen[str]"]:
    """A process of so many threads that waits for a line before it begins."""
    arguments = (tenant.id, tenant.key.id, tenant.team.id, THREADS, calls, lease_ms)
    process = subprocess.Popen(
        [
            sys.executable, "-m", "tests.budgets.callers", str(connection.settings_dict["NAME"]),
            *map(str, arguments),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def begin(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def outcomes(processes: "list[subprocess.Popen[str]]") -> Counter[str]:
    counted: Counter[str] = Counter()
    for process in processes:
        for part in said(process).split():
            outcome, _, count = part.partition("=")
            counted[outcome] += int(count)
    return counted


def standings(tenant: Tenant) -> list[Standing | None]:
    return engine().standing(tenant.id, engine().counters(tenant.id))


def test_of_64_callers_exactly_as_many_as_there_is_room_for(acme: Tenant) -> None:
    room = random.randint(1, 2 * PROCESSES * THREADS)
    hard(acme, limit=room * HELD + HELD - 1)
    with ExitStack() as stack:
        processes = [stack.enter_context(callers(acme, calls=3)) for _ in range(PROCESSES)]
        assert [said(process) for process in processes] == ["ready"] * PROCESSES
        for process in processes:
            begin(process)
        counted = outcomes(processes)
    assert counted == {"allowed": room, "budget-exceeded": 3 * PROCESSES * THREADS - room}
    assert standing(acme)[:2] == (0, room * HELD)


def test_killed_callers_block_nobody_beyond_their_lease(acme: Tenant) -> None:
    """After the lease what they held is charged, the counter is what the ledger says, and there is room again."""
    budget = hard(acme, limit=400 * HELD)
    with callers(acme, calls=1000, lease_ms=1500) as process:
        assert said(process) == "ready"
        begin(process)
        while sum(each is not None and each.held > 20 * HELD for each in standings(acme)) == 0:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.2))
        process.kill()
        process.wait()
    held = standing(acme).held // HELD
    time.sleep(1.6)
    swept = sweep_organization(acme.id, timezone.now())
    assert 0 < swept
    assert swept == held
    assert check(acme.id, timezone.now()) == 0
    now = standing(acme)
    assert (now.settled, now.held) == (spent(acme, budget), 0)
    with organization_scope(acme.id):
        Budget.objects.update(limit=now.settled + HELD)
    ask(acme, "fits")
    with pytest.raises(Problem, match="budget-exceeded"):
        ask(acme, "does not")
    assert engine().lapsed(acme.id) == []
