"""Whether alerts tell the truth: a simulated year of spend with incidents of which everything is known.

No database: the detector and the state machine that the product runs, hour by hour, on spend with a daily and a weekly
rhythm, growth, noise and steps that last. Nothing of the incidents is known to what looks for them.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from alerts.machine import Standing, Step, step
from alerts.rule_kinds import RuleKind, damping_of, values_of
from budgets.thresholds import crossed
from common.money import NANO
from common.periods import PeriodKind, period_at
from watch.detectors import growth, spend_anomaly
from watch.hours import HOUR, Hours

SEED = 20_261_124
YEAR = 365
START = datetime(2025, 1, 6, tzinfo=UTC)
ZONE = ZoneInfo("UTC")
THRESHOLDS = (50, 80, 100)
INCIDENTS = 24
# An alert counts for an incident from its start until so long after its end.
GRACE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a scope spends: dollars an hour at its height, how much less at night and at weekends, noise, growth."""

    name: str
    dollars: float
    night: float
    weekend: float
    noise: float
    yearly_growth: float = 0.0
    # Day of the year on which spend steps up for good, and to how many times.
    step: tuple[int, float] | None = None


SHAPES = (
    Shape("organization", 40, 0.35, 0.4, 0.10, yearly_growth=1.5),
    Shape("office team", 12, 0.08, 0.10, 0.25, yearly_growth=0.5),
    Shape("night batches", 9, 1.0, 1.0, 0.15),
    Shape("consumer app", 20, 0.5, 1.25, 0.15, yearly_growth=3.0),
    Shape("noisy agent", 6, 0.6, 0.6, 0.50),
    Shape("small key", 1.5, 0.5, 0.5, 0.30),
    Shape("new workload", 15, 0.4, 0.5, 0.20, step=(180, 1.8)),
    Shape("shrinking", 18, 0.4, 0.5, 0.20, yearly_growth=-0.6),
)


@dataclass(frozen=True, slots=True)
class Incident:
    start: datetime
    end: datetime
    times: float


@dataclass(frozen=True, slots=True)
class Simulated:
    shape: Shape
    hours: Hours
    incidents: list[Incident]


def simulated(shape: Shape, source: random.Random) -> Simulated:
    incidents = _incidents(source)
    spent = [_spent(shape, START + HOUR * number, incidents, source) for number in range(YEAR * 24)]
    return Simulated(shape, Hours(START, (0, *accumulate(spent))), incidents)


def _incidents(source: random.Random) -> list[Incident]:
    """Evenly over the year after its first five weeks, one in each stretch of two weeks, most nearer 2× than 5×."""
    first, found = 35, []
    stretch = (YEAR - first) // INCIDENTS
    for number in range(INCIDENTS):
        start = START + timedelta(days=first + number * stretch, hours=source.randrange(24 * (stretch - 5)))
        found.append(Incident(start, start + HOUR * source.randrange(6, 73), 2 + 3 * source.random() ** 2))
    return found


def _spent(shape: Shape, at: datetime, incidents: list[Incident], source: random.Random) -> int:
    working = 1.0 if 8 <= at.hour < 20 else shape.night
    weekly = shape.weekend if at.weekday() >= 5 else 1.0
    day = (at - START).days
    level = (1 + shape.yearly_growth * day / YEAR) * (shape.step[1] if shape.step and day >= shape.step[0] else 1.0)
    incident = next((each.times for each in incidents if each.start <= at < each.end), 1.0)
    return int(shape.dollars * working * weekly * level * incident * source.lognormvariate(0, shape.noise) * NANO)


def alerts_of(scope: Simulated) -> Iterator[datetime]:
    """When the anomaly rule with its default parameters fires, read once an hour."""
    values, damping = values_of(RuleKind.SPEND_ANOMALY, {}), damping_of(RuleKind.SPEND_ANOMALY)
    standing, grown = Standing(), 100
    for number in range(1, YEAR * 24):
        now = START + HOUR * number
        if now.hour == 0:
            grown = growth(scope.hours, now, ZONE, START)
        found = spend_anomaly(scope.hours, now, zone=ZONE, since=START, grown=grown, **values)
        if found is not None:
            standing, moved = step(
                standing, found.level, period=f"{now:%Y-%m-%d}", at=now, damping=damping, renews=False
            )
            if moved in {Step.FIRED, Step.FIRED_AGAIN, Step.RENEWED}:
                yield now


@dataclass(frozen=True, slots=True)
class Truth:
    found: int
    incidents: int
    false_by_month: list[int]

    @property
    def recall(self) -> float:
        return self.found / self.incidents


def truth_of(scope: Simulated) -> Truth:
    fired = list(alerts_of(scope))
    found = sum(any(each.start <= at <= each.end + SLACK for at in fired) for each in scope.incidents)
    false = [at for at in fired if not any(each.start <= at <= each.end + GRACE for each in scope.incidents)]
    by_month = [sum(at.month == month and at.year == START.year for at in false) for month in range(1, 13)]
    return Truth(found, len(scope.incidents), by_month)


# Found is what was told while it lasted, or before the short stretch that ends with it is over.
SLACK = timedelta(hours=6)


def crossings_of(scope: Simulated, limit: int) -> tuple[int, int, int]:
    """(crossings, told once, told wrongly) of a monthly budget's thresholds, settled hour by hour."""
    told: dict[tuple[datetime, int], int] = {}
    spent: dict[datetime, int] = {}
    fired: dict[datetime, int] = {}
    truth: set[tuple[datetime, int]] = set()
    for number in range(YEAR * 24):
        at = START + HOUR * number
        month = period_at(PeriodKind.MONTH, at, ZONE).start
        before = spent.get(month, 0)
        spent[month] = before + (scope.hours.before(at + HOUR, HOUR) or 0)
        passed = [each for each in THRESHOLDS if before * 100 < limit * each <= spent[month] * 100]
        truth |= {(month, max(passed))} if passed else set()
        # Read twice: a second reading of the same moment must say nothing.
        for _ in range(2):
            threshold = crossed(spent[month], limit, THRESHOLDS, fired=fired.get(month, 0))
            if threshold is not None:
                fired[month] = threshold
                told[month, threshold] = told.get((month, threshold), 0) + 1
    once = sum(told.get(each) == 1 for each in truth)
    return len(truth), once, sum(count for each, count in told.items() if each not in truth or count > 1)


def measure() -> bool:
    """Prints what was found and what was not; whether all of it is within what is promised."""
    started, source, good = time.perf_counter(), random.Random(SEED), True
    print(
        f"\nAlert truth: {len(SHAPES)} scopes, a year by the hour, {INCIDENTS} incidents each of 2 to 5 times the usual"
    )
    print(f"{'scope':<16}{'recall':>8}{'false alarms':>14}{'by month':>16}{'crossings told once':>22}{'wrongly':>9}")
    for shape in SHAPES:
        scope = simulated(shape, source)
        truth = truth_of(scope)
        crossings, once, wrong = crossings_of(scope, limit=scope.hours.running[-1] // 12)
        months = "".join(str(count) for count in truth.false_by_month)
        told = f"{once} of {crossings}"
        false = sum(truth.false_by_month)
        print(f"{shape.name:<16}{truth.recall:>8.2f}{false:>14}{months:>16}{told:>22}{wrong:>9}")
        good = good and truth.recall >= 0.9 and max(truth.false_by_month) <= 1 and once == crossings and not wrong
    print(
        f"{'as promised' if good else 'NOT as promised'}: recall at least 0.90, at most 1 false alarm a month,"
        f" every crossing once; {time.perf_counter() - started:.0f} s"
    )
    return good
