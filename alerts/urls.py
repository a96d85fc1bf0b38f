from django.urls import path

from alerts import channel_views, incident_views, mail_views, views

urlpatterns = [
    path("o/<slug:org_slug>/alerts", views.alerts, name="alerts"),
    path("o/<slug:org_slug>/alerts/<int:alert_id>", views.alert, name="alert"),
    path("o/<slug:org_slug>/alerts/<int:alert_id>/acknowledge", views.acknowledge, name="alert_acknowledge"),
    path("o/<slug:org_slug>/alerts/<int:alert_id>/snooze", incident_views.snooze, name="alert_snooze"),
    path("o/<slug:org_slug>/alerts/channels", channel_views.channels, name="channels"),
    path("o/<slug:org_slug>/alerts/channels/new/<str:kind>", channel_views.create, name="channel_create"),
    path("o/<slug:org_slug>/alerts/channels/<int:channel_id>", channel_views.edit, name="channel_edit"),
    path("o/<slug:org_slug>/alerts/channels/<int:channel_id>/delete", channel_views.delete, name="channel_delete"),
    path("o/<slug:org_slug>/alerts/channels/<int:channel_id>/enable", channel_views.enable, name="channel_enable"),
    path("o/<slug:org_slug>/alerts/channels/<int:channel_id>/disable", channel_views.disable, name="channel_disable"),
    path("o/<slug:org_slug>/alerts/channels/<int:channel_id>/test", channel_views.test, name="channel_test"),
    path("o/<slug:org_slug>/alerts/channels/<int:channel_id>/secret", channel_views.rotate, name="channel_secret"),
    path("o/<slug:org_slug>/notifications", mail_views.notifications, name="notifications"),
    path("unsubscribe", mail_views.unsubscribe_page, name="mail_unsubscribe"),
]
