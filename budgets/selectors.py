"""Reads of budgets. Each runs inside `organization_scope`; amounts are nano-USD."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from django.db.models import Q

from alerts.models import Alert
from budgets.ledger import budget_period
from budgets.models import Budget, LedgerEntry, Scope
from budgets.notices import period_key
from budgets.thresholds import percent, run_rate
from common.bars import budget_state as pacing
from common.display import share
from common.periods import Period
from tenants.models import Membership, Team
from tenants.roles import Permission, Role, may
from tenants.selectors import team_parents
from tenants.tree import ancestor_ids, in_tree_order, subtree_ids
from usage.questions import Dimension, Interval
from usage.rollup import HOUR
from usage.selectors import SpendQuery, spend

_SCOPES = Scope.values


class Status(StrEnum):
    """How the spend of a period stands: fine, faster than the period passes, 90 % or more spent, past the limit."""

    OK = "ok"
    AHEAD = "ahead"
    NEAR = "near"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget and where it stands in the period that holds `now`."""

    budget: Budget
    # The organization's name, the team's or the key's.
    scope: str
    period: Period
    spent: int
    requests: int
    # Usage in the period whose cost is not known yet: the true spend is higher.
    unpriced_requests: int
    # The highest threshold that has fired in this period; 0: none.
    fired: int
    # How much of the period has passed, from 0 to 100.
    elapsed_percent: Decimal
    # What the period will have cost if it goes on like this; None while it is too early to say.
    projected: int | None

    @property
    def start(self) -> datetime:
        return self.period.start

    @property
    def end(self) -> datetime:
        return self.period.end

    @property
    def limit(self) -> int:
        return self.budget.limit

    @property
    def remaining(self) -> int:
        """What is left of the limit; below zero when it was passed."""
        return self.limit - self.spent

    @property
    def percent(self) -> Decimal:
        """The share of the limit that is spent, cut to one decimal."""
        return percent(self.spent, self.limit)

    @property
    def status(self) -> Status:
        state = pacing(share(self.spent, self.limit), self.elapsed_percent)
        return Status.OK if state == "on-track" else Status(state)


def budget_states(organization_id: int, now: datetime) -> list[BudgetState]:
    """Every budget in force: the organization's first, then the teams' in tree order, then the keys'. Three queries."""
    budgets = Budget.objects.in_force().filter(organization_id=organization_id)
    return _in_order(organization_id, states_of(budgets.with_scope().order_by("name", "id"), now))


def states_of(budgets: Iterable[Budget], now: datetime) -> list[BudgetState]:
    """Where these budgets stand, in their order. One query beside theirs; load them `with_scope`."""
    budgets = list(budgets)
    entries = {
        (entry.budget_id, entry.period_start): entry
        for entry in LedgerEntry.objects.filter(
            organization_id__in={budget.organization_id for budget in budgets},
            budget_id__in=[budget.id for budget in budgets],
            period_start__lte=now,
            period_end__gt=now,
        )
    }
    return [_state(budget, entries, now) for budget in budgets]


def _state(budget: Budget, entries: dict[tuple[int, datetime], LedgerEntry], now: datetime) -> BudgetState:
    period = budget_period(budget, now)
    entry = entries.get((budget.id, period.start))
    elapsed = period.elapsed(now)
    spent = int(entry.spent) if entry else 0
    return BudgetState(
        budget=budget,
        scope=str(budget.scope),
        period=period,
        spent=spent,
        requests=entry.requests if entry else 0,
        unpriced_requests=entry.unpriced_requests if entry else 0,
        fired=entry.fired if entry else 0,
        elapsed_percent=elapsed * 100,
        projected=run_rate(spent, elapsed),
    )


def organization_month(states: Sequence[BudgetState]) -> BudgetState | None:
    """The budget an overview is about: the whole organization's per month; of several the tightest."""
    found = [each for each in states if (each.budget.scope_type, each.budget.period) == (Scope.ORGANIZATION, "month")]
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


def budgets_applying(*, organization_id: int, team_id: int, virtual_key_id: int) -> list[Budget]:
    """The budgets in force that usage of this key of this team counts in, widest scope first."""
    above = ancestor_ids(team_parents(organization_id), team_id)
    budgets = Budget.objects.in_force().with_scope().filter(organization_id=organization_id)
    applying = budgets.filter(
        Q(scope_type=Scope.ORGANIZATION) | Q(team_id__in=above) | Q(virtual_key_id=virtual_key_id)
    ).order_by("name", "id")
    downwards = [None, *reversed(above)]
    return sorted(applying, key=lambda budget: (_SCOPES.index(budget.scope_type), downwards.index(budget.team_id)))


def past_periods(budget: Budget, *, before: datetime, limit: int) -> list[LedgerEntry]:
    """The ledger of the periods that ended by then, latest first."""
    entries = LedgerEntry.objects.filter(organization_id=budget.organization_id, budget=budget, period_end__lte=before)
    return list(entries.order_by("-period_start")[:limit])


def period_course(budget: Budget, period: Period) -> list[tuple[datetime, int]]:
    """(end of an hour, what was spent in it) of the budget's scope, ascending, for the hours with usage."""
    filters: dict[str, list[str]] = {}
    if budget.team_id is not None:
        below = subtree_ids(team_parents(budget.organization_id), [budget.team_id])
        filters = {Dimension.TEAM: [str(team_id) for team_id in sorted(below)]}
    if budget.virtual_key_id is not None:
        filters = {Dimension.VIRTUAL_KEY: [str(budget.virtual_key_id)]}
    query = SpendQuery(budget.organization_id, period.start, period.end, interval=Interval.HOUR, filters=filters)
    return [(row.start + HOUR, row.spend.cost) for row in spend(query) if row.start is not None]


def alerts_of_period(budget: Budget, period: Period) -> dict[int, Alert]:
    """Threshold → the latest alert that said it was crossed in this period."""
    alerts = Alert.objects.filter(
        organization_id=budget.organization_id, dedup_key__startswith=period_key(budget, period)
    )
    return {int(alert.dedup_key.rsplit(":", 1)[-1]): alert for alert in alerts.order_by("created_at", "id")}


def people_who_may_change(organization_id: int) -> list[Membership]:
    """The members whose role lets them edit budgets, owners first."""
    roles = [role for role in Role if may(role, Permission.EDIT_BUDGETS)]
    members = Membership.objects.filter(organization_id=organization_id, role__in=roles).select_related("user")
    return sorted(members, key=lambda member: (roles.index(Role(member.role)), str(member.user)))
