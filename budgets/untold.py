"""Where sums say nothing of what a budget is on: names that came after a month was full of others."""

from collections.abc import Sequence
from datetime import date

from budgets.labels import scope_label
from budgets.models import VALUE_SCOPES, Budget, Scope
from common.periods import Period
from usage.dimensions import TAG_PREFIX
from usage.values import months_untold


def untold(budget: Budget, period: Period) -> tuple[date, ...]:
    """The months of UTC in the period, as their first days, in which sums do not tell what the budget is on."""
    if budget.scope_type not in VALUE_SCOPES or period.start >= period.end:
        return ()
    name = f"{TAG_PREFIX}{budget.tag_name}" if budget.scope_type == Scope.TAG else budget.scope_type
    return tuple(sorted(set(months_untold(budget.organization_id, name, budget.value, period))))


def untold_sentence(budget: Budget, months: Sequence[date]) -> str:
    """Empty where sums tell everything."""
    if not months:
        return ""
    listed = ", ".join(f"{month:%B %Y}" for month in months)
    return (
        f"More names were used in {listed} than sums keep apart, and {scope_label(budget)} is not among those kept:"
        " what it used then is not known and missing here."
    )
