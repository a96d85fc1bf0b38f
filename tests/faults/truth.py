"""`python -m tests.faults.truth ORGANIZATION SINCE WITHIN_S`: waits until the counters say what the ledger says and
nothing is held, and prints that and all that bears on it as JSON. SINCE, a Unix time, is where the waiting began, and
what the seconds count from: `took_s` until then, `swept_s` until a sweep had looked at this run of Redis."""

import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

import redis  # noqa: E402
from django.db import OperationalError, close_old_connections  # noqa: E402

from budgets.models import Budget, LedgerEntry  # noqa: E402
from budgets.reservations.engine import prefix_of  # noqa: E402
from budgets.reservations.models import Authorization, CounterCheck, State  # noqa: E402
from budgets.reservations.settled import _named, engine, read_sums  # noqa: E402
from budgets.reservations.sweep import RUN  # noqa: E402
from budgets.verify import differences as ledger_differences  # noqa: E402
from ingest.models import InboxBatch  # noqa: E402
from tenants.access import organization_scope  # noqa: E402
from usage.models import UsageEvent  # noqa: E402
from usage.verify import differences  # noqa: E402

LOOK_EVERY_S = 0.25


def main() -> None:
    organization_id, since, within_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    swept_s: float | None = None
    while True:
        try:
            off = untrue(organization_id)
            if swept_s is None and engine().client.get(RUN) == engine().client.info("server")["run_id"]:
                swept_s = round(time.time() - since, 1)
        except (redis.RedisError, OperationalError) as error:
            off = [f"{type(error).__name__}"]
            close_old_connections()
        took = time.time() - since
        if not off or took > within_s:
            break
        time.sleep(LOOK_EVERY_S)
    with organization_scope(organization_id):
        report = {"off": off, "took_s": round(took, 1), "swept_s": swept_s, **_books(organization_id)}
    print(json.dumps(report))


def untrue(organization_id: int) -> list[str]:
    """What is not yet as it should be, in words."""
    prefix = prefix_of(organization_id)
    client = engine().client
    off = [f"{client.zcard(prefix + place)} {place}" for place in ("leases", "lapsed") if client.zcard(prefix + place)]
    with organization_scope(organization_id):
        waiting = InboxBatch.objects.count()
        names = engine().counters(organization_id)
        ledger = read_sums(organization_id, _named(organization_id, names)) if names else []
    off += [f"{waiting} batches wait"] if waiting else []
    for says, counter in zip(ledger, engine().standing(organization_id, names), strict=True):
        if counter is not None and (counter.settled, counter.held) != (says.amount, 0):
            off.append(f"{says.counter} says {counter.settled} and holds {counter.held}; the ledger says {says.amount}")
    return off


def _books(organization_id: int) -> dict[str, Any]:
    budgets = {
        str(budget.id): {"limit": int(budget.limit), "spent": 0, "provisional": 0} for budget in Budget.objects.all()
    }
    for entry in LedgerEntry.objects.all():
        budgets[str(entry.budget_id)]["spent"] += int(entry.spent)
        budgets[str(entry.budget_id)]["provisional"] += int(entry.provisional)
    rows = Authorization.objects.all()
    checks = list(CounterCheck.objects.values_list("rebuilt", "drifted", "largest"))
    return {
        "budgets": budgets,
        "events": list(UsageEvent.objects.values_list("event_id", flat=True)),
        "committed": {row.reference: row.ended_at.timestamp() for row in rows if row.state == State.COMMITTED},
        "provisional": [row.reference for row in rows if row.state == State.PROVISIONAL],
        "rebuilt": sum(rebuilt for rebuilt, _, _ in checks),
        "drifted": sum(drifted for _, drifted, _ in checks),
        "largest_drift": int(max((largest for _, _, largest in checks), default=0)),
        "differences": [*differences(organization_id), *map(str, ledger_differences(organization_id))],
    }


if __name__ == "__main__":
    main()
