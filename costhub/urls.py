"""Every URL of CostHub, by app."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []

handler400 = "costhub.errors.bad_request"
handler403 = "costhub.errors.forbidden"
handler404 = "costhub.errors.not_found"
handler500 = "costhub.errors.server_error"
