from django.urls import path

from budgets.api import BudgetsView, BudgetView
from budgets.approvals.api import BudgetIncreasesView, DecisionView, IncreasesView, IncreaseView, PolicyView
from budgets.explain_api import ExplainView, RefusalsView, RefusalView
from budgets.me import MeView
from budgets.moves_api import PauseView, TransfersView
from budgets.reservations import settings_api
from budgets.reservations.api import AuthorizationRenewView, AuthorizationsView, AuthorizationView
from budgets.trial_api import BudgetTrialView, TrialView

urlpatterns = [
    path("budgets", BudgetsView.as_view(), name="api-budgets"),
    path("budgets/backtest", TrialView.as_view(), name="api-budget-try"),
    path("budgets/<str:identifier>/backtest", BudgetTrialView.as_view(), name="api-budget-try-saved"),
    path("budgets/<str:identifier>", BudgetView.as_view(), name="api-budget"),
    path("authorizations", AuthorizationsView.as_view(), name="api-authorizations"),
    path("authorizations/<str:identifier>", AuthorizationView.as_view(), name="api-authorization"),
    path("authorizations/<str:identifier>/renew", AuthorizationRenewView.as_view(), name="api-authorization-renew"),
    path("rate-limits", settings_api.RateLimitsView.as_view(), name="api-rate-limits"),
    path("rate-limits/<str:identifier>", settings_api.RateLimitView.as_view(), name="api-rate-limit"),
    path("model-allowances", settings_api.AllowancesView.as_view(), name="api-model-allowances"),
    path("model-allowances/<str:identifier>", settings_api.AllowanceView.as_view(), name="api-model-allowance"),
    path("model-ladder", settings_api.LadderView.as_view(), name="api-model-ladder"),
    path("model-ladder/<str:identifier>", settings_api.LadderStepView.as_view(), name="api-model-ladder-step"),
    path("budgets/<str:identifier>/increase-requests", BudgetIncreasesView.as_view(), name="api-budget-increases"),
    path("budgets/<str:identifier>/transfers", TransfersView.as_view(), name="api-budget-transfers"),
    path("budgets/<str:identifier>/pause", PauseView.as_view(), name="api-budget-pause"),
    path("increase-requests", IncreasesView.as_view(), name="api-increases"),
    path("increase-requests/<str:identifier>", IncreaseView.as_view(), name="api-increase"),
    path("increase-requests/<str:identifier>/decision", DecisionView.as_view(), name="api-increase-decision"),
    path("approval-policy", PolicyView.as_view(), name="api-approval-policy"),
    path("explain", ExplainView.as_view(), name="api-explain"),
    path("refusals", RefusalsView.as_view(), name="api-refusals"),
    path("refusals/<str:request_id>", RefusalView.as_view(), name="api-refusal"),
    path("me", MeView.as_view(), name="api-me"),
]
