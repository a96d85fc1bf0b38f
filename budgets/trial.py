"""Trying a budget, saved or not, on the usage of the last days."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from budgets.applying import window_of
from budgets.backtest import Mark, Replay, Step, Trial, replay
from budgets.backtest_source import Grain, usage_of, used_by_slot
from budgets.cheaper import Cheaper
from budgets.models import Action, Budget, Enforcement, UnpricedPolicy
from budgets.terms import (
    ActionTerm,
    Measure,
    Terms,
    limit_checked,
    measure_checked,
    terms_checked,
    terms_of,
    thresholds_checked,
)
from budgets.untold import untold
from budgets.windows import TOTAL
from common.periods import Period, local_midnight
from tenants.models import Organization
from tenants.services import zone_checked

MIN_DAYS, DAYS, MAX_DAYS = 1, 30, 90
# Events that are replayed one by one; a page waits for it, a program may wait longer.
EXACT_ON_A_PAGE, EXACT_OVER_THE_API = 200_000, 500_000


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it. `told`: the dimensions by which what was affected is told apart. `left_out`: what the budget
    does that could not be replayed."""

    budget: Budget
    period: Period
    trial: Trial
    grain: Grain
    told: tuple[str, ...]
    replay: Replay
    left_out: frozenset[Action]
    # Months in which the sums that were read say nothing of what the budget is on.
    untold: tuple[date, ...] = ()


def budget_drafted(
    *,
    organization: Organization,
    measure: Measure,
    limit: int,
    thresholds: Sequence[int],
    terms: Terms,
    now: datetime,
) -> Budget:
    """A budget that is not saved; ValidationError for what `budget_create` refuses. One that does not fit into others
    may be tried all the same."""
    draft = Budget(
        organization=organization,
        limit=limit_checked(limit, measure.unit),
        timezone=zone_checked(measure.timezone),
        thresholds=thresholds_checked(thresholds),
        created_at=now,
        counts_from=now,
        **measure_checked(measure),
        **terms_checked(terms, period=measure.period, now=now),
    )
    draft.full_clean(validate_unique=False, exclude={"name"})
    return draft


def budget_redrafted(*, budget: Budget, limit: int, thresholds: Sequence[int], terms: Terms, now: datetime) -> Budget:
    """The budget with changes that are not saved; ValidationError for what `budget_update` refuses, as above."""
    draft = copy(budget)
    draft.limit = limit_checked(limit, budget.unit)
    draft.thresholds = thresholds_checked(thresholds)
    for column, value in terms_checked(terms, period=budget.period, now=now, before=terms_of(budget)).items():
        setattr(draft, column, value)
    return draft


def budget_try(*, budget: Budget, actions: Iterable[ActionTerm], days: int, now: datetime, exact_up_to: int) -> Tried:
    """Replays the last `days` local days and today up to now; the limit counts as it is, a shadow as if it were none.

    What was used before in a window that was open then counts as it was. A total begins with the first of the days.
    """
    today = now.astimezone(budget.zone).date()
    period = Period(local_midnight(today - timedelta(days=days), budget.zone), now)
    asked = trial_of(budget, actions)
    degrades = any(step.action is Action.DEGRADE for step in asked.steps)
    cheaper = Cheaper.of_organization(budget.organization_id) if degrades else None
    usage = usage_of(budget, period, exact_up_to=exact_up_to, cheaper=cheaper)
    trial = asked if usage.grain is Grain.EVENT else _by_sums(asked)
    opened = period.start if budget.period == TOTAL else trial.window.at(period.start).start
    before = used_by_slot(budget, trial.window, Period(opened, period.start))
    summed = Period(opened, period.start if usage.grain is Grain.EVENT else period.end)
    return Tried(
        budget=budget,
        period=period,
        trial=trial,
        grain=usage.grain,
        told=usage.told,
        replay=replay(trial, usage.calls, before=before),
        left_out=frozenset(step.action for step in asked.steps if step not in trial.steps),
        untold=untold(budget, summed),
    )


def _by_sums(trial: Trial) -> Trial:
    """The trial of sums, which may fit in part and tell neither one minute nor the price of a call from another."""
    steps = tuple(step for step in trial.steps if step.action in {Action.APPROVE, Action.BLOCK})
    return replace(trial, divisible=True, steps=steps)


def trial_of(budget: Budget, actions: Iterable[ActionTerm]) -> Trial:
    """The budget as the replay takes it: shares of the limit as amounts."""
    marks = [Mark(_part(budget.limit, percent), percent) for percent in budget.thresholds]
    marks += [Mark(amount) for amount in budget.threshold_amounts]
    steps = [
        Step(
            _part(budget.limit, action.at_percent),
            Action(action.action),
            action.requests_per_minute,
            action.tokens_per_minute,
        )
        for action in actions
    ]
    hard = budget.enforcement == Enforcement.HARD
    return Trial(
        window=window_of(budget),
        unit=budget.unit,
        limit=budget.limit,
        hard=hard,
        marks=tuple(marks),
        steps=tuple(steps) if budget.enforcement != Enforcement.NONE else (),
        block_unpriced=hard and budget.unpriced == UnpricedPolicy.BLOCK,
    )


def _part(limit: int, percent: int) -> int:
    """The least amount that is so much of the limit."""
    return -(-limit * percent // 100)
