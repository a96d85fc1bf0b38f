from django.urls import path

from alerts.api import (
    AlertAcknowledgeView,
    AlertsView,
    AlertView,
    ChannelSecretView,
    ChannelsView,
    ChannelTestView,
    ChannelView,
)
from alerts.incident_api import AlertSnoozeView

urlpatterns = [
    path("alerts", AlertsView.as_view(), name="api-alerts"),
    path("alerts/<str:identifier>", AlertView.as_view(), name="api-alert"),
    path("alerts/<str:identifier>/acknowledge", AlertAcknowledgeView.as_view(), name="api-alert-acknowledge"),
    path("alerts/<str:identifier>/snooze", AlertSnoozeView.as_view(), name="api-alert-snooze"),
    path("channels", ChannelsView.as_view(), name="api-channels"),
    path("channels/<str:identifier>", ChannelView.as_view(), name="api-channel"),
    path("channels/<str:identifier>/test", ChannelTestView.as_view(), name="api-channel-test"),
    path("channels/<str:identifier>/rotate-secret", ChannelSecretView.as_view(), name="api-channel-rotate-secret"),
]
