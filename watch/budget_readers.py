"""What rules about budgets read: whether one will be overrun, and when it is used up."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from alerts.facts import Fact
from alerts.watching import Reading
from budgets.amounts import spoken
from budgets.applying import window_of
from budgets.limits import limits_now
from budgets.models import Budget, Unit
from budgets.standing import used
from budgets.thresholds import run_rate
from budgets.windows import ROLLING, TOTAL
from common.display import moment
from common.ids import parse_id
from common.money import to_usd
from common.periods import Period
from watch.detectors import forecast_overrun, run_out, used_up_at
from watch.place import Place

# Earlier than this in a window, one busy day makes the forecast.
EARLIEST = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Stand:
    """A budget and where it stands, in its unit."""

    budget: Budget
    period: Period
    used: int
    limit: int


def stands(place: Place) -> list[Stand]:
    """The budgets of the rule's scope that are not paused."""
    budgets = Budget.objects.in_force().with_scope().filter(organization=place.organization)
    if place.rule.scope_value:
        budgets = budgets.filter(id=parse_id(place.rule.scope_value) or 0)
    present = [each for each in budgets if each.paused_until is None or each.paused_until <= place.now]
    spent, limits = used(present, place.now), limits_now(present, place.now)
    return [
        Stand(each, window_of(each).at(place.now), spent[each.id].of(each.unit), limits[each.id]) for each in present
    ]


def read_forecasts(place: Place) -> Iterator[Reading]:
    """A budget with thresholds of its own on the forecast speaks for itself."""
    for stand in stands(place):
        budget, elapsed = stand.budget, stand.period.elapsed(place.now)
        if budget.forecast_thresholds or budget.period in (ROLLING, TOTAL) or elapsed < EARLIEST:
            continue
        forecast = run_rate(stand.used, elapsed)
        level = forecast_overrun(forecast, stand.limit, **place.values)
        if level is None or forecast is None:
            continue
        said = f"{spoken(budget.unit, forecast)} by the end of its period, of {spoken(budget.unit, stand.limit)}"
        yield Reading(
            f"budget:{budget.id}",
            level,
            _period(stand),
            title=f"{budget.name}: on course for {said}",
            facts=_facts(place, stand) | {"forecast": _fact(budget, forecast)},
            value=f"On course for {said}",
        )


def read_run_outs(place: Place) -> Iterator[Reading]:
    """A budget that is used up already has told so by its threshold."""
    for stand in stands(place):
        budget, since = stand.budget, _since(stand)
        early = stand.period.elapsed(place.now) < EARLIEST and budget.period != TOTAL
        if budget.period == ROLLING or early or stand.used >= stand.limit or place.now - since < timedelta(days=1):
            continue
        runs_out = used_up_at(
            left=stand.limit - stand.used, spent_lately=stand.used, lately=place.now - since, now=place.now
        )
        said = moment(None if runs_out is None else runs_out.astimezone(budget.zone))
        yield Reading(
            f"budget:{budget.id}",
            run_out(runs_out, now=place.now, end=stand.period.end, days=place.values["days"]),
            _period(stand),
            title=f"{budget.name} is used up by {said} if it goes on like this",
            facts=_facts(place, stand) | {"runs_out_at": None if runs_out is None else runs_out.isoformat()},
            value=f"Used up by {said}",
        )


def _since(stand: Stand) -> datetime:
    """Since when it counts: a total one has no period that began."""
    return stand.budget.counts_from if stand.budget.period == TOTAL else stand.period.start


def _period(stand: Stand) -> str:
    return f"{stand.period.start:%Y-%m-%dT%H:%MZ}"


def _facts(place: Place, stand: Stand) -> dict[str, Fact | None]:
    budget = stand.budget
    return {
        "budget": budget.name,
        "spent": _fact(budget, stand.used),
        "limit": _fact(budget, stand.limit),
        "period_start": stand.period.start.isoformat(),
        "period_end": None if budget.period == TOTAL else stand.period.end.isoformat(),
        "timezone": budget.timezone,
        "rule": place.rule.name,
        "link": place.path(f"budgets/{budget.id}"),
    }


def _fact(budget: Budget, amount: int) -> str:
    """A decimal string of USD, which alerts know to write; tokens and requests as text."""
    return str(to_usd(amount)) if budget.unit == Unit.COST else spoken(budget.unit, amount)
