from django.urls import path

from pricing.api import CommitmentStopView, CommitmentsView, PricesView, RuleEndView, RulesView

urlpatterns = [
    path("prices", PricesView.as_view(), name="api-prices"),
    path("prices/rules", RulesView.as_view(), name="api-price-rules"),
    path("prices/rules/<str:identifier>/end", RuleEndView.as_view(), name="api-price-rule-end"),
    path("prices/commitments", CommitmentsView.as_view(), name="api-commitments"),
    path("prices/commitments/<str:identifier>/end", CommitmentStopView.as_view(), name="api-commitment-end"),
]
