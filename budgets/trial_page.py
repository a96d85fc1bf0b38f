"""A back-test as the form of a budget shows it, before anything is saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from budgets.amounts import spoken
from budgets.backtest import Mark, Outcome, Tally, WindowReplay
from budgets.labels import per, scope_label, window_label
from budgets.models import Budget
from budgets.past_use import PastUse, past_use
from budgets.terms import ActionTerm
from budgets.trial import DAYS, EXACT_ON_A_PAGE, budget_try
from budgets.trial_report import Affected, Report, happened, report_of
from budgets.windows import ROLLING
from common.display import clock_short

MAX_ROWS = 31
_TITLES = {"team": "Teams", "virtual_key": "Keys", "customer": "Customers", "model": "Models"}
_COLUMNS = {ROLLING: "Day", "total": "Window"}


@dataclass(frozen=True, slots=True)
class Row:
    """A window. `would` and `limit` in the budget's unit, for the bar; `really`: what it came to without the budget."""

    label: str
    would: int
    limit: int
    used: str
    really: str
    crossed: list[tuple[str, str]]
    full_at: str
    stopped: Tally
    stopped_from: str
    degraded: Tally


@dataclass(frozen=True, slots=True)
class TrialPage:
    """`left_out`: windows that are not among the rows, as nothing would have happened in them."""

    days: int
    title: str
    report: Report
    past: str
    column: str
    rows: list[Row]
    left_out: int
    affected: list[tuple[str, list[Affected]]]


def trial_page(budget: Budget, actions: Sequence[ActionTerm], now: datetime) -> TrialPage:
    """Tries the budget, saved or not, on the last days. Problem 422 when that takes too long."""
    tried = budget_try(budget=budget, actions=actions, days=DAYS, now=now, exact_up_to=EXACT_ON_A_PAGE)
    report = report_of(tried)
    shown = _shown(tried.replay.windows)
    return TrialPage(
        days=DAYS,
        title=f"{spoken(budget.unit, budget.limit)} {per(budget)} for {scope_label(budget)}",
        report=report,
        past=past_sentence(budget, past_use(budget, now=now, limit=budget.limit), with_limit=True),
        column=_COLUMNS.get(budget.period, budget.period.capitalize()),
        rows=[_row(budget, window) for window in shown],
        left_out=len(tried.replay.windows) - len(shown),
        affected=[(_TITLES[name], found) for name, found in report.affected.items() if _tells(found)],
    )


def past_sentence(budget: Budget, past: PastUse | None, *, with_limit: bool) -> str:
    """What windows that ended came to, to choose a limit by; empty when there is nothing to say."""
    if past is None:
        return ""
    highest, median, ninth = (spoken(budget.unit, each) for each in (past.highest, past.median, past.ninth))
    of = f"{budget.rolling_days}-day window" if budget.period == ROLLING else budget.period
    if past.windows == 1:
        sentence = f"The last {of} came to {highest}."
    else:
        sentence = (
            f"The last {past.windows} {of}s: at most {highest}, half of them up to {median}, nine in ten up to {ninth}."
        )
    if not with_limit or past.exceeded is None:
        return sentence
    limit = spoken(budget.unit, budget.limit)
    return f"{sentence} A limit of {limit} would have been exceeded in {past.exceeded} of {past.windows}."


def _shown(windows: Sequence[WindowReplay]) -> list[WindowReplay]:
    """All of them, or if there are too many the last in which something would have happened."""
    if len(windows) <= MAX_ROWS:
        return list(windows)
    return [window for window in windows if happened(window)][-MAX_ROWS:]


def _row(budget: Budget, window: WindowReplay) -> Row:
    unit, total = budget.unit, window.total
    return Row(
        label=_label(budget, window),
        would=window.used,
        limit=budget.limit,
        used=spoken(unit, window.used),
        really=spoken(unit, window.before + total.amount) if window.before + total.amount != window.used else "",
        crossed=[(_mark(unit, mark), _local(budget, at)) for mark, at in window.crossed],
        full_at=_filled_at(budget, window),
        stopped=window.stopped,
        stopped_from="" if window.stopped_from is None else _local(budget, window.stopped_from),
        degraded=window.tallies[Outcome.DEGRADED],
    )


def _filled_at(budget: Budget, window: WindowReplay) -> str:
    """When the limit was reached, or the first call came that did not fit into what was left; empty: never."""
    known = [at for at in (window.full_at, window.first.get(Outcome.REFUSED)) if at is not None]
    return _local(budget, min(known)) if known else ""


def _label(budget: Budget, window: WindowReplay) -> str:
    if budget.period == ROLLING:
        return f"{window.period.start.astimezone(budget.zone):%a %-d %b %Y}"
    return window_label(budget, window.period)


def _mark(unit: str, mark: Mark) -> str:
    return spoken(unit, mark.amount) if mark.percent is None else f"{mark.percent}%"


def _local(budget: Budget, at: datetime) -> str:
    return clock_short(at.astimezone(budget.zone))


def _tells(found: Sequence[Affected]) -> bool:
    """Whether the list says more than that calls had no such name."""
    return any(each.name for each in found)
