"""The shapes of explanations and refusals over the API."""

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from budgets.amounts import to_text
from budgets.explain import Explanation
from budgets.models import Action, BudgetAction, Enforcement, LimitKind, Scope, Unit
from budgets.reasons import easing, why_not
from budgets.refusals import Refused
from budgets.reservations.models import Reason
from budgets.verdict import Obstacle, Standing
from budgets.windows import TOTAL
from common.money import to_usd
from tenants.models import VirtualKey

_AMOUNT = "in the budget's unit: USD as a decimal string, or a whole number as one"


def _text(**options: Any) -> serializers.CharField:
    return serializers.CharField(**options)


_NAMED = {"id": _text(), "name": _text()}
_NUMBERS = ("limit", "spent", "reserved", "requested")

ACTION = inline_serializer(
    "ExplainedAction",
    {
        "at_percent": serializers.IntegerField(),
        "action": serializers.ChoiceField(Action.values),
        "requests_per_minute": serializers.IntegerField(allow_null=True),
        "tokens_per_minute": serializers.IntegerField(allow_null=True),
        "reached": serializers.BooleanField(),
    },
    many=True,
)
STANDING = inline_serializer(
    "ExplainedBudget",
    {
        **_NAMED,
        "scope": inline_serializer(
            "ExplainedScope",
            {
                "type": serializers.ChoiceField(Scope.choices),
                "id": _text(allow_null=True),
                "value": _text(allow_null=True),
                "tag": _text(allow_null=True),
                "within": _text(allow_null=True, help_text="the id of the team that a value is looked for in"),
            },
        ),
        "unit": serializers.ChoiceField(Unit.values),
        "enforcement": serializers.ChoiceField(Enforcement.values),
        "shadow": serializers.BooleanField(help_text="refuses nothing; reports what it would have refused"),
        "paused_until": serializers.DateTimeField(allow_null=True),
        "limit": _text(help_text=f"in force at that moment; {_AMOUNT}"),
        "added": inline_serializer(
            "ExplainedExtra",
            {
                "kind": serializers.ChoiceField(LimitKind.choices),
                "amount": _text(),
                "until": serializers.DateTimeField(allow_null=True),
                "reason": _text(),
            },
            many=True,
        ),
        "used": _text(),
        "reserved": _text(allow_null=True, help_text="held by calls in flight; null: not known"),
        "left": _text(help_text="negative once the limit was passed"),
        "unpriced_requests": serializers.IntegerField(help_text="not in `used`, because their cost is not known"),
        "window": inline_serializer(
            "ExplainedWindow", {"start": serializers.DateTimeField(), "end": serializers.DateTimeField()}
        ),
        "resets_at": serializers.DateTimeField(allow_null=True, help_text="null: one total, for ever"),
        "timezone": _text(),
        "actions": ACTION,
    },
    many=True,
)
REASON = inline_serializer(
    "ExplainedReason",
    {
        "reason": serializers.ChoiceField(Reason.choices),
        "detail": _text(),
        "budget": inline_serializer("ExplainedReasonBudget", dict(_NAMED), allow_null=True),
        "binds": serializers.BooleanField(help_text="false: a budget in shadow or paused, which refuses nothing"),
        "needed": _text(allow_null=True),
    },
    many=True,
)
EXPLANATION = inline_serializer(
    "Explanation",
    {
        "at": serializers.DateTimeField(),
        "virtual_key": inline_serializer("ExplainedKey", dict(_NAMED)),
        "team": inline_serializer("ExplainedTeam", dict(_NAMED)),
        "call": inline_serializer(
            "ExplainedCall",
            {
                **{name: _text() for name in ("provider", "model", "customer", "feature", "agent", "user")},
                "tags": serializers.DictField(child=_text()),
                "input_tokens": serializers.IntegerField(),
                "max_output_tokens": serializers.IntegerField(),
                "cost": _text(allow_null=True, help_text="what it would hold, in USD; null: no price is known"),
            },
        ),
        "allowed": serializers.BooleanField(),
        "reasons": REASON,
        "eased": serializers.ListField(child=_text(), help_text="what is asked of calls that are allowed"),
        "budgets": STANDING,
        "rate_limits": inline_serializer(
            "ExplainedRate",
            {
                "on": serializers.ChoiceField(["team", "virtual_key"]),
                "id": _text(),
                "requests_per_minute": serializers.IntegerField(allow_null=True),
                "tokens_per_minute": serializers.IntegerField(allow_null=True),
            },
            many=True,
        ),
        "may_raise": inline_serializer("ExplainedPerson", {"email": _text(), "role": _text()}, many=True),
        "unknown": serializers.ListField(child=_text(), help_text="what cannot be said of that moment"),
    },
)
REFUSAL_FIELDS: dict[str, Any] = {
    "id": _text(),
    "request_id": _text(),
    "at": serializers.DateTimeField(),
    "reason": serializers.ChoiceField(Reason.choices),
    "detail": _text(),
    "shadow": serializers.BooleanField(help_text="it was let through: the budget only tries out what it would do"),
    "virtual_key": inline_serializer("RefusalKey", {"id": _text(), "name": _text(allow_null=True)}),
    "budget": inline_serializer(
        "RefusalBudget",
        {
            **_NAMED,
            "unit": serializers.ChoiceField(Unit.values),
            **{name: _text(allow_null=True) for name in _NUMBERS},
        },
        allow_null=True,
    ),
    "call": serializers.DictField(help_text="who called for what, as it was asked"),
    "details": serializers.DictField(help_text="the numbers as they were written down; amounts are whole numbers"),
}
REFUSAL_LIST = inline_serializer(
    "RefusalPage",
    {"data": inline_serializer("Refusal", REFUSAL_FIELDS, many=True), "next": _text(allow_null=True)},
)
REFUSED_REQUEST = inline_serializer(
    "RefusedRequest",
    {
        "request_id": _text(),
        "refused": serializers.BooleanField(help_text="false: only budgets in shadow would have refused it"),
        "reasons": inline_serializer("RefusedReason", REFUSAL_FIELDS, many=True),
    },
)


