from django.urls import path

from corrections import adjustments_api, api, closing_api

urlpatterns = [
    path("adjustments", adjustments_api.AdjustmentsView.as_view(), name="api-adjustments"),
    path("closed-months", closing_api.ClosedMonthsView.as_view(), name="api-closed-months"),
    path("repricings", api.RepricingsView.as_view(), name="api-repricings"),
    path("repricings/<str:identifier>", api.RepricingView.as_view(), name="api-repricing"),
    path("repricings/<str:identifier>/apply", api.RepricingApplyView.as_view(), name="api-repricing-apply"),
    path("repricings/<str:identifier>/undo", api.RepricingUndoView.as_view(), name="api-repricing-undo"),
]
