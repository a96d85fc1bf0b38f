"""Reads of budgets. Each runs inside `organization_scope`; amounts are in the budget's unit, money in nano-USD."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from budgets.applying import window_of
from budgets.crossings import forecast_of
from budgets.fitting import overcommitted
from budgets.labels import scope_label
from budgets.limits import base_at, limit_at, limits_now, limits_of
from budgets.models import Budget, BudgetLimit, LedgerEntry, LimitKind, Scope, Unit
from budgets.reservations.reserved import reserved_in
from budgets.standing import Used, used_in
from budgets.terms import ActionTerm, actions_of
from budgets.thresholds import percent, reached, runs_out_at
from budgets.windows import ROLLING, TOTAL
from common.bars import budget_state as pacing
from common.display import share
from common.periods import Period
from tenants.models import Membership, Team
from tenants.roles import Permission, Role, may
from tenants.selectors import team_parents
from tenants.tree import in_tree_order

_SCOPES = Scope.values


class Status(StrEnum):
    """How the spend of a period stands: fine, faster than the period passes, 90 % or more spent, past the limit."""

    OK = "ok"
    AHEAD = "ahead"
    NEAR = "near"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget and where it stands in the window that holds `now`. Amounts are in the budget's unit."""

    budget: Budget
    # What it limits, in words.
    scope: str
    period: Period
    used: Used
    # What may be used in the window, and the limit itself without what was added for a while.
    limit: int
    base: int
    # The highest percentage that has fired in this window; of a rolling one the highest that is reached. 0: none.
    fired: int
    # How much of the window has passed, from 0 to 100; None where it has no end to run to.
    elapsed_percent: Decimal | None
    # What the window will have used if it goes on like this, and when that passes the limit; None while it is too early
    # to say, and of a window without an end.
    projected: int | None
    runs_out_at: datetime | None
    # What the limit will be set to later.
    planned: Sequence[BudgetLimit]
    actions: Sequence[ActionTerm]
    # Held for calls in flight, beside what is used; None while nobody knows.
    reserved: int | None = 0
    # How much more its parts are allowed together; None: they fit, or nobody asked (`with_overcommits`).
    overcommitted: int | None = None

    @property
    def start(self) -> datetime:
        """The first instant that counts."""
        return self.budget.counts_from if self.budget.period == TOTAL else self.period.start

    @property
    def end(self) -> datetime | None:
        """None where it has none."""
        return None if self.budget.period == TOTAL else self.period.end

    @property
    def spent(self) -> int:
        """What counts against the limit."""
        return self.used.of(self.budget.unit)

    @property
    def requests(self) -> int:
        return self.used.requests

    @property
    def unpriced_requests(self) -> int:
        """Usage whose cost is not known yet: the true cost is higher."""
        return self.used.unpriced_requests

    @property
    def remaining(self) -> int:
        """What is left of the limit; below zero when it was passed."""
        return self.limit - self.spent

    @property
    def percent(self) -> Decimal:
        """The share of the limit that is used, cut to one decimal."""
        return percent(self.spent, self.limit)

    @property
    def status(self) -> Status:
        state = pacing(share(self.spent, self.limit), self.elapsed_percent)
        return Status.OK if state == "on-track" else Status(state)


def budget_states(organization_id: int, now: datetime) -> list[BudgetState]:
    """Every budget in force: the organization's first, then the teams' in tree order, then the keys', then those of
    values. Six queries."""
    budgets = Budget.objects.in_force().filter(organization_id=organization_id)
    return _in_order(organization_id, states_of(budgets.with_scope().order_by("name", "id"), now))


