from django.urls import path

from budgets import explain_views, form_views, move_views, trial_views, views
from budgets.approvals import link_views
from budgets.approvals import views as approvals
from budgets.reservations import settings_views as call_limits

urlpatterns = [
    path("o/<slug:org_slug>/budgets", views.budgets, name="budgets"),
    path("o/<slug:org_slug>/budgets/new", form_views.create, name="budget_create"),
    path("o/<slug:org_slug>/budgets/past-use", trial_views.past_use_part, name="budget_past_use"),
    path("o/<slug:org_slug>/budgets/explain", explain_views.explain_page, name="budget_explain"),
    path("o/<slug:org_slug>/budgets/refusals", explain_views.refusals_page, name="budget_refusals"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>", views.budget, name="budget"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>/edit", form_views.edit, name="budget_edit"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>/archive", form_views.archive, name="budget_archive"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>/increase", approvals.ask, name="increase_ask"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>/transfer", move_views.budget_transfer, name="budget_transfer"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>/pause", move_views.pause, name="budget_pause"),
    path("o/<slug:org_slug>/budgets/requests", approvals.requests, name="increase_requests"),
    path("o/<slug:org_slug>/budgets/requests/<int:request_id>", approvals.increase_request, name="increase_request"),
    path("o/<slug:org_slug>/budgets/requests/<int:request_id>/withdraw", approvals.withdraw, name="increase_withdraw"),
    path("o/<slug:org_slug>/budgets/approvals", approvals.policy, name="approval_policy"),
    path("o/<slug:org_slug>/limits", call_limits.limits, name="call_limits"),
    path("o/<slug:org_slug>/limits/<str:kind>/new", call_limits.create, name="call_limit_create"),
    path("o/<slug:org_slug>/limits/<str:kind>/<int:setting_id>", call_limits.edit, name="call_limit_edit"),
    path("o/<slug:org_slug>/limits/<str:kind>/<int:setting_id>/remove", call_limits.remove, name="call_limit_remove"),
    path("approvals/decide", link_views.increase_link, name="increase_link"),
]
