"""`POST events` shares its path with `GET events` of analytics; the two meet in `costhub.urls`."""

from django.urls import path

from ingest.api import IngestStatusView

urlpatterns = [
    path("ingest/status", IngestStatusView.as_view(), name="api-ingest-status"),
]
