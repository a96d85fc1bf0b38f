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
from budgets.amounts import short
from budgets.approvals.panel import panel
from budgets.approvals.selectors import open_requests
from budgets.burnup import burn_up, running_total
from budgets.history import PastPeriod, alerts_of_period, drawn_period, limit_history, past_periods, period_course
from budgets.labels import action_label, mode_label, per, period_label, time_left, window_label
from budgets.models import VALUE_SCOPES, WINDOW_KINDS, Budget, Scope
from budgets.selectors import (
    BudgetState,
    Status,
    budget_states,
    organization_month,
    people_who_may_change,
    states_of,
    with_overcommits,
)
from budgets.thresholds import Mark, percent
from budgets.windows import ROLLING, TOTAL
from common.display import moment
from common.filters import filter_choices
from common.periods import Period, PeriodKind
from tenants.access import Access, organization_page
from tenants.roles import Permission
from tenants.selectors import TeamNode, team_tree

PAST_PERIODS = 14
DEEPEST = 4
SCOPE_ICONS = {
    Scope.ORGANIZATION: "building-2",
    Scope.TEAM: "users",
    Scope.VIRTUAL_KEY: "key-round",
    Scope.CUSTOMER: "user",
    Scope.FEATURE: "zap",
    Scope.AGENT: "circle-dashed",
    Scope.USER: "user",
    Scope.MODEL: "code",
    Scope.TAG: "hash",
}
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
    # Until it begins anew; "" where it never does.
    left: str
    # What it does beside telling people; "" for nothing.
    mode: str

    @property
    def past(self) -> int:
        """By how much the limit was passed."""
        return -self.state.remaining

    @property
    def will_pass(self) -> bool:
        """Inside the limit now, and past it at the end if the period goes on like this."""
        return self.state.spent <= self.state.limit < (self.state.projected or 0)


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """A threshold in the current window: reached or not, and the alert that told of it, if one did."""

    label: str
    amount: int
    reached: bool
    alert: Alert | None


@dataclass(frozen=True, slots=True)
class PastLine:
    """A window that ended; `percent` of the limit it had, None for a day of a rolling one."""

    label: str
    past: PastPeriod
    used: int
    percent: Decimal | None


@require_safe
@organization_page()
def budgets(request: HttpRequest, access: Access) -> HttpResponse:
    now = timezone.now()
    states = with_overcommits(budget_states(access.organization.id, now), access.organization.id, now)
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
        "overcommitted": [row for row in rows if row.state.overcommitted],
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
    (state,) = with_overcommits(states_of([found], now), access.organization.id, now)
    context = {
        "nav": "budgets",
        "now": now,
        "state": state,
        "row": _row(state, 0, now),
        "starts": moment(state.start.astimezone(found.zone)),
        "resets": moment(None if state.end is None else state.end.astimezone(found.zone)),
        "runs_out": moment(None if state.runs_out_at is None else state.runs_out_at.astimezone(found.zone)),
        "left_over": abs(state.remaining),
        "past_limit": (state.projected or 0) - state.limit,
        "changes": found.version - 1,
        "limits": limit_history(found),
        "added": state.limit - state.base,
        "actions": [(each, action_label(each)) for each in state.actions],
        "spend_url": _spend_parameters(state, now),
        "thresholds": _thresholds(state),
        "past": _past(found, now),
        "people": people_who_may_change(access.organization.id),
        "may_edit": access.may(Permission.EDIT_BUDGETS) and found.archived_at is None,
        **panel(found, now),
        **_course(state, now),
    }
    return render(request, "budgets/budget.html", context)


def _rows(states: Sequence[BudgetState], tree: Sequence[TeamNode], now: datetime) -> list[Row]:
    """The budgets as a tree: the organization's, then each team's with those of its keys right below, each followed by
    those of what callers name in it."""
    place = {node.team.id: (index, node.depth + 1) for index, node in enumerate(tree)}

    def where(state: BudgetState) -> tuple[int, int, int]:
        budget = state.budget
        if budget.virtual_key is not None:
            index, depth = place[budget.virtual_key.team_id]
            return index, 2, depth + 1
        index, depth = (-1, 0) if budget.team_id is None else place[budget.team_id]
        return (index, 1, depth + 1) if budget.scope_type in VALUE_SCOPES else (index, 0, depth)

    return [_row(state, where(state)[-1], now) for state in sorted(states, key=where)]


def _row(state: BudgetState, depth: int, now: datetime) -> Row:
    budget = state.budget
    return Row(
        state=state,
        depth=min(depth, DEEPEST),
        icon=SCOPE_ICONS[Scope(budget.scope_type)],
        per=per(budget),
        period=window_label(budget, state.period),
        left="" if budget.period in (ROLLING, TOTAL) else time_left(state.period.end, now),
        mode=mode_label(budget, now),
    )


