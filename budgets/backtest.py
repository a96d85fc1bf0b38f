"""What a budget would have done with usage that has happened. Pure.

Calls go by in the order of time; each is asked for as it would have been on its way to the provider, by an engine that
knew what it was going to cost. What is stopped is not spent, so a hard budget has room again for a smaller call. That a
caller would have tried again, or have stopped asking, is not modelled.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple

from budgets.models import Action, Unit
from budgets.windows import Window
from common.periods import Period


class Outcome(StrEnum):
    ALLOWED = "allowed"
    DEGRADED = "degraded"
    THROTTLED = "throttled"
    ASKED = "asked"
    REFUSED = "refused"


STOPPED = (Outcome.THROTTLED, Outcome.ASKED, Outcome.REFUSED)
# From the mildest to the strictest; of those that are reached the strictest counts.
_STRICTNESS = (Action.THROTTLE, Action.DEGRADE, Action.APPROVE, Action.BLOCK)


class Call(NamedTuple):
    """Usage of a moment: one event, or what a bucket of time adds up to. `cost` is nano-USD, 0 while it is not known.

    `certain`: a fee or a correction, which no budget could have stopped.
    """

    at: datetime
    cost: int
    tokens: int
    requests: int
    unpriced: int
    team_id: int
    virtual_key_id: int
    customer: str
    model: str
    certain: bool = False
    # What it would have cost with the cheaper model that a degrading budget suggests; None: there is none.
    cheaper: int | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A threshold: the amount, in the budget's unit, at which it speaks up; no percent where it was set as such."""

    amount: int
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to calls once `amount` of the limit is used."""

    amount: int
    action: Action
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """The budget that is tried. `hard`: what does not fit is refused. `divisible`: a call stands for many, so that a
    part of it may fit. Marks and steps may come in any order."""

    window: Window
    unit: str
    limit: int
    hard: bool
    marks: tuple[Mark, ...] = ()
    steps: tuple[Step, ...] = ()
    block_unpriced: bool = False
    divisible: bool = False


@dataclass(slots=True)
class Tally:
    """`amount` is in the budget's unit, `cost` in nano-USD."""

    calls: int = 0
    amount: int = 0
    cost: int = 0

    def add(self, calls: int, amount: int, cost: int) -> None:
        self.calls += calls
        self.amount += amount
        self.cost += cost

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.calls + other.calls, self.amount + other.amount, self.cost + other.cost)


@dataclass(slots=True)
class WindowReplay:
    """One window of the budget; of a rolling budget, one day and the days before it that count with it.

    `before`: what was used in it already when its first call came (for a rolling one, on the days before).
    """

    period: Period
    before: int
    used: int
    tallies: dict[Outcome, Tally] = field(default_factory=lambda: {outcome: Tally() for outcome in Outcome})
    first: dict[Outcome, datetime] = field(default_factory=dict)
    crossed: list[tuple[Mark, datetime]] = field(default_factory=list)
    # When the limit was reached, whatever came of it.
    full_at: datetime | None = None
    # nano-USD and units that cheaper models would have spared.
    spared: Tally = field(default_factory=Tally)

    @property
    def total(self) -> Tally:
        """All that really happened."""
        return sum(self.tallies.values(), self.spared)

    @property
    def stopped(self) -> Tally:
        return sum((self.tallies[outcome] for outcome in STOPPED), Tally())

    @property
    def stopped_from(self) -> datetime | None:
        return min((self.first[outcome] for outcome in STOPPED if outcome in self.first), default=None)


# Whose calls are told apart: dimension → field of a call.
AFFECTED = {"team": "team_id", "virtual_key": "virtual_key_id", "customer": "customer", "model": "model"}
# Dimension → value → what was stopped or degraded of it.
Affected = dict[str, dict[str, Tally]]


@dataclass(frozen=True, slots=True)
class Replay:
    """Windows with usage, in order of time."""

    windows: list[WindowReplay]
    affected: Affected

    def tally(self, *outcomes: Outcome) -> Tally:
        return sum((each.tallies[outcome] for each in self.windows for outcome in outcomes), Tally())

    @property
    def total(self) -> Tally:
        return sum((each.total for each in self.windows), Tally())

    @property
    def stopped(self) -> Tally:
        return self.tally(*STOPPED)

    @property
    def spared(self) -> Tally:
        return sum((each.spared for each in self.windows), Tally())


def replay(trial: Trial, calls: Iterable[Call], *, before: Mapping[datetime, int]) -> Replay:
    """Lets the calls, which come in the order of time, go by the budget.

    `before`: what was used before the first of them in windows that are still open then, by the start of the slot
    (`Window.slot_at`) it counts in.
    """
    course = _Course(trial, before)
    for call in calls:
        course.take(call)
    return Replay(course.windows, {name: dict(values) for name, values in course.affected.items()})


_AMOUNT: dict[Unit, Callable[[Call], int]] = {
    Unit.COST: attrgetter("cost"),
    Unit.TOKENS: attrgetter("tokens"),
    Unit.REQUESTS: attrgetter("requests"),
}


