"""`make bench`: events per second, accepted and settled, each beside what the machine could do at best."""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "costhub.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from bench import limits  # noqa: E402
from bench.limits import Rate  # noqa: E402
from bench.processes import web, worker  # noqa: E402
from bench.workload import bodies  # noqa: E402
from budgets.services import Measure, budget_create  # noqa: E402
from ingest import pipeline  # noqa: E402
from ingest.models import InboxBatch  # noqa: E402
from pricing.rate import Rate as PricingRate  # noqa: E402
from pricing.terms import Tier  # noqa: E402
from pricing.usage_buckets import Buckets  # noqa: E402
from tenants.access import organization_scope  # noqa: E402
from tenants.models import Organization, Team, User, VirtualKey  # noqa: E402
from tenants.services import organization_create, virtual_key_issue  # noqa: E402

BATCH = 100
COPY_BATCH = 1_000
CONNECTIONS = 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--events", type=int, default=100_000, help="events per measurement (100000)")
    events = parser.parse_args().events
    call_command("migrate", database="owner", verbosity=0)
    call_command("load_prices", verbosity=0)
    organization, secret = _tenant()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with web(log) as url:
            accepted = _send(url, secret, bodies(events=events, batch=BATCH, seed=1))
            payloads = _payloads(organization)
            settled = _settle(events)
            together = _end_to_end(url, secret, organization, log, events)
    inserted = limits.insert_payloads(organization.id, payloads, events=events)
    copied = limits.copy_rows(organization.id, rows=events, batch=COPY_BATCH)
    bulk = limits.bulk_create(organization.id, rows=min(events, 10_000), batch=COPY_BATCH)
    print(f"{events:,} events in batches of {BATCH} over {CONNECTIONS} connections; {os.cpu_count()} cores; fsync on\n")
    _line("accepted (HTTP, durable inbox)", accepted, "bare INSERT of the payloads", inserted)
    _line("settled (backlog, one worker)", settled, "bare binary COPY", copied)
    _line("end to end (all processes at once)", together, "bare binary COPY", copied)
    _line("end to end (all processes at once)", together, "bulk_create(ignore_conflicts)", bulk)
    _line("rating (one core)", _rate(events), "target", Rate(200_000, 1.0))


def _line(name: str, rate: Rate, limit_name: str, limit: Rate) -> None:
    ratio = rate.per_second / limit.per_second
    print(f"{name:<36}{rate.per_second:>10,.0f}/s   {limit_name:<30}{limit.per_second:>10,.0f}/s   ratio {ratio:.2f}")


def _tenant() -> tuple[Organization, str]:
    """A fresh organization with a budget on everything, so that settling has all its steps to do."""
    now = datetime.now(UTC)
    owner = User.objects.create_user(email=f"bench-{now.timestamp()}@example.com")
    organization = organization_create(name="Bench", owner=owner, timezone="Europe/Berlin", now=now)
    with organization_scope(organization.id):
        team = Team.objects.get(organization=organization)
        key, secret = virtual_key_issue(team=team, name="bench", actor=owner, now=now)
        for measure in _measures(team, key):
            budget_create(
                organization=organization, name=f"{measure.scope_type} {measure.period}", measure=measure,
                limit=10**15, thresholds=[50, 80, 100], actor=owner, now=now,
            )  # fmt: skip
    return organization, secret


def _measures(team: Team, key: VirtualKey) -> list[Measure]:
    return [
        Measure("organization", None, None, "month", "Europe/Berlin"),
        Measure("team", team, None, "week", "Europe/Berlin"),
        Measure("virtual_key", None, key, "day", "Europe/Berlin"),
    ]


def _send(url: str, secret: str, batches: list[bytes]) -> Rate:
    """Sends from a process of its own; RuntimeError when anything but 202 came back."""
    command = [sys.executable, "-m", "bench.client", url, secret, str(CONNECTIONS)]
    done = subprocess.run(command, input=pickle.dumps(batches), stdout=subprocess.PIPE, check=True)
    report = json.loads(done.stdout)
    if report["answers"].get("202") != len(batches):
        raise RuntimeError(f"the server answered {report['answers']}")
    return Rate(report["answers"]["events"], report["seconds"])


def _payloads(organization: Organization) -> list[bytes]:
    with organization_scope(organization.id):
        return [bytes(payload) for payload in InboxBatch.objects.order_by("id").values_list("payload", flat=True)]


def _settle(events: int) -> Rate:
    started = time.perf_counter()
    settled = 0
    while count := pipeline.settle_waiting(datetime.now(UTC)):
        settled += count
    if settled != events:
        raise RuntimeError(f"{settled} of {events} events were settled")
    return Rate(settled, time.perf_counter() - started)


def _end_to_end(url: str, secret: str, organization: Organization, log: Path, events: int) -> Rate:
    batches = bodies(events=events, batch=BATCH, seed=2)
    with worker(log):
        time.sleep(3)  # Celery's own start is not what is measured.
        started = time.perf_counter()
        _send(url, secret, batches)
        while _waiting(organization):
            time.sleep(0.02)
        return Rate(events, time.perf_counter() - started)


def _rate(events: int) -> Rate:
    """The pure price step: a long-context model, mixed buckets."""
    tiers: list[Tier] = [{"above_input_tokens": 200_000, "units": {"input": "6", "output": "22.5"}}]
    rate = PricingRate({"input": "3", "output": "15", "cache_read": "0.3"}, tiers)
    buckets = [Buckets(n, cache_read=n % 7, output=n % 300, reasoning_output=n % 11) for n in range(events)]
    started = time.perf_counter()
    for item in buckets:
        rate.cost(item)
    return Rate(events, time.perf_counter() - started)


def _waiting(organization: Organization) -> bool:
    with organization_scope(organization.id), connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM ingest_inbox WHERE organization_id = %s)", [organization.id])
        return bool(cursor.fetchone()[0])


if __name__ == "__main__":
    main()
