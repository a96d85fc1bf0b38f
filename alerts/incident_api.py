"""Putting an alert off over the API."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import Alert
from alerts.selectors import with_attempts
from alerts.serializers import AlertHistorySerializer
from alerts.services import alert_snooze
from common.api import problems, query_parameters
from common.problems import Problem
from common.strict import StrictSerializer
from tenants.api_base import TenantAPIView, object_of
from tenants.serializers import StrictDateTimeField


class SnoozeSerializer(StrictSerializer[Any]):
    until = StrictDateTimeField(help_text="At most 30 days from now.")


class AlertSnoozeView(TenantAPIView):
    scopes = {"POST": "alerts:write"}

    @extend_schema(
        operation_id="alerts_snooze",
        summary="Put an alert off",
        description="Nobody is told more of it until then; if it still fires, they are told again."
        " 409 for one that was acknowledged or has recovered.",
        request=SnoozeSerializer,
        responses={200: AlertHistorySerializer, **problems(400, 404, 409, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        alert = object_of(Alert.objects.filter(organization_id=self.caller.organization_id), identifier)
        given = SnoozeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        token = self.token()
        if token is None:
            raise Problem("insufficient-scope")
        alert_snooze(alert=alert, until=given.validated_data["until"], actor=token, now=timezone.now())
        return Response(AlertHistorySerializer(with_attempts(alert)).data)
