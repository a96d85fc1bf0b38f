"""What a budget measures, which is fixed, and the terms it has, which may change; as they come in, and checked.

Amounts are in the budget's unit. What is refused is a ValidationError under the name of the field as the API has it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError

from budgets.amounts import spoken_exact
from budgets.models import (
    MAX_LIMIT,
    VALUE_SCOPES,
    AbandonedPolicy,
    Action,
    Budget,
    BudgetAction,
    Enforcement,
    Scope,
    Unit,
    UnpricedPolicy,
    WhenUnavailable,
)
from budgets.windows import ROLLING, TOTAL
from pricing.normalize import normalize
from tenants.models import Team, VirtualKey

MAX_THRESHOLDS = 10
MAX_THRESHOLD = 100
MAX_FORECAST = 1000
MAX_ACTIONS = 10
MAX_RATE = 10**9
LONGEST_PAUSE = timedelta(days=90)
MAX_GRACE_SECONDS = 86_400
DAYS = (2, 366)
_TAG_NAME = re.compile(r"[a-z0-9_]{1,40}")
_LABEL = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True, slots=True)
class Measure:
    """What a budget measures. For a value scope `team` is where it looks, with the teams below; None: everywhere."""

    scope_type: str
    team: Team | None
    virtual_key: VirtualKey | None
    period: str
    timezone: str
    week_start: str = "monday"
    unit: str = Unit.COST
    value: str = ""
    tag_name: str = ""
    fiscal_year_start_month: int = 1
    rolling_days: int | None = None


@dataclass(frozen=True, slots=True)
class ActionTerm:
    """What happens from a part of the limit on; rates per minute are for throttling."""

    at_percent: int
    action: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything else that may change besides name, limit and percentages."""

    enforcement: str = Enforcement.SOFT
    shadow: bool = False
    when_unavailable: str = WhenUnavailable.OPEN
    grace_seconds: int = 300
    unpriced: str = UnpricedPolicy.ALLOW
    abandoned: str = AbandonedPolicy.INPUT
    rollover_max: int | None = None
    overcommit: bool = True
    threshold_amounts: Sequence[int] = ()
    forecast_thresholds: Sequence[int] = ()
    paused_until: datetime | None = None
    actions: Sequence[ActionTerm] = ()


# The columns of a budget that are terms.
TERM_FIELDS = tuple(name for name in Terms.__slots__ if name != "actions")


def terms_of(budget: Budget) -> Terms:
    """The terms as they stand. One query."""
    return Terms(**{name: getattr(budget, name) for name in TERM_FIELDS}, actions=actions_of([budget])[budget.id])


def actions_of(budgets: Sequence[Budget]) -> dict[int, list[ActionTerm]]:
    """Budget id → what happens at parts of it, from the first part on. One query."""
    found: dict[int, list[ActionTerm]] = {budget.id: [] for budget in budgets}
    rows = BudgetAction.objects.filter(
        organization_id__in={budget.organization_id for budget in budgets}, budget_id__in=found
    )
    for row in rows.order_by("at_percent", "action"):
        found[row.budget_id].append(
            ActionTerm(row.at_percent, row.action, row.requests_per_minute, row.tokens_per_minute)
        )
    return found


def measure_checked(measure: Measure) -> dict[str, Any]:
    """The columns of a budget that say what it measures, the zone apart."""
    if (measure.period == ROLLING) != (measure.rolling_days is not None):
        raise ValidationError({"period": "A rolling window says of how many days, and no other does."})
    if measure.rolling_days is not None and not DAYS[0] <= measure.rolling_days <= DAYS[1]:
        raise ValidationError({"period": f"A rolling window has from {DAYS[0]} to {DAYS[1]} days."})
    return {
        "scope_type": measure.scope_type,
        "team": measure.team,
        "virtual_key": measure.virtual_key,
        "value": _value_checked(measure),
        "tag_name": measure.tag_name,
        "unit": measure.unit,
        "period": measure.period,
        "week_start": measure.week_start,
        "fiscal_year_start_month": measure.fiscal_year_start_month,
        "rolling_days": measure.rolling_days,
    }


def _value_checked(measure: Measure) -> str:
    """The value as usage carries it: the canonical name of a model, anything else as it is."""
    if measure.scope_type not in VALUE_SCOPES:
        return measure.value
    value = normalize("", measure.value)[1] if measure.scope_type == Scope.MODEL else measure.value
    if _LABEL.fullmatch(value) is None:
        raise ValidationError({"value": "Name what it limits, in up to 200 characters without control characters."})
    if measure.scope_type == Scope.TAG and _TAG_NAME.fullmatch(measure.tag_name) is None:
        raise ValidationError({"tag_name": "A tag's name has up to 40 small letters, digits and underscores."})
    return value