def explanation_shape(found: Explanation) -> dict[str, Any]:
    question, key = found.question, found.question.key
    return {
        "at": question.at,
        "virtual_key": {"id": str(key.id), "name": key.name},
        "team": {"id": str(key.team_id), "name": key.team.name},
        "call": _call(found),
        "allowed": found.verdict.allowed,
        "reasons": [_reason(obstacle) for obstacle in found.verdict.obstacles],
        "eased": [easing(standing, action) for standing, action in found.verdict.eased],
        "budgets": [_standing(standing) for standing in found.standings],
        "rate_limits": [
            {
                "on": "team" if rate.team_id else "virtual_key",
                "id": str(rate.team_id or rate.virtual_key_id),
                "requests_per_minute": rate.requests_per_minute,
                "tokens_per_minute": rate.tokens_per_minute,
            }
            for rate in found.rates
        ],
        "may_raise": [{"email": person.user.email, "role": person.role} for person in found.may_raise],
        "unknown": found.unknown,
    }


def _call(found: Explanation) -> dict[str, Any]:
    question, subject = found.question, found.question.subject
    return {
        "provider": subject.provider,
        "model": subject.model,
        "customer": subject.customer,
        "feature": subject.feature,
        "agent": subject.agent,
        "user": subject.user,
        "tags": dict(subject.tags),
        "input_tokens": question.input_tokens,
        "max_output_tokens": question.max_output_tokens,
        "cost": to_usd(found.ask.cost),
    }


def _reason(obstacle: Obstacle) -> dict[str, Any]:
    budget = obstacle.standing.budget if obstacle.standing else None
    return {
        "reason": obstacle.reason.value,
        "detail": why_not(obstacle),
        "budget": {"id": str(budget.id), "name": budget.name} if budget else None,
        "binds": obstacle.binds,
        "needed": to_text(budget.unit, obstacle.needed) if budget else None,
    }


def _standing(standing: Standing) -> dict[str, Any]:
    budget = standing.budget
    return {
        "id": str(budget.id),
        "name": budget.name,
        "scope": {
            "type": budget.scope_type,
            "id": None if budget.value else str(budget.scope.id),
            "value": budget.value or None,
            "tag": budget.tag_name or None,
            "within": str(budget.team_id) if budget.value and budget.team_id else None,
        },
        "unit": budget.unit,
        "enforcement": budget.enforcement,
        "shadow": budget.shadow,
        "paused_until": budget.paused_until if standing.paused else None,
        "limit": to_text(budget.unit, standing.limit),
        "added": [
            {
                "kind": extra.kind,
                "amount": to_text(budget.unit, extra.amount),
                "until": extra.ends_at,
                "reason": extra.reason,
            }
            for extra in standing.extras
        ],
        "used": to_text(budget.unit, standing.amount),
        "reserved": to_text(budget.unit, standing.reserved),
        "left": to_text(budget.unit, standing.left),
        "unpriced_requests": standing.used.unpriced_requests,
        "window": {"start": standing.window.start, "end": standing.window.end},
        "resets_at": None if budget.period == TOTAL else standing.window.end,
        "timezone": budget.timezone,
        "actions": [_action(standing, action) for action in standing.actions],
    }


def _action(standing: Standing, action: BudgetAction) -> dict[str, Any]:
    return {
        "at_percent": action.at_percent,
        "action": action.action,
        "requests_per_minute": action.requests_per_minute,
        "tokens_per_minute": action.tokens_per_minute,
        "reached": action in standing.reached,
    }


def refusal_shape(refused: Refused) -> dict[str, Any]:
    refusal, budget = refused.refusal, refused.budget
    return {
        "id": str(refusal.id),
        "request_id": refusal.request_id,
        "at": refusal.at,
        "reason": refusal.reason,
        "detail": refused.sentence,
        "shadow": refusal.shadow,
        "virtual_key": _key(refusal.virtual_key_id, refused.key),
        "budget": None
        if budget is None
        else {
            "id": str(budget.id),
            "name": budget.name,
            "unit": budget.unit,
            **{name: to_text(budget.unit, getattr(refused.numbers, name)) for name in _NUMBERS},
        },
        "call": refusal.subject,
        "details": refusal.details,
    }


def _key(key_id: int, key: VirtualKey | None) -> dict[str, str | None]:
    return {"id": str(key_id), "name": key.name if key else None}