class _Course:
    """Where a replay stands."""

    def __init__(self, trial: Trial, before: Mapping[datetime, int]) -> None:
        self.windows: list[WindowReplay] = []
        self.affected: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
        self._trial = trial
        self._amount = _AMOUNT[Unit(trial.unit)]
        self._marks = sorted(trial.marks, key=lambda mark: mark.amount)
        self._steps = sorted(trial.steps, key=lambda step: _STRICTNESS.index(step.action), reverse=True)
        self._slots = dict(before)
        self._next_mark = 0
        self._minute: datetime | None = None
        self._this_minute = (0, 0)

    def take(self, call: Call) -> None:
        if not self.windows or not self.windows[-1].period.start <= call.at < self.windows[-1].period.end:
            self._enter(call.at)
        window = self.windows[-1]
        step = self._reached(window.used) if self._steps and not call.certain else None
        if call.certain:
            self._count(window, call)
        elif (refusal := self._refusal(step, call)) is not None:
            self._stop(window, call, refusal)
        elif step is not None and step.action is Action.DEGRADE and call.cheaper is not None:
            self._fit(window, call._replace(cost=call.cheaper), instead_of=call)
        else:
            self._fit(window, call)

    def _enter(self, at: datetime) -> None:
        """Opens the window that holds the moment."""
        if self.windows:
            last = self.windows[-1]
            self._slots[last.period.start] = self._slots.get(last.period.start, 0) + last.used - last.before
        slot, counts_from = self._trial.window.slot_at(at), self._trial.window.at(at).start
        self._slots = {start: amount for start, amount in self._slots.items() if start >= counts_from}
        before = sum(self._slots.values())
        full_at = slot.start if before >= self._trial.limit else None
        self.windows.append(WindowReplay(slot, before, before, full_at=full_at))
        self._next_mark = sum(1 for mark in self._marks if mark.amount <= before)

    def _reached(self, used: int) -> Step | None:
        """The strictest step that is reached."""
        return next((step for step in self._steps if used >= step.amount), None)

    def _refusal(self, step: Step | None, call: Call) -> Outcome | None:
        if call.unpriced and self._trial.block_unpriced:
            return Outcome.REFUSED
        match step.action if step is not None else None:
            case Action.BLOCK:
                return Outcome.REFUSED
            case Action.APPROVE:
                return Outcome.ASKED
            case Action.THROTTLE if step is not None and self._too_fast(step, call):
                return Outcome.THROTTLED
        return None

    def _too_fast(self, step: Step, call: Call) -> bool:
        """Whether the minute has no room for the call; it takes its place when there is."""
        minute = call.at.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute, self._this_minute = minute, (0, 0)
        requests, tokens = self._this_minute[0] + call.requests, self._this_minute[1] + call.tokens
        if _above(requests, step.requests_per_minute) or _above(tokens, step.tokens_per_minute):
            return True
        self._this_minute = (requests, tokens)
        return False

    def _fit(self, window: WindowReplay, call: Call, *, instead_of: Call | None = None) -> None:
        """Lets the call through as far as the limit has room for it."""
        amount, left = self._amount(call), self._trial.limit - window.used
        # What takes nothing always fits; what takes nobody knows how much, as long as anything is left.
        fits = amount <= left if amount else left > 0 or not call.unpriced
        if not self._trial.hard or fits:
            self._count(window, call, instead_of=instead_of)
        elif self._trial.divisible and left > 0:
            some = _part(call, left, amount)
            self._count(window, some)
            self._stop(window, _without(instead_of or call, some), Outcome.REFUSED)
        else:
            self._stop(window, instead_of or call, Outcome.REFUSED)

    def _count(self, window: WindowReplay, call: Call, *, instead_of: Call | None = None) -> None:
        amount = self._amount(call)
        outcome = Outcome.ALLOWED if instead_of is None else Outcome.DEGRADED
        self._note(window, call, outcome)
        if instead_of is not None:
            window.spared.add(0, self._amount(instead_of) - amount, instead_of.cost - call.cost)
            self._affect(instead_of)
        window.used += amount
        if window.full_at is None and window.used >= self._trial.limit:
            window.full_at = call.at
        while self._next_mark < len(self._marks) and self._marks[self._next_mark].amount <= window.used:
            window.crossed.append((self._marks[self._next_mark], call.at))
            self._next_mark += 1

    def _stop(self, window: WindowReplay, call: Call, outcome: Outcome) -> None:
        self._note(window, call, outcome)
        self._affect(call)

    def _note(self, window: WindowReplay, call: Call, outcome: Outcome) -> None:
        window.tallies[outcome].add(call.requests, self._amount(call), call.cost)
        window.first.setdefault(outcome, call.at)

    def _affect(self, call: Call) -> None:
        amount = self._amount(call)
        for dimension in AFFECTED:
            self.affected[dimension][str(getattr(call, AFFECTED[dimension]))].add(call.requests, amount, call.cost)


def _above(value: int, limit: int | None) -> bool:
    return limit is not None and value > limit


def _part(call: Call, numerator: int, denominator: int) -> Call:
    """So much of a call that stands for many; whole numbers, cut."""
    return call._replace(**{name: getattr(call, name) * numerator // denominator for name in _MEASURES})


def _without(call: Call, some: Call) -> Call:
    return call._replace(**{name: getattr(call, name) - getattr(some, name) for name in _MEASURES})


_MEASURES = ("cost", "tokens", "requests", "unpriced")
