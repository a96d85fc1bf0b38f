from django.urls import path

from tenants import invitation_views, key_views, member_views, team_views, token_views, views

urlpatterns = [
    path("invitations/accept", invitation_views.invitation, name="invitation"),
    path("o/<slug:org_slug>/keys", key_views.keys, name="keys"),
    path("o/<slug:org_slug>/keys/new", key_views.issue, name="key_issue"),
    path("o/<slug:org_slug>/keys/<int:key_id>/rotate", key_views.rotate, name="key_rotate"),
    path("o/<slug:org_slug>/keys/<int:key_id>/revoke", key_views.revoke, name="key_revoke"),
    path("o/<slug:org_slug>/teams", team_views.teams, name="teams"),
    path("o/<slug:org_slug>/teams/new", team_views.create, name="team_create"),
    path("o/<slug:org_slug>/teams/<int:team_id>", team_views.edit, name="team_edit"),
    path("o/<slug:org_slug>/members", member_views.members, name="members"),
    path("o/<slug:org_slug>/members/invite", member_views.invite, name="member_invite"),
    path("o/<slug:org_slug>/members/<int:member_id>", member_views.edit, name="member_edit"),
    path("o/<slug:org_slug>/members/<int:member_id>/remove", member_views.remove, name="member_remove"),
    path(
        "o/<slug:org_slug>/invitations/<int:invitation_id>/withdraw",
        member_views.withdraw,
        name="invitation_withdraw",
    ),
    path("o/<slug:org_slug>/settings/tokens", token_views.tokens, name="tokens"),
    path("o/<slug:org_slug>/settings/tokens/new", token_views.issue, name="token_issue"),
    path("o/<slug:org_slug>/settings/tokens/<int:token_id>/revoke", token_views.revoke, name="token_revoke"),
    path("o/<slug:org_slug>/settings/audit", views.audit, name="audit"),
]
