"""A back-test in words and short lists, the same for the page and the API."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from budgets.amounts import spoken
from budgets.backtest import Outcome, Tally, WindowReplay
from budgets.backtest_source import Grain
from budgets.models import Action
from budgets.trial import Tried
from budgets.untold import untold_sentence
from budgets.windows import ROLLING
from common.display import count, moment, percent, share, usd
from tenants.models import Team, VirtualKey

TOP = 5
MAX_WINDOWS = 100
GRAINS = {
    Grain.EVENT: "Every call was replayed one by one.",
    Grain.HOUR: "Replayed from sums by the hour: when it stops is known to the hour, and calls within one are"
    " stopped in equal parts.",
    Grain.DAY: "Replayed from sums by the organization’s days: when it stops is known to the day, and calls within"
    " one are stopped in equal parts.",
}
_LEFT_OUT = {Action.THROTTLE: "throttling", Action.DEGRADE: "degrading"}
RETRIES = "That callers would have tried again, or asked for less, is not modelled."


@dataclass(frozen=True, slots=True)
class Affected:
    """Whose calls were stopped or degraded. `name` is "" for calls without one, such as without a customer."""

    value: str
    name: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class Report:
    """`windows` are at most MAX_WINDOWS: all of them, or the last in which something would have happened."""

    tried: Tried
    sentence: str
    notes: list[str]
    windows: list[WindowReplay]
    affected: dict[str, list[Affected]]


def report_of(tried: Tried) -> Report:
    """One query for names of teams and one for those of keys."""
    return Report(
        tried=tried,
        sentence=_sentence(tried),
        notes=list(_notes(tried)),
        windows=_shown(tried.replay.windows),
        affected={dimension: _top(tried, dimension) for dimension in tried.told if dimension in tried.replay.affected},
    )


def happened(window: WindowReplay) -> bool:
    """Would the budget have done or said anything in it?"""
    return bool(window.crossed or window.full_at or window.stopped.calls or window.tallies[Outcome.DEGRADED].calls)


def _shown(windows: Sequence[WindowReplay]) -> list[WindowReplay]:
    if len(windows) <= MAX_WINDOWS:
        return list(windows)
    return [window for window in windows if happened(window)][-MAX_WINDOWS:]


def _sentence(tried: Tried) -> str:
    windows, total = tried.replay.windows, tried.replay.total
    if not windows and tried.untold:
        return "What the budget would have counted in this time is not known."
    if not windows:
        return "Nothing was used in this time that the budget would have counted."
    if tried.replay.stopped.calls or tried.replay.spared.cost:
        return _what_it_did(tried)
    full = [window for window in windows if window.full_at is not None]
    unit, limit = tried.budget.unit, tried.trial.limit
    if full:
        over = sum(max(0, window.used - limit) for window in full)
        past = f", by {spoken(unit, over)} in all" if over and tried.budget.period != ROLLING else ""
        return (
            f"It refuses nothing. The limit would have been reached in {_of_windows(tried, full)}{past}, first on"
            f" {_local(tried, min(window.full_at for window in full if window.full_at))}."
        )
    fullest = max(window.used for window in windows)
    return (
        f"It would have stopped none of {_calls(total.calls)}. The fullest {_noun(tried)} came to"
        f" {percent(share(fullest, limit))} of the limit."
    )


def _what_it_did(tried: Tried) -> str:
    replay, total = tried.replay, tried.replay.total
    parts = []
    if replay.stopped.calls:
        stopped = [window for window in replay.windows if window.stopped.calls]
        first = min(window.stopped_from for window in stopped if window.stopped_from)
        parts.append(
            f"It would have stopped {count(replay.stopped.calls)} of {_calls(total.calls)}"
            f" ({usd(replay.stopped.cost)} of {usd(total.cost)}) in {_of_windows(tried, stopped)}, first on"
            f" {_local(tried, first)}."
        )
    degraded = replay.tally(Outcome.DEGRADED).calls
    if degraded:
        parts.append(f"{_calls(degraded)} would have gone to a cheaper model, {usd(replay.spared.cost)} less.")
    return " ".join(parts)


def _notes(tried: Tried) -> Iterator[str]:
    budget, replay = tried.budget, tried.replay
    yield GRAINS[tried.grain]
    if tried.untold:
        yield untold_sentence(budget, tried.untold)
    if budget.shadow:
        yield "In shadow it stops nothing; this is what it would do without it."
    if replay.windows and replay.windows[0].before:
        used = spoken(budget.unit, replay.windows[0].before)
        yield f"The first {_noun(tried)} had begun before; the {used} used in it until then count as they were."
    if replay.stopped.calls:
        yield RETRIES
    if budget.forecast_thresholds:
        yield "Thresholds on the forecast are not replayed."
    if tried.left_out:
        what = " and ".join(sorted(_LEFT_OUT[action] for action in tried.left_out))
        yield f"These sums do not tell single calls: {what} is not replayed."
    if any(step.action is Action.DEGRADE for step in tried.trial.steps):
        yield "A degraded call is priced with the same tokens at the cheaper model of the ladder, where it has one."


def _of_windows(tried: Tried, some: Sequence[WindowReplay]) -> str:
    return f"{len(some)} of {len(tried.replay.windows)} {_noun(tried)}{'s' if len(tried.replay.windows) != 1 else ''}"


def _noun(tried: Tried) -> str:
    """What a line of the replay is: a rolling window is told by its days."""
    return {ROLLING: "day", "total": "window"}.get(tried.budget.period, tried.budget.period)


def _calls(number: int) -> str:
    return f"{count(number)} call{'s' if number != 1 else ''}"


def _local(tried: Tried, at: datetime) -> str:
    return moment(at.astimezone(tried.budget.zone))


def _top(tried: Tried, dimension: str) -> list[Affected]:
    found = tried.replay.affected[dimension]
    most = sorted(found.items(), key=lambda item: (-item[1].cost, -item[1].calls, item[0]))[:TOP]
    names = _NAMES.get(dimension, _themselves)(tried.budget.organization_id, [value for value, _ in most])
    return [Affected(value, names.get(value, ""), tally) for value, tally in most]


def _themselves(organization_id: int, values: Sequence[str]) -> dict[str, str]:
    return {value: value for value in values}


def _of_teams(organization_id: int, values: Sequence[str]) -> dict[str, str]:
    teams = Team.objects.filter(organization_id=organization_id, id__in=values)
    return {str(team_id): name for team_id, name in teams.values_list("id", "name")}


def _of_keys(organization_id: int, values: Sequence[str]) -> dict[str, str]:
    keys = VirtualKey.objects.filter(organization_id=organization_id, id__in=values)
    return {str(key_id): name for key_id, name in keys.values_list("id", "name")}


_NAMES: dict[str, Callable[[int, Sequence[str]], dict[str, str]]] = {"team": _of_teams, "virtual_key": _of_keys}
