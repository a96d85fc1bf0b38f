"""What a budget says when a threshold is crossed."""

from datetime import datetime

from alerts.services import alert_raise
from budgets.ledger import Crossing
from budgets.models import Budget
from budgets.thresholds import percent
from common.money import to_usd
from common.periods import Period
from tenants.models import Organization


def period_key(budget: Budget, period: Period) -> str:
    """What the dedup keys of all alerts of a budget's period begin with."""
    return f"budget:{budget.id}:{period.start:%Y-%m-%dT%H:%MZ}:"


def budget_crossed(*, crossing: Crossing, organization: Organization, now: datetime) -> None:
    """Raises the alert of a crossing; at most one per budget, period, limit and threshold."""
    budget, period = crossing.budget, crossing.period
    alert_raise(
        organization_id=organization.id,
        kind="budget_threshold",
        dedup_key=f"{period_key(budget, period)}{budget.limit}:{crossing.threshold}",
        severity="critical" if crossing.threshold >= 100 else "warning",
        title=f"{budget.name}: {crossing.threshold}% of the budget is spent",
        facts={
            "budget": budget.name,
            "scope": str(budget.scope),
            "threshold": crossing.threshold,
            "percent": str(percent(crossing.spent, budget.limit)),
            "spent": to_usd(crossing.spent),
            "limit": to_usd(budget.limit),
            "period": budget.period,
            "period_start": period.start.isoformat(),
            "period_end": period.end.isoformat(),
            "timezone": budget.timezone,
            "link": f"/o/{organization.slug}/budgets/{budget.id}",
        },
        now=now,
    )
