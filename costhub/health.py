"""Is this process alive, is the product ready, and the same in Prometheus' words."""

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from budgets.reservations.metrics import reservation_metrics
from ingest.selectors import Pipeline, pipeline
from ingest.turned_away import DUPLICATE
from usage.retention import months_ahead, unpriced_requests

# Past this age of the oldest batch that is due the workers are not keeping up, or are not there.
MAX_LAG_SECONDS = 60


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers. Says nothing about the database, so that nobody restarts the web for its sake."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and settling keeps up, 503 with the same body otherwise.

    A batch that fails is counted, but is no reason to take the product away from everybody else.
    """
    now = timezone.now()
    state = pipeline(now)
    ready = state.oldest_due_seconds <= MAX_LAG_SECONDS
    body = {
        "status": "ready" if ready else "settling is behind",
        "database": "ok",
        "waiting_batches": state.waiting_batches,
        "waiting_events": state.waiting_events,
        "failing_batches": state.failing_batches,
        "oldest_unsettled_seconds": state.oldest_unsettled_seconds,
        "settled_last_minute": state.settled_last_minute,
        "partitions_ahead": months_ahead(now),
    }
    return JsonResponse(body, status=200 if ready else 503)


class PipelineCollector(Collector):
    """The pipeline as of now, asked of the database at every scrape, so that every process of the web answers alike."""

    def collect(self) -> Iterator[Metric]:
        now = timezone.now()
        state = pipeline(now)
        yield from _backlog(state)
        yield CounterMetricFamily("costhub_settled_events", "Events settled.", state.settled_events)
        yield GaugeMetricFamily(
            "costhub_settled_last_minute", "Events settled in the last 60 seconds.", state.settled_last_minute
        )
        yield from _turned_away(state)
        yield from reservation_metrics()
        yield GaugeMetricFamily(
            "costhub_unpriced_requests", "Requests of stored usage that no price is known for.", unpriced_requests()
        )
        yield GaugeMetricFamily(
            "costhub_partitions_ahead", "Months after this one that events have a partition for.", months_ahead(now)
        )


def _backlog(state: Pipeline) -> Iterator[Metric]:
    batches = GaugeMetricFamily("costhub_inbox_batches", "Accepted batches that are not settled yet.", labels=["state"])
    batches.add_metric(["waiting"], state.waiting_batches - state.failing_batches)
    batches.add_metric(["failing"], state.failing_batches)
    yield batches
    yield GaugeMetricFamily("costhub_inbox_events", "Accepted events that are not settled yet.", state.waiting_events)
    yield GaugeMetricFamily(
        "costhub_oldest_unsettled_seconds", "Age of the oldest unsettled batch.", state.oldest_unsettled_seconds
    )
    yield GaugeMetricFamily(
        "costhub_lag_seconds", "Age of the oldest batch that did not fail yet.", state.oldest_due_seconds
    )


def _turned_away(state: Pipeline) -> Iterator[Metric]:
    refused = CounterMetricFamily(
        "costhub_refused_requests", "Requests of proven callers that were refused.", labels=["source", "reason"]
    )
    duplicates = CounterMetricFamily("costhub_duplicate_events", "Events that were known already.", labels=["source"])
    for (source, reason), (requests, events) in sorted(state.turned_away.items()):
        if reason == DUPLICATE:
            duplicates.add_metric([source], events)
        else:
            refused.add_metric([source, reason], requests)
    yield from (refused, duplicates)


registry = CollectorRegistry(auto_describe=False)
registry.register(PipelineCollector())


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The state of the pipeline in Prometheus' text format. Sums over all organizations, names of none."""
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
