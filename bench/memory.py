"""Memory of web and workers while a million events pass through them."""

from pathlib import Path

import psutil

from bench.processes import web, worker
from bench.tenants import make_tenant
from bench.throughput import BATCH, send, wait_until_settled
from bench.workload import bodies

EVENTS, PARTS = 1_000_000, 10
MIB = 1024 * 1024
LIMIT_MIB = 300


def measure(log: Path, *, events: int = EVENTS) -> None:
    tenant = make_tenant("Memory")
    resident = []
    with web(log) as url, worker(log):
        for part in range(PARTS):
            send(url, tenant, bodies(events=events // PARTS, batch=BATCH, seed=part))
            wait_until_settled(tenant)
            resident.append(_largest())
    print(
        f"\n{events:,} events through all processes; the largest of web and workers holds"
        f" {resident[1]:,.0f} MiB after a fifth of them and {resident[-1]:,.0f} MiB after all"
        f" (wanted: the same, and {LIMIT_MIB} MiB at most)",
        flush=True,
    )


def _largest() -> float:
    children = psutil.Process().children(recursive=True)
    return max(process.memory_info().rss for process in children) / MIB
