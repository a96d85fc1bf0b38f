"""What a repricing would do, added up batch by batch: events, money, teams, models, budgets. Books nothing."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from budgets.applying import Applying, window_of
from budgets.crossings import limit_of_period
from budgets.ledger import would_add
from budgets.limits import limits_of
from budgets.models import Budget, BudgetLimit
from budgets.standing import used_in
from budgets.thresholds import reached
from common.money import to_usd
from corrections.models import RepriceRun
from corrections.rerate import Change, Standing
from usage.closing import closed_before
from usage.rollup import quarter_of
from usage.store import NOTHING, Owner, Spent
from usage.watched import Watched

# A name beyond this many models of a preview is added up under OTHERS.
MOST_MODELS = 500
OTHERS = "others"


class Flip(NamedTuple):
    """A budget whose highest reached threshold would be another one. Percents of its limit; 0: none."""

    budget_id: int
    period_start: datetime
    spent: int
    would_be: int
    threshold: int
    would_reach: int


def preview_add(run: RepriceRun, changes: Sequence[tuple[Standing, Change]], now: datetime) -> None:
    """Adds a batch to the run's findings; the caller saves it."""
    changed = [(standing, change) for standing, change in changes if change.deltas]
    run.events += len(changes)
    run.events_done += len(changes)
    run.events_changed += len(changed)
    run.events_newly_priced += sum(change.newly_priced for _, change in changed)
    run.events_kept += sum(change.kept for _, change in changes)
    for standing, change in changed:
        list_cost, cost = change.deltas["list_cost"], change.deltas["cost"]
        run.list_cost += list_cost
        run.cost += cost
        _add(run.by_team, str(standing.team_id), list_cost, cost)
        name = f"{standing.provider}/{standing.model}"
        _add(run.by_model, name if name in run.by_model or len(run.by_model) < MOST_MODELS else OTHERS, list_cost, cost)
    budgets = Applying.of_organization(run.organization_id)
    owners = _owners(changed, closed_before(run.organization_id), budgets.watched, now)
    for (budget_id, start), cost in would_add(budgets=budgets, owners=owners, now=now).items():
        periods = run.by_budget.setdefault(str(budget_id), {})
        periods[start.isoformat()] = periods.get(start.isoformat(), 0) + cost


def _add(sums: dict[str, list[int]], name: str, list_cost: int, cost: int) -> None:
    events, listed, charged = sums.get(name, (0, 0, 0))
    sums[name] = [events + 1, listed + list_cost, charged + cost]


def _owners(
    changed: Iterable[tuple[Standing, Change]], until: datetime, watched: Watched, now: datetime
) -> dict[Owner, Spent]:
    """By owner, at the time at which each difference would be booked."""
    owners: dict[Owner, Spent] = defaultdict(lambda: NOTHING)
    for standing, change in changed:
        at = standing.at if standing.at >= until else now
        labels = watched.labels(standing.labels, standing.tags)
        owner = Owner(standing.team_id, standing.virtual_key_id, quarter_of(at), labels)
        owners[owner] = owners[owner].plus(Spent(change.deltas["cost"]))
    return owners


def preview_end(run: RepriceRun, now: datetime) -> None:
    """Notes the budgets that would flip, against the ledger as it stands; the caller saves the run."""
    found = Budget.objects.in_force().filter(organization_id=run.organization_id, id__in=map(int, run.by_budget))
    budgets = list(found.order_by("name", "id"))
    starts = [datetime.fromisoformat(start) for sums in run.by_budget.values() for start in sums]
    history = limits_of(budgets, now, since=min(starts, default=now))
    run.flips = [_flip_as_json(flip) for budget in budgets for flip in _flips(run, budget, history[budget.id], now)]


def _flips(run: RepriceRun, budget: Budget, limits: Sequence[BudgetLimit], now: datetime) -> Iterable[Flip]:
    marks = sorted({*budget.thresholds, 100})
    for start, cost in sorted(run.by_budget[str(budget.id)].items()):
        window = window_of(budget).from_slot(datetime.fromisoformat(start))
        before = used_in([budget], {budget.id: window})[budget.id].cost
        limit = limit_of_period(budget, limits, window, now)
        threshold, would_reach = (reached(amount, limit, marks) for amount in (before, before + cost))
        if threshold != would_reach:
            yield Flip(budget.id, window.start, before, before + cost, threshold, would_reach)


def _flip_as_json(flip: Flip) -> dict[str, Any]:
    """Money as in the API; ids as text."""
    return {
        "budget": str(flip.budget_id),
        "period_start": flip.period_start.isoformat(),
        "spent": to_usd(flip.spent),
        "would_be": to_usd(flip.would_be),
        "threshold": flip.threshold,
        "would_reach": flip.would_reach,
    }
