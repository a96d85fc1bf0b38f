from django.urls import path

from watch.api import RuleMuteView, RulePreviewView, RulesView, RuleTestView, RuleView
from watch.key_api import KeyNetworksView

urlpatterns = [
    path("keys/<str:identifier>/networks", KeyNetworksView.as_view(), name="api-key-networks"),
    path("alert-rules", RulesView.as_view(), name="api-alert-rules"),
    path("alert-rules/<str:identifier>", RuleView.as_view(), name="api-alert-rule"),
    path("alert-rules/<str:identifier>/mute", RuleMuteView.as_view(), name="api-alert-rule-mute"),
    path("alert-rules/<str:identifier>/test", RuleTestView.as_view(), name="api-alert-rule-test"),
    path("alert-rules/<str:identifier>/preview", RulePreviewView.as_view(), name="api-alert-rule-preview"),
]
