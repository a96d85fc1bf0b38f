"""Pages that show budgets: the tree of them, and one of them in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from alerts.models import Alert
from budgets.approvals.panel import panel
from budgets.approvals.selectors import open_requests
from budgets.burnup import burn_up, running_total
from budgets.labels import PER, period_label, time_left
from budgets.models import Budget, LedgerEntry, Scope
from budgets.selectors import (
    BudgetState,
    Status,
    alerts_of_period,
    budget_states,
    organization_month,
    past_periods,
    people_who_may_change,
    period_course,
    states_of,
)
from budgets.thresholds import percent
from common.display import moment, usd_compact
from common.periods import Period, PeriodKind
from tenants.access import Access, organization_page
from tenants.roles import Permission
from tenants.selectors import TeamNode, team_tree

PAST_PERIODS = 14
DEEPEST = 4
SCOPE_ICONS = {Scope.ORGANIZATION: "building-2", Scope.TEAM: "users", Scope.VIRTUAL_KEY: "key-round"}
STATUS_TEXTS = {
    Status.OK: "On track",
    Status.AHEAD: "Ahead of pace",
    Status.NEAR: "Nearly spent",
    Status.OVER: "Over limit",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A budget in the tree; `depth` says how deep its scope hangs."""

    state: BudgetState
    depth: int
    icon: str
    per: str
    period: str
    left: str
    paused: bool

    @property
    def will_pass(self) -> bool:
        """Inside the limit now, and past it at the end if the period goes on like this."""
        return self.state.spent <= self.state.limit < (self.state.projected or 0)


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """A threshold in the current period: reached or not, and the alert that told of it, if one did."""

    threshold: int
    amount: int
    reached: bool
    alert: Alert | None


@dataclass(frozen=True, slots=True)
class PastPeriod:
    label: str
    entry: LedgerEntry
    percent: Decimal


@require_safe
@organization_page()
def budgets(request: HttpRequest, access: Access) -> HttpResponse:
    now = timezone.now()
    states = budget_states(access.organization.id, now)
    chosen = _chosen(request)
    rows = _rows(states, team_tree(access.organization), now)
    context = {
        "nav": "budgets",
        "now": now,
        "rows": [row for row in rows if _matches(row.state, chosen)],
        "rows_total": len(rows),
        "month": organization_month(states),
        "over": [row for row in rows if row.state.status is Status.OVER],
        "at_risk": [row for row in rows if row.state.status in {Status.NEAR, Status.AHEAD}],
        "will_pass": [row for row in rows if row.will_pass],
        "filters": _filters(chosen),
        "clear_url": request.path if chosen else "",
        "may_edit": access.may(Permission.EDIT_BUDGETS),
        "requests_open": open_requests(access.organization.id, now).count(),
    }
    return render(request, "budgets/budgets.html", context)


@require_safe
@organization_page()
def budget(request: HttpRequest, access: Access, budget_id: int) -> HttpResponse:
    now = timezone.now()
    found = get_object_or_404(Budget.objects.with_scope(), organization=access.organization, id=budget_id)
    (state,) = states_of([found], now)
    context = {
        "nav": "budgets",
        "now": now,
        "state": state,
        "row": _row(state, 0, now),
        "starts": moment(state.start.astimezone(found.zone)),
        "resets": moment(state.end.astimezone(found.zone)),
        "left_over": abs(state.remaining),
        "past_limit": (state.projected or 0) - state.limit,
        "changes": found.version - 1,
        "spend_url": _spend_parameters(state, access),
        "thresholds": _thresholds(state),
        "past": _past(found, now),
        "people": people_who_may_change(access.organization.id),
        "may_edit": access.may(Permission.EDIT_BUDGETS) and found.archived_at is None,
        **panel(found, now),
        **_course(state, now),
    }
    return render(request, "budgets/budget.html", context)


def _rows(states: Sequence[BudgetState], tree: Sequence[TeamNode], now: datetime) -> list[Row]:
    """The budgets as a tree: the organization's, then each team's with those of its keys right below."""
    place = {node.team.id: (index, node.depth + 1) for index, node in enumerate(tree)}

    def where(state: BudgetState) -> tuple[int, bool, int]:
        budget = state.budget
        if budget.virtual_key is not None:
            index, depth = place[budget.virtual_key.team_id]
            return index, True, depth + 1
        index, depth = (-1, 0) if budget.team_id is None else place[budget.team_id]
        return index, False, depth

    return [_row(state, where(state)[-1], now) for state in sorted(states, key=where)]


