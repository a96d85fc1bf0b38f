"""`python -m tests.budgets.callers DATABASE ORGANIZATION KEY TEAM THREADS CALLS LEASE_MS`: asks for authorizations from
many threads at once, in a process of its own. Says "ready", waits for a line, and prints how many were allowed."""

import os
import sys
import threading
from collections import Counter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from budgets.reservations.authorize import authorize  # noqa: E402
from budgets.reservations.call import Call  # noqa: E402
from common.problems import Problem  # noqa: E402
from pricing.usage_buckets import Buckets  # noqa: E402


def main() -> None:
    connection.settings_dict["NAME"] = sys.argv[1]
    organization, key, team, threads, calls, lease_ms = map(int, sys.argv[2:])
    outcomes: Counter[str] = Counter()
    lock, start = threading.Lock(), threading.Event()

    def call(name: str) -> Call:
        asked = Buckets(uncached_input=1200, output=800)
        return Call(name, virtual_key_id=key, team_id=team, provider="openai", model="gpt-4.1-nano", asked=asked)

    def ask(thread: int) -> None:
        connection.settings_dict["NAME"] = sys.argv[1]
        start.wait()
        for number in range(calls):
            try:
                authorize(
                    organization_id=organization, call=call(f"{os.getpid()}-{thread}-{number}"), request_id="r",
                    now=timezone.now(), lease_ms=lease_ms,
                )  # fmt: skip
                outcome = "allowed"
            except Problem as problem:
                outcome = problem.slug
            with lock:
                outcomes[outcome] += 1
        connection.close()

    workers = [threading.Thread(target=ask, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    print("ready", flush=True)
    sys.stdin.readline()
    start.set()
    for worker in workers:
        worker.join()
    print(" ".join(f"{outcome}={count}" for outcome, count in sorted(outcomes.items())), flush=True)


if __name__ == "__main__":
    main()
