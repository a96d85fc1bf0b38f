"""`POST events` shares its path with `GET events` of analytics; the two meet in `costhub.urls`."""

from django.urls import path

from ingest.api import IngestStatusView, LiteLLMView

urlpatterns = [
    path("litellm", LiteLLMView.as_view(), name="api-litellm"),
    path("ingest/status", IngestStatusView.as_view(), name="api-ingest-status"),
]
