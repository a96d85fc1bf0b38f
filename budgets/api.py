"""Budgets over the API."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.limits import limits_now
from budgets.models import Budget, Enforcement, Scope, Unit, WhenUnavailable
from budgets.selectors import BudgetState, states_of, with_overcommits
from budgets.serializers import (
    BUDGET_PAGE,
    DEFAULT_THRESHOLDS,
    BudgetChangeSerializer,
    BudgetCreateSerializer,
    BudgetSerializer,
)
from budgets.services import budget_archive, budget_create, budget_update
from budgets.terms import TERM_FIELDS, ActionTerm, Measure, Terms, terms_of
from budgets.thresholds import Mark
from budgets.trial import budget_drafted, budget_redrafted
from common.api import decode_cursor, encode_cursor, page_limit, page_of, problems, query_parameters
from common.ids import parse_id
from common.preconditions import ETAG, IF_MATCH, etag, names_version
from common.problems import Fault, Problem, invalid
from tenants.api_base import TenantAPIView, object_of
from tenants.models import Organization, Team, VirtualKey

PRECONDITIONS = (
    ' Name the version you saw in `If-Match` (`"3"`, from the ETag), or `*` for whichever it is now: 428 without it,'
    " 412 with the budget as it stands in `current` when somebody else was faster."
)


class BudgetsView(TenantAPIView):
    scopes = {"GET": "budgets:read", "POST": "budgets:write"}

    @extend_schema(
        operation_id="budgets_list",
        summary="Budgets in force, oldest first",
        parameters=[
            OpenApiParameter("limit", int, description="1 to 100"),
            OpenApiParameter("cursor", str, description="`next` of the page before"),
        ],
        responses={200: BUDGET_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(request, frozenset({"limit", "cursor"}))
        limit = page_limit(given)
        (after,) = decode_cursor(given["cursor"], (int,)) if "cursor" in given else (0,)
        found = list(_in_force(self).filter(id__gt=min(after, 2**63 - 1)).order_by("id")[: limit + 1])
        rows = [_shape(state) for state in _states(found, timezone.now())]
        return page_of(rows, limit=limit, cursor=encode_cursor(found[limit - 1].id) if len(found) > limit else None)

    @extend_schema(
        operation_id="budgets_create",
        summary="Set a budget",
        description="It counts the current window from its start (`total`: from today on). Thresholds that were reached"
        " before do not fire. A limit above that of a wider budget of the same unit and kind of window is refused, and"
        " so is one that does not fit beside others in a budget that rules out over-commit.",
        request=BudgetCreateSerializer,
        parameters=[ETAG],
        responses={201: BudgetSerializer, **problems(400, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = BudgetCreateSerializer(data=request.data, context={"unit": _unit(request.data)})
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        organization, now = self.organization(), timezone.now()
        hard = given.get("enforcement") == Enforcement.HARD
        budget = budget_create(
            organization=organization,
            name=given["name"],
            measure=_measure(given, organization),
            limit=given["limit"],
            thresholds=_percentages(given, DEFAULT_THRESHOLDS),
            terms=_terms(given, Terms(when_unavailable=WhenUnavailable.CLOSED if hard else WhenUnavailable.OPEN)),
            actor=self.token(),
            now=now,
        )
        answer = _answer(budget, now, status=201)
        answer["Location"] = f"/api/v1/budgets/{budget.id}"
        return answer


class BudgetView(TenantAPIView):
    scopes = {"GET": "budgets:read", "PATCH": "budgets:write", "DELETE": "budgets:write"}

    @extend_schema(
        operation_id="budgets_get",
        summary="One budget and where it stands",
        parameters=[ETAG],
        responses={200: BudgetSerializer, **problems(404)},
    )
    def get(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        return _answer(object_of(_in_force(self), identifier), timezone.now())

    @extend_schema(
        operation_id="budgets_change",
        summary="Change name, limit or terms",
        description="What a budget measures is fixed: for another scope, unit or period archive it and make another."
        " The limit changes at once, or from `limit_from` on. What is left out stays." + PRECONDITIONS,
        request=BudgetChangeSerializer,
        parameters=[IF_MATCH, ETAG],
        responses={200: BudgetSerializer, **problems(400, 404, 412, 415, 428)},
    )
    def patch(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        budget, now = object_of(_in_force(self), identifier), timezone.now()
        version = _matched(request, budget, now)
        serializer = BudgetChangeSerializer(data=request.data, context={"unit": budget.unit})
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        try:
            changed = budget_update(
                organization=self.organization(),
                budget=budget,
                version=version,
                name=given.get("name", budget.name),
                limit=given.get("limit"),
                limit_from=given.get("limit_from"),
                thresholds=_percentages(given, budget.thresholds),
                terms=_terms(given, terms_of(budget)),
                actor=self.token(),
                now=now,
            )
        except Problem as problem:
            raise _stale(self, identifier, now) if problem.slug == "stale-write" else problem from problem
        return _answer(changed, now)

    @extend_schema(
        operation_id="budgets_archive",
        summary="Take a budget out of force",
        description="It stops counting; its history stays." + PRECONDITIONS,
        parameters=[IF_MATCH],
        responses={204: OpenApiResponse(description="It is out of force."), **problems(404, 412, 428)},
    )
    def delete(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        budget, now = object_of(_in_force(self), identifier), timezone.now()
        version = _matched(request, budget, now)
        try:
            budget_archive(
                organization=self.organization(), budget=budget, version=version, actor=self.token(), now=now
            )
        except Problem as problem:
            raise _stale(self, identifier, now) if problem.slug == "stale-write" else problem from problem
        return Response(status=204)


def _in_force(view: TenantAPIView) -> QuerySet[Budget]:
    return Budget.objects.in_force().with_scope().filter(organization_id=view.caller.organization_id)


def _states(budgets: Sequence[Budget], now: datetime) -> list[BudgetState]:
    if not budgets:
        return []
    return with_overcommits(states_of(budgets, now), budgets[0].organization_id, now)


def _shape(state: BudgetState) -> dict[str, Any]:
    return dict(BudgetSerializer(state).data)


def _answer(budget: Budget, now: datetime, *, status: int = 200) -> Response:
    (state,) = _states([budget], now)
    answer = Response(_shape(state), status=status)
    answer["ETag"] = etag(budget.version)
    return answer


def _matched(request: Request, budget: Budget, now: datetime) -> int:
    """The version that the caller means to change; Problem 428 without If-Match, 412 when it is not this one."""
    if not names_version(request, budget.version):
        raise _stale_problem(budget, now)
    return budget.version


def _stale(view: TenantAPIView, identifier: str, now: datetime) -> Problem:
    return _stale_problem(object_of(_in_force(view), identifier), now)


def _stale_problem(budget: Budget, now: datetime) -> Problem:
    (state,) = _states([budget], now)
    return Problem(
        "stale-write",
        "Somebody else changed this budget since; `current` is how it stands.",
        headers={"ETag": etag(budget.version)},
        extra={"current": _shape(state)},
    )


def _unit(body: Any) -> str:
    """The unit that a body names; one that is not known is refused with the rest of it."""
    unit = body.get("unit") if isinstance(body, dict) else None
    return str(unit) if unit in list(Unit.values) else Unit.COST


def _measure(given: dict[str, Any], organization: Organization) -> Measure:
    scope, period = given["scope"], given["period"]
    return Measure(
        scope_type=scope["type"],
        team=_team(scope, organization),
        virtual_key=_named(VirtualKey, Scope.VIRTUAL_KEY, scope, organization),
        value=scope.get("value", ""),
        tag_name=scope.get("tag_name", ""),
        unit=given.get("unit", Unit.COST),
        period=period["type"],
        timezone=period.get("timezone", organization.timezone),
        week_start=period.get("week_start", "monday"),
        fiscal_year_start_month=period.get("fiscal_year_start_month", 1),
        rolling_days=period.get("days"),
    )


def _team(scope: dict[str, Any], organization: Organization) -> Team | None:
    """The team to limit, or to look within."""
    if "team" not in scope:
        return _named(Team, Scope.TEAM, scope, organization)  # type: ignore[no-any-return]
    found = Team.objects.filter(organization=organization, id=parse_id(scope["team"]) or 0).first()
    if found is None:
        raise invalid(Fault("/scope/team", "unknown_reference", "is not a team of this organization"))
    return found


def _named(model: type[Any], kind: Scope, scope: dict[str, Any], organization: Organization) -> Any:
    """The team or key that the scope names; a foreign one is as unknown as one that does not exist."""
    if scope["type"] == Scope.ORGANIZATION and scope.get("id", str(organization.id)) != str(organization.id):
        raise invalid(Fault("/scope/id", "unknown_reference", "is not this organization; leave it out"))
    if scope["type"] != kind:
        return None
    found = model.objects.filter(organization=organization, id=parse_id(scope["id"])).first()
    if found is None:
        raise invalid(Fault("/scope/id", "unknown_reference", f"is not a {kind.label.lower()} of this organization"))
    return found


def _percentages(given: dict[str, Any], otherwise: Sequence[int]) -> list[int]:
    return _of_mark(given, Mark.PERCENT, otherwise)


def _of_mark(given: dict[str, Any], mark: Mark, otherwise: Sequence[int]) -> list[int]:
    """The thresholds of a kind among those given."""
    if "thresholds" not in given:
        return list(otherwise)
    return [value for kind, value in given["thresholds"] if kind is mark]


def _terms(given: dict[str, Any], before: Terms) -> Terms:
    """The terms with what was given in place of what was."""
    changed = {name: given[name] for name in TERM_FIELDS if name in given}
    if "rollover" in given:
        changed["rollover_max"] = None if given["rollover"] is None else given["rollover"]["max"]
    if "actions" in given:
        changed["actions"] = tuple(ActionTerm(**each) for each in given["actions"])
    return replace(
        before,
        threshold_amounts=_of_mark(given, Mark.AMOUNT, before.threshold_amounts),
        forecast_thresholds=_of_mark(given, Mark.FORECAST, before.forecast_thresholds),
        **changed,
    )


def draft_of(given: dict[str, Any], organization: Organization, now: datetime) -> tuple[Budget, Sequence[ActionTerm]]:
    """The budget that a body describes, and its actions, without saving it."""
    terms = _terms(given, Terms())
    budget = budget_drafted(
        organization=organization,
        measure=_measure(given, organization),
        limit=given["limit"],
        thresholds=_percentages(given, DEFAULT_THRESHOLDS),
        terms=terms,
        now=now,
    )
    return budget, terms.actions


def redraft_of(budget: Budget, given: dict[str, Any], now: datetime) -> tuple[Budget, Sequence[ActionTerm]]:
    """The budget with the changes of a body, and its actions, without saving them."""
    terms = _terms(given, terms_of(budget))
    changed = budget_redrafted(
        budget=budget,
        limit=given.get("limit") or limits_now([budget], now)[budget.id],
        thresholds=_percentages(given, budget.thresholds),
        terms=terms,
        now=now,
    )
    return changed, terms.actions
