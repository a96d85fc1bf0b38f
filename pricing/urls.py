from django.urls import path

from pricing import views

urlpatterns = [
    path("o/<slug:org_slug>/prices/rules", views.price_rules, name="price_rules"),
    path("o/<slug:org_slug>/prices/rules/new", views.price_rule_add, name="price_rule_add"),
    path("o/<slug:org_slug>/prices/rules/<int:rule_id>/end", views.price_rule_end, name="price_rule_end"),
    path("o/<slug:org_slug>/prices/commitments", views.commitments, name="commitments"),
    path("o/<slug:org_slug>/prices/commitments/new", views.commitment_new, name="commitment_add"),
    path("o/<slug:org_slug>/prices/commitments/<int:commitment_id>/end", views.commitment_end, name="commitment_end"),
]