def thresholds_checked(thresholds: Sequence[int]) -> list[int]:
    """Whole percentages, ascending."""
    if len(thresholds) > MAX_THRESHOLDS or len(set(thresholds)) < len(thresholds):
        raise ValidationError({"thresholds": f"Up to {MAX_THRESHOLDS} different percentages."})
    if not all(1 <= threshold <= MAX_THRESHOLD for threshold in thresholds):
        raise ValidationError({"thresholds": f"A threshold is a whole percentage from 1 to {MAX_THRESHOLD}."})
    return sorted(thresholds)


def limit_checked(limit: int, unit: str) -> int:
    if not 0 < limit <= MAX_LIMIT:
        most = "1,000,000,000 USD" if unit == Unit.COST else spoken_exact(unit, MAX_LIMIT)
        raise ValidationError({"limit": f"The limit must be more than 0 and at most {most}."})
    return limit


def terms_checked(terms: Terms, *, period: str, now: datetime, before: Terms | None = None) -> dict[str, Any]:
    """The columns of a budget that are terms. `before`: as they stand, for a change."""
    endless = period in (ROLLING, TOTAL)
    _check_amounts(terms.threshold_amounts)
    _check_forecasts(terms.forecast_thresholds, endless)
    if terms.rollover_max is not None and (endless or not 0 < terms.rollover_max <= MAX_LIMIT):
        refused = "Nothing is left over at the end of a window that has none." if endless else "More than 0, or none."
        raise ValidationError({"rollover": refused})
    if not 0 <= terms.grace_seconds <= MAX_GRACE_SECONDS:
        raise ValidationError({"grace_seconds": f"From 0 to {MAX_GRACE_SECONDS} seconds."})
    changed = before is None or before.paused_until != terms.paused_until
    if changed and terms.paused_until is not None and not now < terms.paused_until <= now + LONGEST_PAUSE:
        raise ValidationError({"paused_until": f"A pause ends in the future, within {LONGEST_PAUSE.days} days."})
    _check_actions(terms.actions)
    columns = {name: getattr(terms, name) for name in TERM_FIELDS}
    return columns | {
        "threshold_amounts": sorted(terms.threshold_amounts),
        "forecast_thresholds": sorted(terms.forecast_thresholds),
    }


def _check_amounts(amounts: Sequence[int]) -> None:
    if len(amounts) > MAX_THRESHOLDS or len(set(amounts)) < len(amounts):
        raise ValidationError({"thresholds": f"Up to {MAX_THRESHOLDS} different amounts."})
    if not all(0 < amount <= MAX_LIMIT for amount in amounts):
        raise ValidationError({"thresholds": "An amount is more than 0 and no more than a limit may be."})


def _check_forecasts(forecasts: Sequence[int], endless: bool) -> None:
    if len(forecasts) > MAX_THRESHOLDS or len(set(forecasts)) < len(forecasts):
        raise ValidationError({"thresholds": f"Up to {MAX_THRESHOLDS} different percentages of the forecast."})
    if not all(1 <= forecast <= MAX_FORECAST for forecast in forecasts):
        raise ValidationError({"thresholds": f"A forecast is a whole percentage from 1 to {MAX_FORECAST}."})
    if forecasts and endless:
        raise ValidationError({"thresholds": "There is no forecast for a window without an end."})


def _check_actions(actions: Sequence[ActionTerm]) -> None:
    if len(actions) > MAX_ACTIONS or len({(each.at_percent, each.action) for each in actions}) < len(actions):
        raise ValidationError({"actions": f"Up to {MAX_ACTIONS} different actions."})
    for each in actions:
        rates = [rate for rate in (each.requests_per_minute, each.tokens_per_minute) if rate is not None]
        if each.action not in Action.values or not 1 <= each.at_percent <= MAX_THRESHOLD:
            raise ValidationError({"actions": f"An action begins at 1 to {MAX_THRESHOLD} percent of the limit."})
        if bool(rates) != (each.action == Action.THROTTLE):
            raise ValidationError({"actions": "To throttle says to how much per minute; no other action does."})
        if not all(1 <= rate <= MAX_RATE for rate in rates):
            raise ValidationError({"actions": f"From 1 to {MAX_RATE} per minute."})
