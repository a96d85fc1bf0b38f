from django.urls import path

from watch import key_views, views

urlpatterns = [
    path("o/<slug:org_slug>/keys/<int:key_id>/networks", key_views.networks, name="key_networks"),
    path("o/<slug:org_slug>/alerts/rules", views.rules, name="alert_rules"),
    path("o/<slug:org_slug>/alerts/rules/new", views.create, name="alert_rule_create"),
    path("o/<slug:org_slug>/alerts/rules/<int:rule_id>", views.rule, name="alert_rule"),
    path("o/<slug:org_slug>/alerts/rules/<int:rule_id>/edit", views.edit, name="alert_rule_edit"),
    path("o/<slug:org_slug>/alerts/rules/<int:rule_id>/delete", views.delete, name="alert_rule_delete"),
    path("o/<slug:org_slug>/alerts/rules/<int:rule_id>/preview", views.preview, name="alert_rule_preview"),
    path("o/<slug:org_slug>/alerts/rules/<int:rule_id>/mute", views.mute, name="alert_rule_mute"),
    path("o/<slug:org_slug>/alerts/rules/<int:rule_id>/test", views.test, name="alert_rule_test"),
]
