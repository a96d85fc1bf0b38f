"""What a budget says when a threshold is crossed."""

from datetime import UTC, datetime

from alerts.services import alert_raise
from budgets.amounts import spoken, to_text
from budgets.crossings import Crossing
from budgets.labels import scope_label, window_label
from budgets.models import Budget, Unit
from budgets.thresholds import Mark, percent
from budgets.windows import ROLLING, TOTAL
from common.periods import Period
from tenants.models import Organization

_SPENT = {Unit.COST: "spent", Unit.TOKENS: "used", Unit.REQUESTS: "used"}


def period_key(budget: Budget, period: Period) -> str:
    """What the dedup keys of all alerts of a budget's calendar window begin with."""
    return f"budget:{budget.id}:{period.start:%Y-%m-%dT%H:%MZ}:"


def budget_crossed(*, crossing: Crossing, organization: Organization, now: datetime) -> None:
    """Raises the alert of a crossing; at most one per budget, window, limit and threshold. A rolling window has no
    begin to be known by: there each crossing is one."""
    budget = crossing.budget
    alert_raise(
        organization_id=organization.id,
        subject=f"budget:{budget.id}",
        kind="budget_threshold",
        dedup_key=_key(crossing, now),
        severity="critical" if crossing.mark is not Mark.FORECAST and crossing.used >= crossing.limit else "warning",
        title=f"{budget.name}: {_title(crossing)}",
        facts=_facts(crossing) | {"link": f"/o/{organization.slug}/budgets/{budget.id}"},
        now=now,
    )


def _key(crossing: Crossing, now: datetime) -> str:
    budget, period = crossing.budget, crossing.period
    if budget.period == ROLLING:
        prefix = f"budget:{budget.id}:{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}:"
    else:
        prefix = period_key(budget, period)
    match crossing.mark:
        case Mark.PERCENT:
            return f"{prefix}{crossing.limit}:{crossing.threshold}"
        case Mark.AMOUNT:
            return f"{prefix}amount:{crossing.threshold}"
        case Mark.FORECAST:
            return f"{prefix}{crossing.limit}:forecast:{crossing.threshold}"


def mark_of_key(dedup_key: str) -> tuple[Mark, int]:
    """The threshold that an alert with this key told of."""
    kind, threshold = dedup_key.split(":")[-2:]
    return Mark(kind) if kind in set(Mark) else Mark.PERCENT, int(threshold)


def _title(crossing: Crossing) -> str:
    unit = crossing.budget.unit
    done = _SPENT[Unit(unit)]
    match crossing.mark:
        case Mark.PERCENT:
            return f"{crossing.threshold}% of the budget is {done}"
        case Mark.AMOUNT:
            return f"{spoken(unit, crossing.threshold)} of the budget are {done}"
        case Mark.FORECAST:
            return f"on course for {crossing.threshold}% of the budget"


def _facts(crossing: Crossing) -> dict[str, str | int | None]:
    budget, period = crossing.budget, crossing.period
    endless = budget.period == TOTAL
    by_amount = crossing.mark is Mark.AMOUNT
    return {
        "budget": budget.name,
        "scope": scope_label(budget),
        "threshold": spoken(budget.unit, crossing.threshold) if by_amount else crossing.threshold,
        "percent": str(percent(crossing.used, crossing.limit)),
        "spent": _amount(budget, crossing.used),
        "limit": _amount(budget, crossing.limit),
        "forecast": None if crossing.forecast is None else spoken(budget.unit, crossing.forecast),
        "period": budget.period if budget.period not in (ROLLING, TOTAL) else window_label(budget, period),
        "period_start": None if endless else period.start.isoformat(),
        "period_end": None if endless else period.end.isoformat(),
        "timezone": budget.timezone,
    }


def _amount(budget: Budget, amount: int) -> str | None:
    """A decimal string of USD, which alerts know to write; tokens and requests as text."""
    return to_text(Unit.COST, amount) if budget.unit == Unit.COST else spoken(budget.unit, amount)
