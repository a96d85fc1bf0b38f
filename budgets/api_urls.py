from django.urls import path

from budgets.api import BudgetsView, BudgetView
from budgets.me import MeView

urlpatterns = [
    path("budgets", BudgetsView.as_view(), name="api-budgets"),
    path("budgets/<str:identifier>", BudgetView.as_view(), name="api-budget"),
    path("me", MeView.as_view(), name="api-me"),
]
