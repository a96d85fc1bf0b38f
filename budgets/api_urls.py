from django.urls import path

from budgets.api import BudgetsView, BudgetView
from budgets.explain_api import ExplainView, RefusalsView, RefusalView
from budgets.me import MeView
from budgets.trial_api import BudgetTrialView, TrialView

urlpatterns = [
    path("budgets", BudgetsView.as_view(), name="api-budgets"),
    path("budgets/backtest", TrialView.as_view(), name="api-budget-try"),
    path("budgets/<str:identifier>/backtest", BudgetTrialView.as_view(), name="api-budget-try-saved"),
    path("budgets/<str:identifier>", BudgetView.as_view(), name="api-budget"),
    path("explain", ExplainView.as_view(), name="api-explain"),
    path("refusals", RefusalsView.as_view(), name="api-refusals"),
    path("refusals/<str:request_id>", RefusalView.as_view(), name="api-refusal"),
    path("me", MeView.as_view(), name="api-me"),
]
