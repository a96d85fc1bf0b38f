from django.urls import path

from reconciliation.api import BilledUsageView, ReconciliationView

urlpatterns = [
    path("billed-usage", BilledUsageView.as_view(), name="api-billed-usage"),
    path("reconciliation", ReconciliationView.as_view(), name="api-reconciliation"),
]
