"""What 20 million stored events do to settling and to the answers of /api/v1/spend, beside 1 million."""

import http.client
import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.db import connection, connections

from bench.processes import web
from bench.report import cost_line
from bench.tenants import Tenant, make_tenant
from bench.throughput import BATCH, settle_all
from bench.workload import MODELS, bodies
from common.ids import new_id
from ingest import inbox
from ingest.formats import native
from ingest.schema import parse_events
from tenants.access import organization_scope
from usage.store import make_partitions
from usage.verify import rebuild

ORGANIZATIONS = 100
SMALL, LARGE = 1_000_000, 20_000_000
DAYS = 90
# The organization that is asked holds this share of all events; the others share the rest.
SHARE = 4
# How many keys, teams, customers and models tell usage apart: of the one that is asked, and of each of the others.
LARGE_BREADTH, SMALL_BREADTH = (20, 8, 50, len(MODELS)), (2, 2, 3, 2)
SETTLED = 30_000
ASKED = 40
ROUNDS = 3
_QUESTIONS = tuple((days, group) for days in (30, 90) for group in ("model", "team"))


def measure(log: Path, *, small: int = SMALL, large: int = LARGE) -> None:
    tenants = [make_tenant(f"Scale {number}") for number in range(ORGANIZATIONS)]
    figures = []
    stored = 0
    for wanted in (small, large):
        started = time.perf_counter()
        _grow(tenants, stored, wanted)
        stored = wanted
        print(f"{wanted:,} events stored ({time.perf_counter() - started:,.0f} s to make)", flush=True)
        figures.append((_settling(tenants[0]), _answers(tenants[0], log)))
    (settling, answers), (settling_large, answers_large) = figures
    print()
    cost_line("settling, CPU and I/O per event", settling_large, "with 1/20 of the events", settling, "µs", wanted=1.2)
    for question in _QUESTIONS:
        name = f"/spend, {question[0]} days by {question[1]}, p95"
        cost_line(name, answers_large[question], "target", 50.0, "ms", wanted=1)
        cost_line(name, answers_large[question], "with 1/20 of the events", answers[question], "ms", wanted=1.2)


def _grow(tenants: list[Tenant], stored: int, wanted: int) -> None:
    """Events straight into the table, and every sum made of them as `verify_rollups --repair` does."""
    now = datetime.now(UTC).replace(microsecond=0)
    make_partitions(now - timedelta(days=day) for day in range(0, DAYS + 31, 20))

    def fill(tenant: Tenant) -> None:
        of_all = 1 / SHARE if tenant is tenants[0] else (1 - 1 / SHARE) / (len(tenants) - 1)
        first, last = int(stored * of_all), int(wanted * of_all)
        try:
            with organization_scope(tenant.id), connection.cursor() as cursor:
                breadth = LARGE_BREADTH if tenant is tenants[0] else SMALL_BREADTH
                cursor.execute(_EVENTS, _parameters(tenant, first, last, now, breadth))
                rebuild(tenant.id)
        finally:
            connection.close()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, tenants))
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # what autovacuum would have done by now


def _parameters(
    tenant: Tenant, first: int, last: int, now: datetime, breadth: tuple[int, int, int, int]
) -> dict[str, Any]:
    return dict(zip(("keys", "teams", "customers", "kinds"), breadth, strict=True)) | {
        "organization": tenant.id,
        "team": tenant.team.id,
        "key": tenant.key.id,
        "first": first,
        "last": last - 1,
        "start": now - timedelta(days=DAYS),
        "step": timedelta(days=DAYS) / (last - first),
        "providers": [provider for provider, _ in MODELS],
        "models": [model for _, model in MODELS],
        "run": new_id(),
    }


_EVENTS = """
INSERT INTO usage_event (organization_id, time, event_id, received_at, team_id, virtual_key_id, provider, model,
    reported_provider, reported_model, operation, service_tier, status, cache, latency_ms, uncached_input, cache_read,
    cache_write_5m, cache_write_1h, output, reasoning_output, input_audio, output_audio, images, requests, list_cost,
    cost, unpriced_reason, usage_source, customer, feature, agent, end_user, trace_id, span_id, parent_span_id,
    session, authorization_id, tags)
SELECT %(organization)s, %(start)s + %(step)s * (n - %(first)s), %(run)s || '-' || n,
    %(start)s + %(step)s * (n - %(first)s), %(team)s + n %% %(teams)s, %(key)s + n %% %(keys)s,
    (%(providers)s::text[])[1 + n %% %(kinds)s], (%(models)s::text[])[1 + n %% %(kinds)s],
    (%(providers)s::text[])[1 + n %% %(kinds)s], (%(models)s::text[])[1 + n %% %(kinds)s], 'chat', 'standard',
    CASE WHEN n %% 50 = 0 THEN 'error' ELSE 'ok' END, 'miss', 800, 1000 + n %% 977, n %% 311, 0, 0, 200 + n %% 151, 0,
    0, 0, 0, 1, 100000 + n %% 99991, 100000 + n %% 99991, '', 'provider', 'customer-' || n %% %(customers)s,
    (ARRAY['chat', 'search', 'summary'])[1 + n %% 3], '', '', '', '', '', '', '', '{"env": "prod"}'
FROM generate_series(%(first)s, %(last)s) AS n
"""


def _settling(tenant: Tenant) -> float:
    """Microseconds that this process and the database take to settle an event of live traffic."""
    best = float("inf")
    for seed in range(ROUNDS):
        now = datetime.now(UTC)
        for body in bodies(events=SETTLED, batch=BATCH, seed=seed):
            decoded = native.decode(native.JSON, body, limit=BATCH)
            _, reported = parse_events(decoded.events, pointers=decoded.pointers, now=now, clean=decoded.clean)
            inbox.accept(organization_id=tenant.id, events={tenant.key.id: reported}, now=now)
        rate = settle_all()
        best = min(best, rate.seconds / rate.events * 1e6)
    return best


def _answers(tenant: Tenant, log: Path) -> dict[tuple[int, str], float]:
    """The 95th percentile in milliseconds of each question over one connection, the first answers left out: of the
    quietest round, as other machines share these cores."""
    found = {}
    with web(log) as url:
        where = urlsplit(url)
        client = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        for days, group in _QUESTIONS:
            start = (datetime.now(UTC) - timedelta(days=days)).date()
            path = f"/api/v1/spend?from={start}&group_by={group}&interval=day"
            rounds = [[_timed(client, path, tenant.token) for _ in range(ASKED + 5)][5:] for _ in range(ROUNDS)]
            found[days, group] = min(statistics.quantiles(times, n=20)[-1] for times in rounds)
    return found


def _timed(client: http.client.HTTPConnection, path: str, token: str) -> float:
    started = time.perf_counter()
    client.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = client.getresponse()
    body = json.loads(answer.read())
    if answer.status != 200 or not body["data"]:
        raise RuntimeError(f"{path} was answered {answer.status}")
    return (time.perf_counter() - started) * 1000
