"""Is this process alive, is the product ready, and the same in Prometheus' words."""

from collections.abc import Iterator
from datetime import datetime

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

# Past this age of the oldest unsettled batch the workers are not keeping up, or are not there.
MAX_LAG_SECONDS = 60


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers. Says nothing about the database, so that nobody restarts the web for its sake."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and settling keeps up, 503 with the same body otherwise."""
    batches, events, lag = _backlog(timezone.now())
    ready = lag <= MAX_LAG_SECONDS
    body = {
        "status": "ready" if ready else "settling is behind",
        "database": "ok",
        "waiting_batches": batches,
        "waiting_events": events,
        "oldest_unsettled_seconds": lag,
    }
    return JsonResponse(body, status=200 if ready else 503)


class BacklogCollector(Collector):
    """What waits in the inbox, as of now; asked of the database at every scrape."""

    def collect(self) -> Iterator[Metric]:
        batches, events, lag = _backlog(timezone.now())
        yield GaugeMetricFamily("costhub_inbox_batches", "Accepted batches that are not settled yet.", batches)
        yield GaugeMetricFamily("costhub_inbox_events", "Accepted events that are not settled yet.", events)
        yield GaugeMetricFamily("costhub_oldest_unsettled_seconds", "Age of the oldest unsettled batch.", lag)


registry = CollectorRegistry(auto_describe=False)
registry.register(BacklogCollector())


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The state of settling in Prometheus' text format. Sums over all organizations, names of none."""
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _backlog(now: datetime) -> tuple[int, int, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM ingest_backlog()")
        batches, events, oldest = cursor.fetchone()
    return batches, events, max(0, int((now - oldest).total_seconds())) if oldest else 0
