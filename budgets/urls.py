from django.urls import path

from budgets import form_views, views

urlpatterns = [
    path("o/<slug:org_slug>/budgets", views.budgets, name="budgets"),
    path("o/<slug:org_slug>/budgets/new", form_views.create, name="budget_create"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>", views.budget, name="budget"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>/edit", form_views.edit, name="budget_edit"),
    path("o/<slug:org_slug>/budgets/<int:budget_id>/archive", form_views.archive, name="budget_archive"),
]