def _row(state: BudgetState, depth: int, now: datetime) -> Row:
    kind = PeriodKind(state.budget.period)
    return Row(
        state=state,
        depth=min(depth, DEEPEST),
        icon=SCOPE_ICONS[Scope(state.budget.scope_type)],
        per=PER[kind],
        period=period_label(kind, state.period, state.budget.zone),
        left=time_left(state.end, now),
        paused=state.budget.paused_until is not None and state.budget.paused_until > now,
    )


def _course(state: BudgetState, now: datetime) -> dict[str, Any]:
    points = running_total(period_course(state.budget, state.period))
    drawing = burn_up(
        period=state.period, now=now, points=points, spent=state.spent, limit=state.limit, forecast=state.projected
    )
    zone = state.budget.zone
    form = "%H:%M" if state.budget.period == PeriodKind.DAY else "%a %-d" if state.budget.period == "week" else "%-d %b"
    return {
        "drawing": drawing,
        "amounts": [usd_compact(amount).removesuffix(".00") for amount in drawing.amounts],
        "moments": [f"{each.astimezone(zone):{form}}" for each in drawing.moments],
        "course": _table(state, points),
    }


def _table(state: BudgetState, points: Sequence[tuple[datetime, int]]) -> list[tuple[str, int, int]]:
    """(day or hour, spent in it, spent up to its end) of the current period, latest first."""
    form = "%H:00" if state.budget.period == PeriodKind.DAY else "%a %-d %b"
    up_to: dict[str, int] = {}
    for end, total in points:
        up_to[f"{(end - timedelta(hours=1)).astimezone(state.budget.zone):{form}}"] = total
    before = [0, *up_to.values()]
    return [(label, total - earlier, total) for (label, total), earlier in zip(up_to.items(), before, strict=False)][
        ::-1
    ]


def _thresholds(state: BudgetState) -> list[ThresholdLine]:
    alerts = alerts_of_period(state.budget, state.period)
    return [
        ThresholdLine(
            threshold=threshold,
            amount=state.limit * threshold // 100,
            reached=state.spent * 100 >= state.limit * threshold,
            alert=alerts.get(threshold),
        )
        for threshold in state.budget.thresholds
    ]


def _past(budget: Budget, now: datetime) -> list[PastPeriod]:
    kind, zone = PeriodKind(budget.period), budget.zone
    return [
        PastPeriod(
            label=period_label(kind, Period(entry.period_start, entry.period_end), zone),
            entry=entry,
            percent=percent(entry.spent, budget.limit),
        )
        for entry in past_periods(budget, before=now, limit=PAST_PERIODS)
    ]


def _spend_parameters(state: BudgetState, access: Access) -> str:
    """The parameters of the spend page that show what a budget counts in this period, by the organization's days."""
    budget = state.budget
    zone = budget.zone
    last = (state.end - timedelta(microseconds=1)).astimezone(zone).date()
    given = {"start": state.start.astimezone(zone).date().isoformat(), "end": last.isoformat()}
    if budget.team_id is not None:
        given["team"] = str(budget.team_id)
    if budget.virtual_key_id is not None:
        given["key"] = str(budget.virtual_key_id)
    return urlencode(given)


def _chosen(request: HttpRequest) -> dict[str, str]:
    """The filters of the URL that are known; anything else is as good as not given."""
    given = {name: request.GET.get(name, "") for name in _CHOICES}
    return {name: value for name, value in given.items() if value in dict(_CHOICES[name][1])}


def _matches(state: BudgetState, chosen: dict[str, str]) -> bool:
    facts = {"status": state.status, "scope": state.budget.scope_type, "period": state.budget.period}
    return all(facts[name] == value for name, value in chosen.items())


def _filters(chosen: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "label": label,
            "value": chosen.get(name, ""),
            "options": [{"value": value, "text": text} for value, text in options],
        }
        for name, (label, options) in _CHOICES.items()
    ]


_CHOICES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "status": ("Status", [(status.value, text) for status, text in STATUS_TEXTS.items()]),
    "scope": ("Scope", [(str(value), str(text)) for value, text in Scope.choices]),
    "period": ("Period", [(kind.value, kind.value.capitalize()) for kind in PeriodKind]),
}
