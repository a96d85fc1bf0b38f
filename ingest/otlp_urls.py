"""The paths that OpenTelemetry's exporters append to their endpoint."""

from django.urls import path

from ingest.otlp_api import LogsView, MetricsView, TracesView

urlpatterns = [
    path("traces", TracesView.as_view(), name="otlp-traces"),
    path("logs", LogsView.as_view(), name="otlp-logs"),
    path("metrics", MetricsView.as_view(), name="otlp-metrics"),
]
