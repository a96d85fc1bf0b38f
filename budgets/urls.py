from django.urls import path

from budgets import explain_views, form_views, trial_views, views

urlpatterns = [
    path("o/<slug:org_slug>/budgets", views.budgets, name="budgets"),
    path("o/<slug:org_slug>/budgets/new", form_views.create, name="budget_create"),
    path("o/<slug:org_slug>/budgets/past-use", trial_views.past_use_part, name="budget_past_use"),
    path("o/<slug:org_slug>/budgets/explain", explain_views.explain_page, name="budget_explain"),
    path("o/<slug:org_slug>/budgets/refusals", explain_views.refusals_page, name="budget_refusals"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>", views.budget, name="budget"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>/edit", form_views.edit, name="budget_edit"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>/archive", form_views.archive, name="budget_archive"),
]
