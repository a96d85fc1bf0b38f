"""Alert rules over the API."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.models import AlertRule, Severity
from alerts.rule_kinds import KINDS, RuleKind
from alerts.rules import RuleDraft, rule_create, rule_delete, rule_mute, rule_test, rule_update
from alerts.selectors import rule_list, with_attempts
from alerts.serializers import AlertHistorySerializer
from alerts.standing import channel_ids_of
from common.api import problems, query_parameters
from common.ids import parse_id
from common.preconditions import ETAG, IF_MATCH, etag, names_version
from common.problems import Fault, Problem
from tenants.api_base import TenantAPIView, object_of
from tenants.models import AccessToken
from watch.preview import DAYS, PREVIEWED, WHY_NOT, told_lately
from watch.scopes import scope_checked
from watch.serializers import (
    PREVIEW,
    RULE_PAGE,
    AlertRuleSerializer,
    MuteSerializer,
    RuleChangeSerializer,
    RuleCreateSerializer,
    scope_shape,
)


class RuleAPIView(TenantAPIView):
    def rules(self) -> QuerySet[AlertRule]:
        return AlertRule.objects.present().filter(organization_id=self.caller.organization_id)

    def rule(self, identifier: str) -> AlertRule:
        return object_of(self.rules(), identifier)

    def access_token(self) -> AccessToken:
        token = self.token()
        if token is None:
            # No virtual key has a scope of alerts; this says so to whoever changes that.
            raise Problem("insufficient-scope")
        return token

    def draft(self, given: dict[str, Any]) -> RuleDraft:
        """What was given, as a draft; ValidationError or Problem 422 for references to nothing."""
        scope = given["scope"]
        named = scope.get("id", scope.get("value", ""))
        channels = [parse_id(channel) for channel in given["channels"]]
        if None in channels:
            raise Problem("validation-error", errors=(Fault("/channels", "invalid", "must be ids of channels"),))
        return RuleDraft(
            name=given["name"],
            scope=scope_checked(self.organization(), scope["type"], named, scope.get("tag", "")),
            severity=given["severity"] or "",
            parameters=given["parameters"],
            channel_ids=[channel for channel in channels if channel is not None],
            enabled=given["enabled"],
        )


class RulesView(RuleAPIView):
    scopes = {"GET": "alerts:read", "POST": "alerts:write"}

    @extend_schema(
        operation_id="alert_rules_list", summary="All alert rules, by name", responses={200: RULE_PAGE, **problems()}
    )
    def get(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        rules = rule_list(organization_id=self.caller.organization_id)
        return Response({"data": [AlertRuleSerializer(rule).data for rule in rules], "next": None})

    @extend_schema(
        operation_id="alert_rules_create",
        summary="Add an alert rule",
        description="It is read from the next minute on.",
        request=RuleCreateSerializer,
        parameters=[ETAG],
        responses={201: AlertRuleSerializer, **problems(400, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = RuleCreateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        kind = RuleKind(serializer.validated_data["kind"])
        defaults: dict[str, Any] = {
            "scope": {"type": KINDS[kind].scopes[0].value},
            "severity": None if kind is RuleKind.BUDGET_THRESHOLD else Severity.WARNING.value,
            "parameters": {},
            "channels": [],
            "enabled": True,
        }
        rule = rule_create(
            organization=self.organization(),
            kind=kind,
            draft=self.draft(defaults | serializer.validated_data),
            actor=self.access_token(),
            now=timezone.now(),
        )
        answer = _answer(rule, status=201)
        answer["Location"] = f"/api/v1/alert-rules/{rule.id}"
        return answer


class RuleView(RuleAPIView):
    scopes = {"GET": "alerts:read", "PATCH": "alerts:write", "DELETE": "alerts:write"}

    @extend_schema(
        operation_id="alert_rules_get",
        summary="One alert rule",
        parameters=[ETAG],
        responses={200: AlertRuleSerializer, **problems(404)},
    )
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        return _answer(self.rule(identifier))

    @extend_schema(
        operation_id="alert_rules_change",
        summary="Change an alert rule",
        description="Another scope or other parameters begin anew; news (a model, a price, a network) that was told is"
        " not told again. Name the version you saw in `If-Match`, or `*`: 428 without it, 412 with the rule as it"
        " stands in `current` when somebody else was faster.",
        request=RuleChangeSerializer,
        parameters=[IF_MATCH, ETAG],
        responses={200: AlertRuleSerializer, **problems(400, 404, 412, 415, 428)},
    )
    def patch(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        rule = self.rule(identifier)
        version = _matched(request, rule)
        serializer = RuleChangeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        unchanged = {
            "name": rule.name,
            "scope": scope_shape(rule),
            "severity": rule.severity,
            "parameters": rule.parameters,
            "channels": [str(channel_id) for channel_id in channel_ids_of(rule)],
            "enabled": rule.enabled,
        }
        draft = self.draft(unchanged | serializer.validated_data)
        try:
            changed = rule_update(
                rule=rule, version=version, draft=draft, actor=self.access_token(), now=timezone.now()
            )
        except Problem as problem:
            raise _stale(self.rule(identifier)) if problem.slug == "stale-write" else problem from problem
        return _answer(changed)

    @extend_schema(
        operation_id="alert_rules_delete",
        summary="Delete an alert rule",
        description="Its alerts stay in the history. Wants `If-Match` as a change does.",
        parameters=[IF_MATCH],
        responses={204: OpenApiResponse(description="It is gone."), **problems(404, 412, 428)},
    )
    def delete(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        rule = self.rule(identifier)
        rule_delete(rule=rule, version=_matched(request, rule), actor=self.access_token(), now=timezone.now())
        return Response(status=204)


class RuleMuteView(RuleAPIView):
    scopes = {"POST": "alerts:write"}

    @extend_schema(
        operation_id="alert_rules_mute",
        summary="Mute an alert rule, or unmute it",
        description="Until then its alerts are written down and nobody is told.",
        request=MuteSerializer,
        responses={200: AlertRuleSerializer, **problems(400, 404, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        rule = self.rule(identifier)
        serializer = MuteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        until = serializer.validated_data["until"]
        return _answer(rule_mute(rule=rule, until=until, actor=self.access_token(), now=timezone.now()))


class RuleTestView(RuleAPIView):
    scopes = {"POST": "alerts:write"}

    @extend_schema(
        operation_id="alert_rules_test",
        summary="Send a test to the channels of a rule",
        description="Answers with the alert whose deliveries tell what came of it. Muting does not hold it back.",
        request=None,
        responses={202: AlertHistorySerializer, **problems(400, 404, 409, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        alert = rule_test(rule=self.rule(identifier), actor=self.access_token(), now=timezone.now())
        if alert is None:
            raise Problem("conflict", "A test went out a moment ago.")
        return Response(AlertHistorySerializer(with_attempts(alert)).data, status=202)


class RulePreviewView(RuleAPIView):
    scopes = {"GET": "alerts:read"}

    @extend_schema(
        operation_id="alert_rules_preview",
        summary="What an alert rule would have told in the last 30 days",
        description="As it is set now, read again hour by hour; of a rule on each of something for the five that cost"
        " most. 409 for a kind that history does not answer, with the reason.",
        responses={200: PREVIEW, **problems(404, 409)},
    )
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        rule = self.rule(identifier)
        if rule.kind not in PREVIEWED:
            raise Problem("conflict", WHY_NOT[RuleKind(rule.kind)])
        subjects, told = told_lately(self.organization(), rule, timezone.now())
        return Response(
            {
                "days": DAYS,
                "subjects": [subject.label for subject in subjects],
                "told": [{"at": each.at.isoformat(), "subject": each.subject, "found": each.said} for each in told],
            }
        )


def _answer(rule: AlertRule, *, status: int = 200) -> Response:
    answer = Response(AlertRuleSerializer(rule).data, status=status)
    answer["ETag"] = etag(rule.version)
    return answer


def _matched(request: Request, rule: AlertRule) -> int:
    """The version that the caller means to change; Problem 428 without If-Match, 412 when it is not this one."""
    if not names_version(request, rule.version):
        raise _stale(rule)
    return rule.version


def _stale(rule: AlertRule) -> Problem:
    return Problem(
        "stale-write",
        "Somebody else changed this rule since; `current` is how it stands.",
        headers={"ETag": etag(rule.version)},
        extra={"current": AlertRuleSerializer(rule).data},
    )
