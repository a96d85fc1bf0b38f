"""Alerts and channels over the API."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.channels.webhook import new_secret
from alerts.enabling import channel_enable
from alerts.kinds import AlertKind
from alerts.models import Alert, AlertState, Channel, ChannelKind, Severity
from alerts.positions import cursor_after, position_at
from alerts.selectors import AlertFilter, alert_list, channel_list, with_attempts, with_deliveries
from alerts.serializers import (
    ALERT_PAGE,
    CHANNEL_PAGE,
    AlertHistorySerializer,
    AlertSerializer,
    ChannelChangeSerializer,
    ChannelCreateSerializer,
    ChannelMadeSerializer,
    ChannelSerializer,
    SecretRotateSerializer,
)
from alerts.services import (
    alert_acknowledge,
    channel_create,
    channel_delete,
    channel_disable,
    channel_secret_rotate,
    channel_test,
    channel_update,
)
from common.api import page_limit, page_of, problems, query_parameters
from common.ids import parse_id
from common.problems import Fault, Problem
from common.strict import StrictSerializer
from tenants.api_base import TenantAPIView, object_of
from tenants.models import AccessToken

ACKNOWLEDGED = {"true": True, "false": False}
LIST_PARAMETERS = [
    OpenApiParameter("severity", str, enum=Severity.values),
    OpenApiParameter("kind", str, enum=AlertKind.values),
    OpenApiParameter("acknowledged", str, enum=list(ACKNOWLEDGED)),
    OpenApiParameter("state", str, enum=AlertState.values),
    OpenApiParameter("rule", str, description="The id of a rule"),
    OpenApiParameter("limit", int, description="1 to 100"),
    OpenApiParameter("cursor", str, description="`next` of the page before"),
]


class AlertsView(TenantAPIView):
    """What fired."""

    scopes = {"GET": "alerts:read"}

    @extend_schema(
        operation_id="alerts_list",
        summary="Alerts, newest first",
        parameters=LIST_PARAMETERS,
        responses={200: ALERT_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(
            request, frozenset({"severity", "kind", "acknowledged", "state", "rule", "limit", "cursor"})
        )
        acknowledged = _choice(given, "acknowledged", list(ACKNOWLEDGED))
        narrowed = AlertFilter(
            severity=_choice(given, "severity", Severity.values),
            kind=_choice(given, "kind", AlertKind.values),
            acknowledged=None if acknowledged is None else ACKNOWLEDGED[acknowledged],
            state=_choice(given, "state", AlertState.values),
            rule_id=_rule_id(given),
        )
        limit = page_limit(given)
        found = alert_list(
            organization_id=self.caller.organization_id,
            narrowed=narrowed,
            after=position_at(given["cursor"]) if "cursor" in given else None,
            limit=limit + 1,
        )
        rows = [dict(AlertSerializer(history).data) for history in with_deliveries(found)]
        return page_of(rows, limit=limit, cursor=cursor_after(found[limit - 1]) if len(found) > limit else None)


class AlertView(TenantAPIView):
    """One alert with every attempt to tell somebody."""

    scopes = {"GET": "alerts:read"}

    @extend_schema(
        operation_id="alerts_get",
        summary="One alert with its deliveries and attempts",
        responses={200: AlertHistorySerializer, **problems(404)},
    )
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        return Response(AlertHistorySerializer(with_attempts(_alert(self, identifier))).data)


class AlertAcknowledgeView(TenantAPIView):
    scopes = {"POST": "alerts:write"}

    @extend_schema(
        operation_id="alerts_acknowledge",
        summary="Mark an alert as seen",
        description="Whoever is first is named; doing it again changes nothing.",
        request=None,
        responses={200: AlertHistorySerializer, **problems(400, 404, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        alert = _alert(self, identifier)
        alert_acknowledge(alert=alert, actor=_token(self), now=timezone.now())
        alert.refresh_from_db()
        return Response(AlertHistorySerializer(with_attempts(alert)).data)


class ChannelsView(TenantAPIView):
    """Where alerts go."""

    scopes = {"GET": "alerts:read", "POST": "alerts:write"}

    @extend_schema(
        operation_id="channels_list",
        summary="All channels, by name",
        responses={200: CHANNEL_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        channels = channel_list(organization_id=self.caller.organization_id)
        return Response({"data": ChannelSerializer(channels, many=True).data, "next": None})

    @extend_schema(
        operation_id="channels_create",
        summary="Add a channel",
        description="It gets every alert from then on. Its URL and secret are stored sealed and never shown again; the "
        "signing secret that is made for a webhook stands in this answer only.",
        request=ChannelCreateSerializer,
        responses={201: ChannelMadeSerializer, **problems(400, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        given = _checked(ChannelCreateSerializer(data=request.data))
        made = new_secret() if given["kind"] == ChannelKind.WEBHOOK and "secret" not in given else None
        if made:
            given["secret"] = made
        channel = channel_create(organization=self.organization(), actor=_token(self), now=timezone.now(), **given)
        return Response(_made(channel, made), status=201)


class ChannelView(TenantAPIView):
    scopes = {"GET": "alerts:read", "PATCH": "alerts:write", "DELETE": "alerts:write"}

    @extend_schema(
        operation_id="channels_get", summary="One channel", responses={200: ChannelSerializer, **problems(404)}
    )
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        return Response(ChannelSerializer(_channel(self, identifier)).data)

    @extend_schema(
        operation_id="channels_change",
        summary="Change a channel, switch it on or off",
        request=ChannelChangeSerializer,
        responses={200: ChannelSerializer, **problems(400, 404, 415)},
    )
    def patch(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        channel = _channel(self, identifier)
        given = _checked(ChannelChangeSerializer(data=request.data))
        token, now = _token(self), timezone.now()
        enabled = given.pop("enabled", None)
        if given:
            channel_update(channel=channel, actor=token, now=now, **given)
        _switch(channel, enabled, token, now)
        return Response(ChannelSerializer(channel).data)

    @extend_schema(
        operation_id="channels_delete",
        summary="Delete a channel",
        description="Its address is forgotten; deliveries that wait for it are not made; the history stays.",
        responses={204: OpenApiResponse(description="It is gone."), **problems(404)},
    )
    def delete(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        channel_delete(channel=_channel(self, identifier), actor=_token(self), now=timezone.now())
        return Response(status=204)


class ChannelTestView(TenantAPIView):
    scopes = {"POST": "alerts:write"}

    @extend_schema(
        operation_id="channels_test",
        summary="Send a test to a channel",
        description="Answers with the alert whose delivery tells what came of it.",
        request=None,
        responses={202: AlertHistorySerializer, **problems(400, 404, 409, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        channel = _channel(self, identifier)
        alert = channel_test(channel=channel, actor=_token(self), now=timezone.now())
        if alert is None:
            raise Problem("conflict", "The channel is off, or a test went out a moment ago.")
        return Response(AlertHistorySerializer(with_attempts(alert)).data, status=202)


class ChannelSecretView(TenantAPIView):
    scopes = {"POST": "alerts:write"}

    @extend_schema(
        operation_id="channels_rotate_secret",
        summary="Make a webhook's signing secret anew",
        description="The new secret stands in this answer only. Until the overlap ends, messages carry a signature by "
        "each; a secret that was signing along from an earlier change ends now.",
        request=SecretRotateSerializer,
        responses={200: ChannelMadeSerializer, **problems(400, 404, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        channel = _channel(self, identifier)
        given = _checked(SecretRotateSerializer(data=request.data))
        overlap, secret = timedelta(hours=given["overlap_hours"]), new_secret()
        channel_secret_rotate(channel=channel, secret=secret, overlap=overlap, actor=_token(self), now=timezone.now())
        return Response(_made(channel, secret))


def _made(channel: Channel, secret: str | None) -> dict[str, Any]:
    return {**ChannelSerializer(channel).data, **({"signing_secret": secret} if secret else {})}


def _switch(channel: Channel, enabled: bool | None, token: AccessToken, now: datetime) -> None:
    if enabled is True and not channel.enabled:
        channel_enable(channel=channel, actor=token, now=now)
    if enabled is False:
        channel_disable(channel=channel, reason="Switched off over the API.", actor=token, now=now)


def _choice(given: dict[str, str], name: str, allowed: list[str]) -> str | None:
    value = given.get(name)
    if value is not None and value not in allowed:
        raise Problem(
            "validation-error", errors=(Fault(f"/{name}", "invalid", f"must be one of {', '.join(allowed)}"),)
        )
    return value


def _rule_id(given: dict[str, str]) -> int | None:
    """The rule asked for; one that does not exist has no alerts."""
    rule = parse_id(given["rule"]) if "rule" in given else None
    if "rule" in given and rule is None:
        raise Problem("validation-error", errors=(Fault("/rule", "invalid", "must be the id of a rule"),))
    return rule


def _checked(serializer: StrictSerializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def _token(view: TenantAPIView) -> AccessToken:
    token = view.token()
    if token is None:
        # No virtual key has a scope of alerts; this says so to whoever changes that.
        raise Problem("insufficient-scope")
    return token


def _alert(view: TenantAPIView, identifier: str) -> Alert:
    return object_of(Alert.objects.filter(organization_id=view.caller.organization_id), identifier)


def _channel(view: TenantAPIView, identifier: str) -> Channel:
    return object_of(Channel.objects.present().filter(organization_id=view.caller.organization_id), identifier)
