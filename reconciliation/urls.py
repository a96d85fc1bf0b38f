from django.urls import path

from reconciliation import views

urlpatterns = [
    path("o/<slug:org_slug>/reconciliation", views.reconciliation, name="reconciliation"),
    path("o/<slug:org_slug>/reconciliation/upload", views.upload, name="billed_upload"),
]
