"""Rate limits, lists of allowed models and the ladder of cheaper ones, over the API."""

from typing import Any, ClassVar

from django.db.models import Model
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.fields import OneOf
from budgets.reservations.models import Grantee, LadderStep, ModelAllowance, RateLimit
from budgets.reservations.serializers import label
from budgets.reservations.services import (
    MOST_MODELS,
    MOST_PER_MINUTE,
    allowance_set,
    ladder_step_set,
    rate_limit_set,
    setting_remove,
)
from common.api import page_of, problems, query_parameters
from common.ids import parse_id
from common.problems import Fault, invalid
from common.strict import StrictCharField, StrictSerializer
from tenants.api_base import TenantAPIView, object_of
from tenants.models import Team, VirtualKey


class PerMinuteField(serializers.IntegerField):
    """A whole number that came as one."""

    def __init__(self) -> None:
        super().__init__(min_value=1, max_value=MOST_PER_MINUTE, required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class GranteeSerializer(StrictSerializer[Any]):
    """A team, with all below it, or a virtual key."""

    type = OneOf(["team", "virtual_key"])
    id = StrictCharField(max_length=19)


class RateLimitWriteSerializer(StrictSerializer[Any]):
    scope = GranteeSerializer()
    requests_per_minute = PerMinuteField()
    tokens_per_minute = PerMinuteField()


class AllowanceWriteSerializer(StrictSerializer[Any]):
    """`models`: names as callers write them or canonical ones; an asterisk at the end stands for any ending."""

    scope = GranteeSerializer()
    models = serializers.ListField(child=label(), max_length=MOST_MODELS)


class LadderWriteSerializer(StrictSerializer[Any]):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {"from": label(), "to": label()}


_SCOPE = inline_serializer("GranteeScope", {"type": serializers.CharField(), "id": serializers.CharField()})
_RATE_LIMIT = inline_serializer(
    "RateLimit",
    {
        "id": serializers.CharField(),
        "scope": _SCOPE,
        "requests_per_minute": serializers.IntegerField(allow_null=True),
        "tokens_per_minute": serializers.IntegerField(allow_null=True),
        "changed_at": serializers.DateTimeField(),
    },
)
_ALLOWANCE = inline_serializer(
    "ModelAllowance",
    {
        "id": serializers.CharField(),
        "scope": _SCOPE,
        "models": serializers.ListField(child=serializers.CharField()),
        "changed_at": serializers.DateTimeField(),
    },
)
_STEP = inline_serializer(
    "ModelLadderStep",
    {
        "id": serializers.CharField(),
        "from": serializers.CharField(),
        "to": serializers.CharField(),
        "changed_at": serializers.DateTimeField(),
    },
)


def _page(name: str, row: Any) -> Any:
    return inline_serializer(
        name, {"data": serializers.ListField(child=row), "next": serializers.CharField(allow_null=True)}
    )


class SettingsBase(TenantAPIView):
    """All rows at once: there are as many as teams and keys that something was set on."""

    scopes = {"GET": "budgets:read", "POST": "budgets:write"}
    model: ClassVar[type[RateLimit] | type[ModelAllowance] | type[LadderStep]]

    def rows(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        found = self.model.objects.filter(organization_id=self.caller.organization_id).order_by("id")
        rows = [shape(row) for row in found]
        return page_of(rows, limit=len(rows), cursor=None)

    def grantee(self, scope: dict[str, str]) -> Team | VirtualKey:
        """The team or key; a foreign one is as unknown as one that does not exist."""
        kind: type[Team] | type[VirtualKey] = Team if scope["type"] == "team" else VirtualKey
        found = kind.objects.filter(organization_id=self.caller.organization_id, id=parse_id(scope["id"]) or 0).first()
        if found is None:
            raise invalid(Fault("/scope/id", "unknown_reference", "is not one of this organization"))
        return found


class SettingBase(TenantAPIView):
    scopes = {"DELETE": "budgets:write"}
    model: ClassVar[type[RateLimit] | type[ModelAllowance] | type[LadderStep]]

    def remove(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        setting: Any = object_of(self.model.objects.filter(organization_id=self.caller.organization_id), identifier)
        setting_remove(organization=self.organization(), setting=setting, actor=self.token(), now=timezone.now())
        return Response(status=204)


class RateLimitsView(SettingsBase):
    model = RateLimit

    @extend_schema(
        operation_id="rate_limits_list",
        summary="Rate limits of teams and keys",
        responses={200: _page("RateLimitPage", _RATE_LIMIT), **problems()},
    )
    def get(self, request: Request) -> Response:
        return self.rows(request)

    @extend_schema(
        operation_id="rate_limits_set",
        summary="Limit what may be authorized per minute",
        description="Replaces what was set on the team or key. A team's limit is shared by all below it.",
        request=RateLimitWriteSerializer,
        responses={200: _RATE_LIMIT, 201: _RATE_LIMIT, **problems(400, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        given = _given(request, RateLimitWriteSerializer)
        limit, made = rate_limit_set(
            organization=self.organization(), grantee=self.grantee(given["scope"]),
            requests=given.get("requests_per_minute"), tokens=given.get("tokens_per_minute"), actor=self.token(),
            now=timezone.now(),
        )  # fmt: skip
        return Response(shape(limit), status=201 if made else 200)


class RateLimitView(SettingBase):
    model = RateLimit

    @extend_schema(
        operation_id="rate_limits_remove",
        summary="Limit it no longer",
        responses={204: OpenApiResponse(description="It is gone."), **problems(404)},
    )
    def delete(self, request: Request, identifier: str) -> Response:
        return self.remove(request, identifier)


class AllowancesView(SettingsBase):
    model = ModelAllowance

    @extend_schema(
        operation_id="model_allowances_list",
        summary="Lists of allowed models, of teams and keys",
        responses={200: _page("ModelAllowancePage", _ALLOWANCE), **problems()},
    )
    def get(self, request: Request) -> Response:
        return self.rows(request)

    @extend_schema(
        operation_id="model_allowances_set",
        summary="Allow only these models",
        description="Replaces the list of the team or key. Where a list is set, every other model is refused with 403"
        " `model-not-allowed`; of several that apply (the key's, its team's, those above) each must name the model.",
        request=AllowanceWriteSerializer,
        responses={200: _ALLOWANCE, 201: _ALLOWANCE, **problems(400, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        given = _given(request, AllowanceWriteSerializer)
        allowance, made = allowance_set(
            organization=self.organization(), grantee=self.grantee(given["scope"]), names=given["models"],
            actor=self.token(), now=timezone.now(),
        )  # fmt: skip
        return Response(shape(allowance), status=201 if made else 200)


class AllowanceView(SettingBase):
    model = ModelAllowance

    @extend_schema(
        operation_id="model_allowances_remove",
        summary="Allow every model again",
        responses={204: OpenApiResponse(description="It is gone."), **problems(404)},
    )
    def delete(self, request: Request, identifier: str) -> Response:
        return self.remove(request, identifier)


class LadderView(SettingsBase):
    model = LadderStep

    @extend_schema(
        operation_id="model_ladder_list",
        summary="The cheaper model for each",
        responses={200: _page("ModelLadderPage", _STEP), **problems()},
    )
    def get(self, request: Request) -> Response:
        return self.rows(request)

    @extend_schema(
        operation_id="model_ladder_set",
        summary="Suggest a cheaper model in place of another",
        description="By canonical names. Budgets with the action `degrade` answer `allow_degraded` with it. A step that"
        " leads back to where it began, over whatever others, is refused with the code `loop`.",
        request=LadderWriteSerializer,
        responses={200: _STEP, 201: _STEP, **problems(400, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        given = _given(request, LadderWriteSerializer)
        step, made = ladder_step_set(
            organization=self.organization(), from_model=given["from"], to_model=given["to"], actor=self.token(),
            now=timezone.now(),
        )  # fmt: skip
        return Response(shape(step), status=201 if made else 200)


class LadderStepView(SettingBase):
    model = LadderStep

    @extend_schema(
        operation_id="model_ladder_remove",
        summary="Suggest nothing in its place",
        responses={204: OpenApiResponse(description="It is gone."), **problems(404)},
    )
    def delete(self, request: Request, identifier: str) -> Response:
        return self.remove(request, identifier)


def shape(row: Model) -> dict[str, Any]:
    match row:
        case RateLimit():
            own: dict[str, Any] = {
                "requests_per_minute": row.requests_per_minute, "tokens_per_minute": row.tokens_per_minute,
            }  # fmt: skip
        case ModelAllowance():
            own = {"models": row.names}
        case LadderStep():
            own = {"from": row.from_model, "to": row.to_model}
        case _:
            raise TypeError(row)
    scope = _scope(row) if isinstance(row, Grantee) else {}
    return {"id": str(row.id), **scope, **own, "changed_at": row.changed_at}


def _scope(row: Grantee) -> dict[str, Any]:
    kind, number = ("team", row.team_id) if row.team_id else ("virtual_key", row.virtual_key_id)
    return {"scope": {"type": kind, "id": str(number)}}


def _given(request: Request, kind: type[StrictSerializer[Any]]) -> dict[str, Any]:
    query_parameters(request, frozenset())
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