def _course(state: BudgetState, now: datetime) -> dict[str, Any]:
    budget, period = state.budget, drawn_period(state, now)
    points = running_total(period_course(budget, period))
    drawing = burn_up(
        period=period, now=now, points=points, spent=state.spent, limit=state.limit, forecast=state.projected
    )
    form = _axis_form(period)
    return {
        "drawing": drawing,
        "amounts": [short(budget.unit, amount).removesuffix(".00") for amount in drawing.amounts],
        "moments": [f"{each.astimezone(budget.zone):{form}}" for each in drawing.moments],
        "course": _table(state, points),
        "by_hour": budget.period == PeriodKind.DAY,
    }


def _axis_form(period: Period) -> str:
    length = period.end - period.start
    if length <= timedelta(days=1, hours=1):
        return "%H:%M"
    if length <= timedelta(days=8):
        return "%a %-d"
    return "%-d %b" if length <= timedelta(days=100) else "%b %Y"


def _table(state: BudgetState, points: Sequence[tuple[datetime, int]]) -> list[tuple[str, int, int]]:
    """(day or hour, spent in it, spent up to its end) of the current window, latest first."""
    form = "%H:00" if state.budget.period == PeriodKind.DAY else "%a %-d %b"
    if state.budget.period in (PeriodKind.YEAR, TOTAL, ROLLING):
        form += " %Y"
    up_to: dict[str, int] = {}
    for end, total in points:
        up_to[f"{(end - timedelta(hours=1)).astimezone(state.budget.zone):{form}}"] = total
    before = [0, *up_to.values()]
    return [(label, total - earlier, total) for (label, total), earlier in zip(up_to.items(), before, strict=False)][
        ::-1
    ]


def _thresholds(state: BudgetState) -> list[ThresholdLine]:
    budget, alerts = state.budget, alerts_of_period(state.budget, state.period)
    lines = [
        (Mark.PERCENT, each, f"{each}%", state.limit * each // 100, state.spent * 100 >= state.limit * each)
        for each in budget.thresholds
    ]
    lines += [(Mark.AMOUNT, each, "Amount", each, state.spent >= each) for each in budget.threshold_amounts]
    forecast = state.projected or 0
    lines += [
        (Mark.FORECAST, each, f"Forecast {each}%", state.limit * each // 100, forecast * 100 >= state.limit * each)
        for each in budget.forecast_thresholds
    ]
    return [
        ThresholdLine(label=label, amount=amount, reached=reached, alert=alerts.get((mark, threshold)))
        for mark, threshold, label, amount, reached in lines
    ]


def _past(budget: Budget, now: datetime) -> list[PastLine]:
    kind = PeriodKind.DAY if budget.period == ROLLING else budget.period
    return [
        PastLine(
            label=period_label(PeriodKind(kind), past.period, budget.zone),
            past=past,
            used=past.used.of(budget.unit),
            percent=None if past.limit is None else percent(past.used.of(budget.unit), past.limit),
        )
        for past in past_periods(budget, before=now, limit=PAST_PERIODS)
    ]


def _spend_parameters(state: BudgetState, now: datetime) -> str:
    """The parameters of the spend page that show what a budget counts in this window, by the organization's days."""
    budget = state.budget
    zone = budget.zone
    last = ((state.end or now) - timedelta(microseconds=1)).astimezone(zone).date()
    given = {"start": state.start.astimezone(zone).date().isoformat(), "end": last.isoformat()}
    if budget.team_id is not None:
        given["team"] = str(budget.team_id)
    if budget.virtual_key_id is not None:
        given["key"] = str(budget.virtual_key_id)
    if budget.scope_type == Scope.TAG:
        given |= {"show": "tag", "tag": budget.tag_name}
    elif budget.scope_type in VALUE_SCOPES:
        given[budget.scope_type] = budget.value
    return urlencode(given)


def _chosen(request: HttpRequest) -> dict[str, str]:
    """The filters of the URL that are known; anything else is as good as not given."""
    given = {name: request.GET.get(name, "") for name in _CHOICES}
    return {name: value for name, value in given.items() if value in dict(_CHOICES[name][1])}


def _matches(state: BudgetState, chosen: dict[str, str]) -> bool:
    facts = {"status": state.status, "scope": state.budget.scope_type, "period": state.budget.period}
    return all(facts[name] == value for name, value in chosen.items())


def _filters(chosen: dict[str, str]) -> list[dict[str, Any]]:
    return filter_choices(_CHOICES, chosen)


_CHOICES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "status": ("Status", [(status.value, text) for status, text in STATUS_TEXTS.items()]),
    "scope": ("Scope", [(str(value), str(text)) for value, text in Scope.choices]),
    "period": ("Period", [(kind, kind.capitalize()) for kind in WINDOW_KINDS]),
}
