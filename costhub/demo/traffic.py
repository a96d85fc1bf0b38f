"""The usage of a day of the demo company. Pure: the same seed and day always give the same events."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from costhub.demo.company import HISTORY_DAYS, INCIDENT, WORKLOADS, Incident, Migration, Model, Shares, Workload
from pricing.usage_buckets import Buckets
from usage.records import Reported

# Spread of token counts around their median: a few calls are ten times as large as most.
SPREAD = 0.55
_MONDAYS = (1.0, 1.06, 1.08, 1.04, 0.9)  # weekdays differ a little
Use = tuple[str, Reported]  # the name of the key, and what it reports


@dataclass(frozen=True, slots=True)
class Calendar:
    """Where on the calendar the company's story lies. `incident` is the local day on which the agent runs away."""

    seed: int
    first: date
    incident: date
    zone: ZoneInfo


def day_of_usage(calendar: Calendar, day: date) -> list[Use]:
    """Everything that was called on a local day, by time."""
    number = (day - calendar.first).days
    uses = [
        (workload.key, event)
        for workload in WORKLOADS
        if number >= workload.first_day
        for event in _calls(workload, calendar, day, number)
    ]
    uses += ((INCIDENT.key, event) for event in _runaway(INCIDENT, calendar, day))
    uses.sort(key=lambda use: (use[1].time, use[1].id))
    return uses


def expected_calls(workload: Workload, number: int, weekday: int) -> float:
    """The mean number of events on a day of the story; after its 90 days the company stays as large as it is."""
    grown = 1 + workload.growth * min(number, HISTORY_DAYS) / HISTORY_DAYS
    return workload.per_day * grown * (_MONDAYS[weekday] if weekday < 5 else workload.rhythm.weekend)


def shares(workload: Workload, number: int) -> list[tuple[Model, float]]:
    """Which models a workload calls on a day of the story; during a migration the old and the new ones."""
    move: Migration | None = workload.migration
    moved = 0.0 if move is None else min(1.0, max(0.0, (number - move.day + 1) / move.over))
    mixed: dict[Model, float] = {}
    for models, part in ((workload.models, 1 - moved), (move.to if move else _NOTHING, moved)):
        for model, share in models.items():
            mixed[model] = mixed.get(model, 0.0) + share * part
    return [(model, share) for model, share in mixed.items() if share > 0]


_NOTHING: Shares = {}


