"""The product's URLs with those of alerts, beside blank pages for what the frame of every page links to."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from costhub.urls import (
    handler400,
    handler403,
    handler404,
    handler500,
)
from costhub.urls import (
    urlpatterns as product,
)

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def blank(request: HttpRequest, **_: str) -> HttpResponse:
    return HttpResponse()


FRAME = ("overview", "budgets", "events", "unpriced", "keys", "teams", "settings")
ACCOUNT = ("home", "organization_create", "account_login", "account_logout", "account_email", "account_change_password")

urlpatterns = [
    *(path(f"o/<slug:org_slug>/blank/{name}", blank, name=name) for name in FRAME),
    *(path(f"blank/{name}", blank, name=name) for name in ACCOUNT),
    path("", include("alerts.urls")),
    path("api/v1/", include("alerts.api_urls")),
    *product,
]
