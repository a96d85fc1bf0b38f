"""What the limit of a budget was, is and will be. `BudgetLimit` is the truth; a change takes effect by the clock."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from budgets.applying import window_of
from budgets.models import Budget, BudgetLimit, LedgerEntry, LimitKind
from budgets.standing import Used
from budgets.windows import ROLLING, TOTAL
from common.periods import Period

# What is left when more was taken away than there is: nothing divides by zero, and nothing fits.
LEAST = 1
_MICROSECOND = timedelta(microseconds=1)


def limits_of(
    budgets: Sequence[Budget], now: datetime | None = None, *, since: datetime | None = None
) -> dict[int, list[BudgetLimit]]:
    """The whole history of each budget's limit, by its id, in the order of `limit_at`. One query.

    With `now` also what was rolled over into the window that holds it and into those before it, back to the one that
    holds `since`; one query more where a budget rolls over. Those rows follow from the ledger and are never stored.
    """
    found: dict[int, list[BudgetLimit]] = {budget.id: [] for budget in budgets}
    for limit in BudgetLimit.objects.filter(
        organization_id__in={budget.organization_id for budget in budgets}, budget_id__in=found
    ).order_by("starts_at", "created_at", "id"):
        found[limit.budget_id].append(limit)
    if now is not None:
        _add_rolled_over(budgets, found, now, since or now)
    return found


def _add_rolled_over(
    budgets: Sequence[Budget], found: dict[int, list[BudgetLimit]], now: datetime, since: datetime
) -> None:
    pairs = {budget.id: window_pairs(budget, now, since) for budget in budgets if budget.rollover_max is not None}
    starts = {previous.start for each in pairs.values() for previous, _ in each}
    if not starts:
        return
    entries = LedgerEntry.objects.filter(
        organization_id__in={budget.organization_id for budget in budgets},
        budget_id__in=pairs,
        period_start__gte=min(starts),
        period_start__lte=max(starts),
    )
    used = {(entry.budget_id, entry.period_start): Used.of_entry(entry) for entry in entries}
    for budget in budgets:
        sums = [used.get((budget.id, previous.start), Used()) for previous, _ in pairs.get(budget.id, ())]
        found[budget.id] += rolled_over(budget, found[budget.id], pairs.get(budget.id, ()), sums)


def window_pairs(budget: Budget, now: datetime, since: datetime) -> list[tuple[Period, Period]]:
    """(the window before, the window) for the one that holds `now` and those before it, back to the one that holds
    `since`. Only pairs whose earlier window the budget has counted in full; none where windows have no end. Pure."""
    if budget.period in {ROLLING, TOTAL}:
        return []
    clock, pairs = window_of(budget), []
    window = clock.at(now)
    while window.start > budget.counts_from and window.end > since:
        previous = clock.at(window.start - _MICROSECOND)
        pairs.append((previous, window))
        window = previous
    return pairs


def rolled_over(
    budget: Budget, limits: Sequence[BudgetLimit], pairs: Sequence[tuple[Period, Period]], used: Sequence[Used]
) -> list[BudgetLimit]:
    """What each window got from the one before it, as limits of kind ROLLOVER: what that one left of the limit it had
    at its end, at most `rollover_max`. `used`: in each pair's earlier window. Pure.

    What had been rolled over into the earlier window does not count again, so nothing piles up over many windows.
    """
    rows = []
    for (previous, window), sums in zip(pairs, used, strict=True):
        left = limit_at(budget, limits, previous.end - _MICROSECOND) - sums.of(budget.unit)
        amount = min(left, budget.rollover_max or 0)
        if amount > 0:
            rows.append(
                BudgetLimit(
                    organization_id=budget.organization_id,
                    budget=budget,
                    kind=LimitKind.ROLLOVER,
                    amount=amount,
                    starts_at=window.start,
                    ends_at=window.end,
                    reason="Left over from the period before",
                    created_at=window.start,
                )
            )
    return rows


def base_at(budget: Budget, limits: Sequence[BudgetLimit], now: datetime) -> int:
    """The limit itself, without what was added for a while: the latest that had begun by then, else the first there
    was; `Budget.limit` where nothing is written down. Pure."""
    bases = [limit for limit in limits if limit.kind == LimitKind.BASE]
    begun = [limit for limit in bases if limit.starts_at <= now]
    if begun:
        return max(begun, key=lambda limit: (limit.starts_at, limit.created_at, limit.id)).amount
    return min(bases, key=lambda limit: limit.starts_at).amount if bases else budget.limit


def limit_at(budget: Budget, limits: Sequence[BudgetLimit], now: datetime) -> int:
    """What may be used in the window that holds `now`, in the budget's unit: the limit and all that is added to it or
    taken away at that instant. Pure."""
    extra = sum(
        limit.amount
        for limit in limits
        if limit.kind != LimitKind.BASE and limit.starts_at <= now and (limit.ends_at is None or now < limit.ends_at)
    )
    return max(LEAST, base_at(budget, limits, now) + extra)


def limits_now(budgets: Sequence[Budget], now: datetime) -> dict[int, int]:
    """Budget id → the limit in force. One query, two where a budget rolls over."""
    history = limits_of(budgets, now)
    return {budget.id: limit_at(budget, history[budget.id], now) for budget in budgets}
