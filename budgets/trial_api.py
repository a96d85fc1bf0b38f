"""Back-tests over the API: a budget, saved or not, tried on what really happened. Nothing is written."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from budgets.api import draft_of, redraft_of
from budgets.fields import WholeField
from budgets.models import Budget
from budgets.past_use import past_use
from budgets.serializers import BudgetChangeSerializer, BudgetCreateSerializer
from budgets.terms import ActionTerm
from budgets.trial import DAYS, EXACT_OVER_THE_API, MAX_DAYS, MIN_DAYS, budget_try
from budgets.trial_report import report_of
from budgets.trial_serializers import TRIAL, trial_shape
from common.api import problems, query_parameters
from common.strict import StrictCharField
from tenants.api_base import TenantAPIView, object_of

_DESCRIPTION = (
    " Says when each threshold would have been crossed, from when calls would have been stopped, how many, whose, and"
    " the money, for each window of the last `days` local days (1 to 90, 30 by default) and today. What is stopped is"
    " not spent; retries are not modelled. `exact_to` says how exactly. Nothing is written."
)


class TrialCreateSerializer(BudgetCreateSerializer):
    name = StrictCharField(max_length=100, required=False)
    days = WholeField(MIN_DAYS, MAX_DAYS, required=False)


class TrialChangeSerializer(BudgetChangeSerializer):
    limit_from = None  # type: ignore[assignment]
    days = WholeField(MIN_DAYS, MAX_DAYS, required=False)

    def to_internal_value(self, data: Any) -> Any:
        """Nothing given is the budget as it stands."""
        return super().to_internal_value({"days": DAYS} if data == {} else data)


class TrialView(TenantAPIView):
    scopes: ClassVar[dict[str, str]] = {"POST": "budgets:read"}

    @extend_schema(
        operation_id="budgets_backtest",
        summary="Try a budget on the usage of the last days, before it is set",
        description="Takes the body of `POST /api/v1/budgets`." + _DESCRIPTION,
        request=TrialCreateSerializer,
        responses={200: OpenApiResponse(TRIAL), **problems(400, 415)},
    )
    def post(self, request: Request) -> Response:
        query_parameters(request, frozenset())
        serializer = TrialCreateSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        budget, actions = draft_of(given, self.organization(), timezone.now())
        return _answer(budget, actions, given.get("days", DAYS))


class BudgetTrialView(TenantAPIView):
    scopes: ClassVar[dict[str, str]] = {"POST": "budgets:read"}

    @extend_schema(
        operation_id="budgets_backtest_saved",
        summary="Try a budget that is set on the usage of the last days",
        description="As it stands, or with the changes of the body, as of `PATCH /api/v1/budgets/<id>`." + _DESCRIPTION,
        request=TrialChangeSerializer,
        responses={200: OpenApiResponse(TRIAL), **problems(400, 404, 415)},
    )
    def post(self, request: Request, identifier: str) -> Response:
        query_parameters(request, frozenset())
        in_force = Budget.objects.in_force().with_scope().filter(organization_id=self.caller.organization_id)
        budget = object_of(in_force, identifier)
        serializer = TrialChangeSerializer(data=request.data, context={"unit": budget.unit})
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        changed, actions = redraft_of(budget, given, timezone.now())
        return _answer(changed, actions, given.get("days", DAYS))


def _answer(budget: Budget, actions: Sequence[ActionTerm], days: int) -> Response:
    now = timezone.now()
    tried = budget_try(budget=budget, actions=actions, days=days, now=now, exact_up_to=EXACT_OVER_THE_API)
    return Response(trial_shape(report_of(tried), past_use(budget, now=now, limit=budget.limit)))
