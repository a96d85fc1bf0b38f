"""Every URL of CostHub, by app."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from costhub import health, onboarding
from costhub.errors import unknown_api_path
from costhub.events_api import EventsView

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("", onboarding.home, name="home"),
    path("accounts/", include("allauth.account.urls")),
    path("organizations/new", onboarding.create, name="organization_create"),
    path("o/<slug:org_slug>/settings", onboarding.settings, name="settings"),
    path("", include("tenants.urls")),
    path("", include("alerts.urls")),
    path("", include("watch.urls")),
    path("", include("budgets.urls")),
    path("", include("analytics.urls")),
    path("", include("corrections.urls")),
    path("", include("pricing.urls")),
    path("", include("ingest.urls")),
    path("", include("reconciliation.urls")),
    path("api/v1/", include("tenants.api_urls")),
    path("api/v1/", include("alerts.api_urls")),
    path("api/v1/", include("watch.api_urls")),
    path("api/v1/events", EventsView.as_view(), name="api-events"),
    path("api/v1/", include("analytics.api_urls")),
    path("api/v1/", include("budgets.api_urls")),
    path("api/v1/", include("pricing.api_urls")),
    path("api/v1/", include("ingest.api_urls")),
    path("api/v1/", include("corrections.api_urls")),
    path("v1/", include("ingest.otlp_urls")),
    path("api/v1/", include("reconciliation.api_urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    re_path(r"^(api|v1|webhooks)/", unknown_api_path),
]

handler400 = "costhub.errors.bad_request"
handler403 = "costhub.errors.forbidden"
handler404 = "costhub.errors.not_found"
handler500 = "costhub.errors.server_error"
