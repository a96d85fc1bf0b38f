"""Events per second: accepted, settled and both at once, each beside the shortest way into the same tables."""

import json
import pickle
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench import limits
from bench.limits import Rate
from bench.processes import web, worker
from bench.report import rate_line
from bench.tenants import Tenant, is_waiting, make_tenant
from bench.workload import bodies
from ingest import pipeline
from ingest.models import InboxBatch
from pricing.rate import Rate as PricingRate
from pricing.terms import Tier
from pricing.usage_buckets import Buckets
from tenants.access import organization_scope

BATCH = 100
COPY_BATCH = 1_000
CONNECTIONS = 4


def measure(events: int, log: Path) -> None:
    tenant = make_tenant("Throughput")
    with web(log) as url:
        send(url, tenant, bodies(events=events // 10, batch=BATCH, seed=0))
        accepted = send(url, tenant, bodies(events=events, batch=BATCH, seed=1))
        payloads = _payloads(tenant)
        settled = settle_all()
        together = _end_to_end(url, tenant, log, events)
    inserted = limits.insert_payloads(tenant.id, payloads, batch=BATCH)
    copied = limits.copy_rows(tenant.id, rows=events, batch=COPY_BATCH)
    bulk = limits.bulk_create(tenant.id, rows=min(events, 10_000), batch=COPY_BATCH)
    print(f"\n{events:,} events in batches of {BATCH} over {CONNECTIONS} connections\n")
    rate_line("accepted (HTTP, durable inbox)", accepted, "bare INSERT of the payloads", inserted, wanted=0.5)
    rate_line("settled (backlog, one process)", settled, "bare binary COPY", copied, wanted=0.3)
    rate_line("end to end (all processes at once)", together, "bare binary COPY", copied, wanted=0.3)
    rate_line("end to end (all processes at once)", together, "bulk_create(ignore_conflicts)", bulk, wanted=5)
    rate_line("rating (one core)", _rate(events), "target", Rate(200_000, 1.0), wanted=1)


def send(url: str, tenant: Tenant, batches: list[bytes]) -> Rate:
    """Sends from a process of its own; RuntimeError when anything but 202 came back."""
    command = [sys.executable, "-m", "bench.client", url, tenant.secret, str(CONNECTIONS)]
    done = subprocess.run(command, input=pickle.dumps(batches), stdout=subprocess.PIPE, check=True)
    report = json.loads(done.stdout)
    if report["answers"].get("202") != len(batches):
        raise RuntimeError(f"the server answered {report['answers']}")
    return Rate(report["answers"]["events"], report["seconds"])


def _payloads(tenant: Tenant) -> list[bytes]:
    with organization_scope(tenant.id):
        return [bytes(payload) for payload in InboxBatch.objects.order_by("id").values_list("payload", flat=True)]


def settle_all() -> Rate:
    """Settles what waits, in this process."""
    started = time.perf_counter()
    settled = 0
    while count := pipeline.settle_waiting(datetime.now(UTC)):
        settled += count
    return Rate(settled, time.perf_counter() - started)


def _end_to_end(url: str, tenant: Tenant, log: Path, events: int) -> Rate:
    batches = bodies(events=events, batch=BATCH, seed=2)
    with worker(log):
        _wait_for_the_worker(url, tenant)
        started = time.perf_counter()
        send(url, tenant, batches)
        wait_until_settled(tenant)
        return Rate(events, time.perf_counter() - started)


def _wait_for_the_worker(url: str, tenant: Tenant) -> None:
    """Celery's own start is not what is measured."""
    send(url, tenant, bodies(events=BATCH, batch=BATCH, seed=3))
    wait_until_settled(tenant)


def wait_until_settled(tenant: Tenant) -> None:
    while is_waiting(tenant.id):
        time.sleep(0.02)


def _rate(events: int) -> Rate:
    """The pure price step: a long-context model, mixed buckets."""
    tiers: list[Tier] = [{"above_input_tokens": 200_000, "units": {"input": "6", "output": "22.5"}}]
    rate = PricingRate({"input": "3", "output": "15", "cache_read": "0.3"}, tiers)
    buckets = [Buckets(n, cache_read=n % 7, output=n % 300, reasoning_output=n % 11) for n in range(events)]
    started = time.perf_counter()
    for item in buckets:
        rate.cost(item)
    return Rate(events, time.perf_counter() - started)
