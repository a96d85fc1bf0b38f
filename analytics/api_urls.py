"""`GET events` shares its path with ingest's `POST events`; the two meet in `costhub.urls`."""

from django.urls import path

from analytics.api import SpendView

urlpatterns = [path("spend", SpendView.as_view(), name="api-spend")]
