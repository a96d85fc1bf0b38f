"""Reservations in Prometheus' words: sums over all organizations, asked of the database, so that processes agree."""

from collections.abc import Iterator

from django.db import connection
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


def reservation_metrics() -> Iterator[Metric]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome, count FROM budgets_authorization_counts() ORDER BY outcome")
        outcomes = cursor.fetchall()
        cursor.execute("SELECT rebuilt, drifted FROM budgets_counter_checks()")
        (rebuilt, drifted) = cursor.fetchone()
    authorizations = CounterMetricFamily(
        "costhub_authorizations", "Authorizations by what became of them.", labels=["outcome"]
    )
    for outcome, count in outcomes:
        authorizations.add_metric([outcome], int(count))
    yield authorizations
    yield GaugeMetricFamily(
        "costhub_budget_counters_rebuilt",
        "Counters that were lost and built anew from the ledger, in 90 days.",
        rebuilt,
    )
    yield GaugeMetricFamily(
        "costhub_budget_counters_drifted", "Counters that differed from the ledger or their holds, in 90 days.", drifted
    )
