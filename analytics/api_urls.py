"""`GET events` shares its path with ingest's `POST events`; the two meet in `costhub.urls`."""

from django.urls import path

from analytics.api import SpendView
from analytics.trace_api import TracesView, TraceView

urlpatterns = [
    path("spend", SpendView.as_view(), name="api-spend"),
    path("traces", TracesView.as_view(), name="api-traces"),
    path("traces/<path:trace_id>", TraceView.as_view(), name="api-trace"),
]
