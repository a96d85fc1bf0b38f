from django.urls import path

from corrections import closing_views, inbox_views, views

urlpatterns = [
    path("o/<slug:org_slug>/closing", closing_views.closing, name="closing"),
    path("o/<slug:org_slug>/closing/policy", closing_views.closing_policy, name="closing_policy"),
    path("o/<slug:org_slug>/unpriced", inbox_views.unpriced, name="unpriced"),
    path("o/<slug:org_slug>/unpriced/price", inbox_views.unpriced_price, name="unpriced_price"),
    path("o/<slug:org_slug>/repricing", views.repricings, name="repricings"),
    path("o/<slug:org_slug>/repricing/new", views.repricing_new, name="repricing_new"),
    path("o/<slug:org_slug>/repricing/<int:run_id>", views.repricing, name="repricing"),
    path("o/<slug:org_slug>/repricing/<int:run_id>/<slug:action>", views.repricing_act, name="repricing_act"),
]
