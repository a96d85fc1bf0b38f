from django.urls import path

from tenants.api import (
    AuditView,
    KeyRevokeView,
    KeyRotateView,
    KeysView,
    KeyView,
    MembersView,
    TeamsView,
    TeamView,
)

urlpatterns = [
    path("keys", KeysView.as_view(), name="api-keys"),
    path("keys/<str:identifier>", KeyView.as_view(), name="api-key"),
    path("keys/<str:identifier>/revoke", KeyRevokeView.as_view(), name="api-key-revoke"),
    path("keys/<str:identifier>/rotate", KeyRotateView.as_view(), name="api-key-rotate"),
    path("teams", TeamsView.as_view(), name="api-teams"),
    path("teams/<str:identifier>", TeamView.as_view(), name="api-team"),
    path("members", MembersView.as_view(), name="api-members"),
    path("audit", AuditView.as_view(), name="api-audit"),
]