def states_of(budgets: Iterable[Budget], now: datetime) -> list[BudgetState]:
    """Where these budgets stand, in their order. Four queries beside theirs; load them `with_scope`."""
    budgets = list(budgets)
    history = limits_of(budgets, now)
    windows = {budget.id: window_of(budget).at(now) for budget in budgets}
    sums = used_in(budgets, windows)
    fired, actions, held = _fired(budgets, windows), actions_of(budgets), reserved_in(budgets, windows)
    return [
        replace(
            _state(
                budget, windows[budget.id], sums[budget.id], history[budget.id], fired.get(budget.id, 0),
                actions[budget.id], now,
            ),
            reserved=held[budget.id],
        )
        for budget in budgets
    ]  # fmt: skip


def _fired(budgets: Sequence[Budget], windows: Mapping[int, Period]) -> dict[int, int]:
    entries = LedgerEntry.objects.filter(
        organization_id__in={budget.organization_id for budget in budgets},
        budget_id__in=[budget.id for budget in budgets],
        period_start__in={windows[budget.id].start for budget in budgets},
        fired__gt=0,
    )
    rows = entries.values_list("budget_id", "period_start", "fired")
    return {budget_id: fired for budget_id, start, fired in rows if windows[budget_id].start == start}


def _state(
    budget: Budget,
    window: Period,
    sums: Used,
    limits: Sequence[BudgetLimit],
    fired: int,
    actions: Sequence[ActionTerm],
    now: datetime,
) -> BudgetState:
    limit, spent = limit_at(budget, limits, now), sums.of(budget.unit)
    endless = budget.period in (ROLLING, TOTAL)
    return BudgetState(
        budget=budget,
        scope=scope_label(budget),
        period=window,
        used=sums,
        limit=limit,
        base=base_at(budget, limits, now),
        fired=reached(spent, limit, budget.thresholds) if budget.period == ROLLING else fired,
        elapsed_percent=None if endless else window.elapsed(now) * 100,
        projected=forecast_of(budget, spent, window, now),
        runs_out_at=None if endless else runs_out_at(spent, limit, window, now),
        planned=[each for each in limits if each.kind == LimitKind.BASE and each.starts_at > now],
        actions=actions,
    )


def organization_month(states: Sequence[BudgetState]) -> BudgetState | None:
    """The budget an overview is about: the whole organization's cost per month; of several the tightest."""
    wanted = (Scope.ORGANIZATION, "month", Unit.COST)
    found = [each for each in states if (each.budget.scope_type, each.budget.period, each.budget.unit) == wanted]
    return min(found, key=lambda each: each.limit, default=None)


def _in_order(organization_id: int, states: Sequence[BudgetState]) -> list[BudgetState]:
    teams = Team.objects.filter(organization_id=organization_id).order_by("name", "id")
    parents = dict(teams.values_list("id", "parent_id"))
    place = {team_id: index for index, (team_id, _) in enumerate(in_tree_order(parents, parents))}

    def key(state: BudgetState) -> tuple[int, int]:
        budget = state.budget
        team_id = budget.virtual_key.team_id if budget.virtual_key is not None else budget.team_id
        return _SCOPES.index(budget.scope_type), place[team_id] if team_id is not None else 0

    return sorted(states, key=key)


def with_overcommits(states: Sequence[BudgetState], organization_id: int, now: datetime) -> list[BudgetState]:
    """The states with by how much the parts of each are allowed more together. Three queries."""
    kinds = {(state.budget.unit, state.budget.period) for state in states}
    in_force = Budget.objects.in_force().with_scope().filter(organization_id=organization_id)
    budgets = [each for each in in_force if (each.unit, each.period) in kinds]
    over = overcommitted(budgets, limits_now(budgets, now), team_parents(organization_id))
    return [replace(state, overcommitted=over.get(state.budget.id)) for state in states]


def people_who_may_change(organization_id: int) -> list[Membership]:
    """The members whose role lets them edit budgets, owners first."""
    roles = [role for role in Role if may(role, Permission.EDIT_BUDGETS)]
    members = Membership.objects.filter(organization_id=organization_id, role__in=roles).select_related("user")
    return sorted(members, key=lambda member: (roles.index(Role(member.role)), str(member.user)))
