"""Prices over the API: the list with an organization's own prices beside it, the rules behind those, flat fees."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from common.api import decode_cursor, encode_cursor, page_limit, page_of, problems, query_parameters
from common.ids import parse_id
from common.problems import Fault, invalid
from pricing.drafts import Draft
from pricing.models import Commitment, ListPrice, PriceRule
from pricing.normalize import normalize
from pricing.rules import Rule, winning_rule
from pricing.selectors import price_list, rules_of
from pricing.serializers import (
    COMMITMENT_PAGE,
    PRICE_PAGE,
    RULE_PAGE,
    CommitmentSerializer,
    CommitmentStopSerializer,
    CommitmentWriteSerializer,
    PriceSerializer,
    RuleEndSerializer,
    RuleSerializer,
    RuleWriteSerializer,
    StrictMomentField,
)
from pricing.services import FeeDraft, commitment_add, commitment_stop, rule_add, rule_end
from pricing.terms import TIERS
from tenants.api_base import TenantAPIView, object_of
from tenants.models import Team

PAGES = [
    OpenApiParameter("limit", int, description="1 to 100"),
    OpenApiParameter("cursor", str, description="`next` of the page before"),
]
_LARGEST_ID = 2**63 - 1


class PricesView(TenantAPIView):
    scopes = {"GET": "prices:read"}

    @extend_schema(
        operation_id="prices_list",
        summary="Prices in force, by provider, model and service tier",
        description="Dated list prices with their source, and beside each what a rule of the organization's own makes"
        " of it (`contract`). USD per 1,000,000 units.",
        parameters=[
            OpenApiParameter("search", str, description="words that `provider/model` contains, up to 100 characters"),
            OpenApiParameter("provider", str, description="any spelling of its name"),
            OpenApiParameter("service_tier", str, enum=list(TIERS)),
            OpenApiParameter("at", str, description="RFC 3339 time; without it: now"),
            *PAGES,
        ],
        responses={200: PRICE_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, frozenset({"search", "provider", "service_tier", "at", "limit", "cursor"}))
        limit, at = page_limit(given), _moment(given)
        tier = given.get("service_tier", "")
        if tier and tier not in TIERS:
            raise invalid(Fault("/service_tier", "invalid", f"must be one of {', '.join(TIERS)}"))
        provider = normalize(_text(given, "provider"), "")[0] if "provider" in given else ""
        prices = price_list(at, _text(given, "search"), provider=provider, tier=tier)
        found = list(prices.filter(_after(given.get("cursor")))[: limit + 1])
        rules = rules_of(self.caller.organization_id)
        rows = [dict(PriceSerializer(_with_contract(price, rules, at)).data) for price in found]
        return page_of(rows, limit=limit, cursor=_position(found[limit - 1]) if len(found) > limit else None)


class RulesView(TenantAPIView):
    scopes = {"GET": "prices:read", "POST": "prices:write"}

    @extend_schema(
        operation_id="price_rules_list",
        summary="Rules of the organization's price book, newest first",
        parameters=PAGES,
        responses={200: RULE_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        return _newest_first(self, request, PriceRule, RuleSerializer)

    @extend_schema(
        operation_id="price_rules_add",
        summary="Add a rule",
        description="It counts for usage that is settled from now on; what was charged stays until it is repriced."
        " Rules never change: end one and add another. Of several, the most specific model counts, then the provider,"
        " then the service tier, then the newest. Prices 100 times off the known ones are refused with"
        " `price-implausible` until `confirm` is true.",
        request=RuleWriteSerializer,
        responses={201: RuleSerializer, **problems(400, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = RuleWriteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given, now = dict(serializer.validated_data), timezone.now()
        confirmed, tier = given.pop("confirm", False), given.pop("service_tier", "")
        try:
            rule = rule_add(
                organization=self.organization(),
                draft=Draft(tier=tier, **given),
                actor=self.token(),
                now=now,
                confirmed=confirmed,
            )
        except ValidationError as error:
            raise _by_wire_name(error, {"tier": "service_tier"}) from error
        return _made(rule, RuleSerializer, now)


class RuleEndView(TenantAPIView):
    scopes = {"POST": "prices:write"}

    @extend_schema(
        operation_id="price_rules_end",
        summary="End a rule",
        description="Now or later, never in the past; a rule that is not yet in force is withdrawn.",
        request=RuleEndSerializer,
        responses={200: RuleSerializer, **problems(400, 404, 409, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        organization, now = self.organization(), timezone.now()
        rule = object_of(PriceRule.objects.filter(organization=organization), identifier)
        at = _given_moment(RuleEndSerializer(data=request.data))
        ended = rule_end(organization=organization, rule=rule, at=at, actor=self.token(), now=now)
        return Response(RuleSerializer(ended, context={"now": now}).data)


class CommitmentsView(TenantAPIView):
    scopes = {"GET": "prices:read", "POST": "prices:write"}

    @extend_schema(
        operation_id="commitments_list",
        summary="Flat fees, newest first",
        parameters=PAGES,
        responses={200: COMMITMENT_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        return _newest_first(self, request, Commitment, CommitmentSerializer)

    @extend_schema(
        operation_id="commitments_add",
        summary="Add a flat fee",
        description="For committed use or provisioned capacity: spread over the hours of its period, exactly.",
        request=CommitmentWriteSerializer,
        responses={201: CommitmentSerializer, **problems(400, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = CommitmentWriteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given, now = dict(serializer.validated_data), timezone.now()
        organization = self.organization()
        team = _team(organization.id, given.pop("team"))
        defaults: dict[str, Any] = {"model": "", "last_day": None}
        draft = FeeDraft(team=team, **(defaults | given))
        made = commitment_add(organization=organization, draft=draft, actor=self.token(), now=now)
        return _made(made, CommitmentSerializer, now)


class CommitmentStopView(TenantAPIView):
    scopes = {"POST": "prices:write"}

    @extend_schema(
        operation_id="commitments_end",
        summary="Stop a flat fee",
        description="Hours that begin then or later cost nothing; what is booked stays booked.",
        request=CommitmentStopSerializer,
        responses={200: CommitmentSerializer, **problems(400, 404, 409, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        organization, now = self.organization(), timezone.now()
        commitment = object_of(Commitment.objects.filter(organization=organization), identifier)
        at = _given_moment(CommitmentStopSerializer(data=request.data))
        stopped = commitment_stop(organization=organization, commitment=commitment, at=at, actor=self.token(), now=now)
        return Response(CommitmentSerializer(stopped).data)


def _newest_first(view: TenantAPIView, request: Request, model: Any, serializer: Any) -> Response:
    given = query_parameters(request, frozenset({"limit", "cursor"}))
    limit = page_limit(given)
    (before,) = decode_cursor(given["cursor"], (int,)) if "cursor" in given else (_LARGEST_ID,)
    own = model.objects.filter(organization=view.caller.organization_id)
    found = list(own.filter(id__lt=max(0, min(before, _LARGEST_ID))).order_by("-id")[: limit + 1])
    rows = [dict(serializer(each, context={"now": timezone.now()}).data) for each in found]
    return page_of(rows, limit=limit, cursor=encode_cursor(found[limit - 1].id) if len(found) > limit else None)


def _made(made: Any, serializer: Any, now: datetime) -> Response:
    return Response(serializer(made, context={"now": now}).data, status=201)


def _given_moment(serializer: Any) -> datetime | None:
    serializer.is_valid(raise_exception=True)
    at: datetime | None = serializer.validated_data.get("at")
    return at


def _moment(given: dict[str, str]) -> datetime:
    if "at" not in given:
        return timezone.now()
    try:
        moment: datetime = StrictMomentField().run_validation(given["at"])
    except serializers.ValidationError as error:
        raise invalid(
            Fault("/at", "invalid", "must be a time with its offset, such as 2026-12-01T00:00:00Z")
        ) from error
    return moment


def _text(given: dict[str, str], name: str) -> str:
    text = given.get(name, "")
    if len(text) > 100 or not text.isprintable():
        raise invalid(Fault(f"/{name}", "invalid", "must be up to 100 printable characters"))
    return text


def _after(cursor: str | None) -> Q:
    if cursor is None:
        return Q()
    provider, model, tier = decode_cursor(cursor, (str, str, str))
    if not all(part.isprintable() for part in (provider, model, tier)):
        raise invalid(Fault("/cursor", "invalid", "is not a cursor"))
    return (
        Q(model__provider_id__gt=provider)
        | Q(model__provider_id=provider, model__name__gt=model)
        | Q(model__provider_id=provider, model__name=model, tier__gt=tier)
    )


def _position(price: ListPrice) -> str:
    return encode_cursor(price.model.provider_id, price.model.name, price.tier)


def _with_contract(price: ListPrice, rules: list[Rule], at: datetime) -> ListPrice:
    """The price with `contract` beside it, for its serializer."""
    rule = winning_rule(
        rules,
        provider=price.model.provider_id,
        model=price.model.name,
        tier=price.tier,
        at=at,
        listed=bool(price.units),
    )
    contract = None
    if rule is not None:
        units, tiers = rule.prices(price.units, price.tiers)
        contract = {"rule_id": rule.id, "kind": rule.kind.value, "units": units, "tiers": tiers}
    price.contract = contract  # type: ignore[attr-defined]
    return price


def _team(organization_id: int, identifier: str) -> Team:
    found = Team.objects.filter(organization=organization_id, id=parse_id(identifier) or 0).first()
    if found is None:
        raise invalid(Fault("/team", "unknown_reference", "is not a team of this organization"))
    return found


def _by_wire_name(error: ValidationError, names: dict[str, str]) -> ValidationError:
    """The service's refusal under the names that the API has for its fields."""
    if not hasattr(error, "error_dict"):
        return error
    return ValidationError({names.get(name, name): errors for name, errors in error.error_dict.items()})
