"""How scopes, periods and what is left of them read on a page and in alerts. Pure."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from budgets.models import VALUE_SCOPES, Action, Budget, Enforcement, Scope
from budgets.terms import ActionTerm
from budgets.windows import ROLLING, TOTAL
from common.display import count, seconds
from common.periods import Period, PeriodKind

_PER = {TOTAL: "in all", **{kind.value: f"per {kind.value}" for kind in PeriodKind}}
_ALMOST = timedelta(microseconds=1)
_TWO_DAYS = timedelta(days=2)


def per(budget: Budget) -> str:
    """ "per month", "in 30 days", "in all"."""
    return f"in {budget.rolling_days} days" if budget.period == ROLLING else _PER[budget.period]


def scope_label(budget: Budget) -> str:
    """The organization's, team's or key's name; "customer acme", "tag env = prod in Search"."""
    if budget.scope_type not in VALUE_SCOPES:
        return str(budget.scope)
    value = f"{budget.tag_name} = {budget.value}" if budget.scope_type == Scope.TAG else budget.value
    within = "" if budget.team is None else f" in {budget.team}"
    return f"{budget.scope_type} {value}{within}"


_MODES = {Enforcement.HARD: "blocks at the limit", Enforcement.NONE: "only counts", Enforcement.SOFT: ""}


def mode_label(budget: Budget, now: datetime) -> str:
    """What a budget does that is not plain telling; "" for that."""
    if budget.paused_until is not None and now < budget.paused_until:
        return "paused"
    mode = _MODES[Enforcement(budget.enforcement)]
    return f"shadow: would {mode.replace('blocks', 'block')}" if budget.shadow and mode.startswith("blocks") else mode


def action_label(action: ActionTerm) -> str:
    """ "Throttle to 60 requests and 100,000 tokens per minute"."""
    rates = ((action.requests_per_minute, "requests"), (action.tokens_per_minute, "tokens"))
    told = " and ".join(f"{count(rate)} {name}" for rate, name in rates if rate is not None)
    text = str(Action(action.action).label)
    return f"{text} to {told} per minute" if told else text


def window_label(budget: Budget, period: Period) -> str:
    """What of time counts: as `period_label`, "last 30 days", "all time"."""
    if budget.period == TOTAL:
        return "all time"
    if budget.period == ROLLING:
        return f"last {budget.rolling_days} days"
    return period_label(PeriodKind(budget.period), period, budget.zone)


def period_label(kind: PeriodKind, period: Period, zone: ZoneInfo) -> str:
    """ "November 2026", "23–29 Nov 2026", "Tue 24 Nov 2026", "Tue 24 Nov 2026, 14:00", in the budget's zone."""
    first, last = period.start.astimezone(zone), (period.end - _ALMOST).astimezone(zone)
    match kind:
        case PeriodKind.YEAR if first.month == 1:
            return f"{first:%Y}"
        case PeriodKind.YEAR | PeriodKind.QUARTER if first.year != last.year:
            return f"{first:%b %Y} – {last:%b %Y}"
        case PeriodKind.YEAR | PeriodKind.QUARTER:
            return f"{first:%b} – {last:%b %Y}"
        case PeriodKind.MONTH:
            return f"{first:%B %Y}"
        case PeriodKind.WEEK if first.month == last.month:
            return f"{first.day}–{last:%-d %b %Y}"
        case PeriodKind.WEEK:
            return f"{first:%-d %b} – {last:%-d %b %Y}"
        case PeriodKind.DAY:
            return f"{first:%a %-d %b %Y}"
        case PeriodKind.HOUR:
            return f"{first:%a %-d %b %Y, %H:%M}"


def time_left(end: datetime, now: datetime) -> str:
    """ "6 days", "17 h 5 min"; nothing smaller than minutes."""
    left = end - now
    if left >= _TWO_DAYS:
        return f"{left.days} days"
    return seconds(max(60, int(left.total_seconds()) // 60 * 60))
