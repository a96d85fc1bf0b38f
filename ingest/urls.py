from django.urls import path

from ingest import views
from ingest.imports import views as import_views

urlpatterns = [
    path("o/<slug:org_slug>/ingestion", views.ingestion, name="ingestion"),
    path("o/<slug:org_slug>/ingestion/tile", views.tile, name="ingestion_tile"),
    path("o/<slug:org_slug>/imports", import_views.imports, name="imports"),
    path("o/<slug:org_slug>/imports/<int:import_id>", import_views.detail, name="import_detail"),
]
