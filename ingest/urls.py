from django.urls import path

from ingest import views

urlpatterns = [
    path("o/<slug:org_slug>/ingestion", views.ingestion, name="ingestion"),
    path("o/<slug:org_slug>/ingestion/tile", views.tile, name="ingestion_tile"),
]
