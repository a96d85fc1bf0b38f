from django.urls import path

from ingest.api import EventsView, IngestStatusView

urlpatterns = [
    path("events", EventsView.as_view(), name="api-events"),
    path("ingest/status", IngestStatusView.as_view(), name="api-ingest-status"),
]