def _calls(workload: Workload, calendar: Calendar, day: date, number: int) -> Iterator[Reported]:
    rng = Random(f"{calendar.seed}:{workload.key}:{day}")
    mean = expected_calls(workload, number, day.weekday()) * rng.uniform(0.88, 1.12)
    count = max(0, round(rng.gauss(mean, math.sqrt(mean))))
    hours = [datetime(day.year, day.month, day.day, hour, tzinfo=calendar.zone).astimezone(UTC) for hour in range(24)]
    starts = sorted(
        hours[hour] + timedelta(milliseconds=rng.randrange(3_600_000))
        for hour in rng.choices(range(24), workload.rhythm.hours, k=count)
    )
    models, weights = zip(*shares(workload, number), strict=True)
    prefix, together = f"{workload.key}-{day:%y%m%d}", workload.events_per_run
    for index, (at, model) in enumerate(zip(starts, rng.choices(models, weights, k=count), strict=True)):
        place = _Place(f"{prefix}-{index // together:03d}", index // together, index % together)
        yield _call(workload, rng, f"{prefix}-{index:04d}", at, model, place)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a call stands in its run: the name and number of the run, and the number of the call in it."""

    run: str
    number: int
    step: int

    def span(self, step: int) -> str:
        return f"{self.run}-s{step}"

    @property
    def parent(self) -> str:
        """The first call starts the run, each starts up to two others."""
        return self.span((self.step - 1) // 2) if self.step else ""


def _call(workload: Workload, rng: Random, event_id: str, at: datetime, model: Model, place: _Place) -> Reported:
    in_run = workload.events_per_run > 1
    luck = rng.random()
    status = "error" if luck < workload.errors else "cancelled" if luck > 0.997 else "ok"
    output = 0 if status == "error" else _around(rng, workload.output) // (3 if status == "cancelled" else 1)
    buckets = _buckets(workload, rng, model, 0 if status == "error" else _around(rng, workload.input), output)
    return Reported(
        event_id,
        at,
        model[0],
        model[1],
        buckets,
        workload.operation,
        "standard",
        status,
        "semantic" if status == "ok" and rng.random() < workload.own_cache else "miss",
        int(380 * rng.lognormvariate(0, 0.4)) + output * 11,
        None,
        "provider",
        _one_of(workload.customers, rng, place if in_run else None),
        workload.feature,
        _agent(workload, place),
        _one_of(_people(workload.people), rng, place if in_run else None),
        place.run if in_run else "",
        place.span(place.step) if in_run else "",
        place.parent if in_run else "",
        place.run if in_run else "",
        "",
        {"env": workload.env},
    )


def _one_of(names: Sequence[str], rng: Random, place: _Place | None) -> str:
    """Any of the names; all calls of a run are for the same one."""
    if not names:
        return ""
    drawn = rng.randrange(len(names))
    return names[drawn if place is None else place.number * 5 % len(names)]


def _people(count: int) -> list[str]:
    return [f"u_{number + 1:02d}" for number in range(count)]


def _agent(workload: Workload, place: _Place) -> str:
    """The agent itself makes the first call of a run, its helpers take turns in what follows."""
    return (
        workload.helpers[(place.step - 1) % len(workload.helpers)]
        if workload.helpers and place.step
        else workload.agent
    )


def _around(rng: Random, median: int) -> int:
    return int(median * rng.lognormvariate(0, SPREAD)) if median else 0


def _buckets(workload: Workload, rng: Random, model: Model, input_tokens: int, output: int) -> Buckets:
    cached = int(input_tokens * min(0.97, workload.cached * rng.uniform(0.75, 1.15)))
    # Who reads much from this provider's cache has paid for writing to it.
    written = int((input_tokens - cached) * 0.6) if cached and model[0] == "anthropic" else 0
    reasoning = int(output * workload.reasoning * rng.uniform(0.6, 1.3))
    calls = workload.requests
    return Buckets(
        uncached_input=(input_tokens - cached - written) * calls,
        cache_read=cached * calls,
        cache_write_5m=written * calls,
        output=(output - reasoning) * calls,
        reasoning_output=reasoning * calls,
        requests=calls,
    )


def _runaway(incident: Incident, calendar: Calendar, day: date) -> Iterator[Reported]:
    """The turns of the runaway agent that fall on this local day."""
    if not 0 <= (day - calendar.incident).days <= 1:
        return
    rng = Random(f"{calendar.seed}:incident")
    on = calendar.incident
    start = datetime(on.year, on.month, on.day, incident.hour, tzinfo=calendar.zone).astimezone(UTC)
    pause = timedelta(hours=incident.hours) / incident.calls
    growth = (incident.last_input - incident.first_input) / incident.calls
    for turn in range(incident.calls):
        at = start + pause * turn + timedelta(milliseconds=rng.randrange(2_000))
        input_tokens = int((incident.first_input + growth * turn) * rng.uniform(0.97, 1.03))
        output = _around(rng, incident.output)
        if at.astimezone(calendar.zone).date() == day:
            yield _turn(incident, at, input_tokens, output, f"runaway-{on:%y%m%d}", turn)


def _turn(incident: Incident, at: datetime, input_tokens: int, output: int, run: str, turn: int) -> Reported:
    # Every turn sends the whole conversation again, part of it known to the provider's cache.
    cached = input_tokens // 2
    provider, model = incident.model
    return Reported(
        f"{run}-{turn:04d}", at, provider, model, Buckets(input_tokens - cached, cached, output=output), "chat",
        "standard", "ok", "miss", 900 + output * 12, None, "provider", "", "", incident.agent, "u_03", run, f"t{turn}",
        "t0" if turn else "", run, "",
        {"env": "prod"},
    )  # fmt: skip
