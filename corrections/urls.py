from django.urls import path

from corrections import views

urlpatterns = [
    path("o/<slug:org_slug>/repricing", views.repricings, name="repricings"),
    path("o/<slug:org_slug>/repricing/new", views.repricing_new, name="repricing_new"),
    path("o/<slug:org_slug>/repricing/<int:run_id>", views.repricing, name="repricing"),
    path("o/<slug:org_slug>/repricing/<int:run_id>/<slug:action>", views.repricing_act, name="repricing_act"),
]
