from django.urls import path

from budgets.api import BudgetsView, BudgetView
from budgets.me import MeView
from budgets.reservations.api import AuthorizationRenewView, AuthorizationsView, AuthorizationView

urlpatterns = [
    path("budgets", BudgetsView.as_view(), name="api-budgets"),
    path("budgets/<str:identifier>", BudgetView.as_view(), name="api-budget"),
    path("authorizations", AuthorizationsView.as_view(), name="api-authorizations"),
    path("authorizations/<str:identifier>", AuthorizationView.as_view(), name="api-authorization"),
    path("authorizations/<str:identifier>/renew", AuthorizationRenewView.as_view(), name="api-authorization-renew"),
    path("me", MeView.as_view(), name="api-me"),
]
