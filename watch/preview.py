"""What a rule would have told in the last thirty days: the same detectors and state machine, hour by hour."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.machine import Damping, Level, Standing, Step, step
from alerts.models import AlertRule
from alerts.rule_kinds import RuleKind
from common.periods import Period, PeriodKind, period_at
from tenants.models import Organization
from usage.questions import Interval, UnanswerableError
from usage.selectors import SpendRow
from watch.detectors import (
    Spike,
    cache_hit_drop,
    cost_per_request,
    error_spend,
    growth,
    silent,
    spend_anomaly,
)
from watch.hours import HOUR, Hours, same_before, weeks_before
from watch.place import SPAN, Place, Subject
from watch.usage_readers import (
    CACHE_HITS,
    REQUEST_COST,
    SpikeWords,
    cache_figures,
    days_at,
    error_words,
    request_figures,
    silence_words,
    spend_words,
)

DAYS = 30
# Of a rule on each of something, so many: those that cost most.
SUBJECTS = 5
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule would have read at a moment: the level, what one alert stands for, and the finding in words."""

    level: Level
    period: str
    said: str


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that there would have been."""

    at: datetime
    subject: str
    said: str


# What is seen at the end of an hour; None where there is too little to go by.
Look = Callable[[datetime], Seen | None]


def told_lately(organization: Organization, rule: AlertRule, now: datetime) -> tuple[list[Subject], list[Told]]:
    """The subjects that were looked at, and the alerts there would have been, latest first. KeyError for a kind that
    history does not answer: see `WHY_NOT`."""
    place = Place(organization, rule, now, back=SPAN + timedelta(days=DAYS))
    subjects, look_at = place.subjects[:SUBJECTS], _LOOKS[RuleKind(rule.kind)](place)
    told = [each for subject in subjects for each in _of(place, subject, look_at(subject))]
    return subjects, sorted(told, key=lambda each: each.at, reverse=True)


def _of(place: Place, subject: Subject, look: Look) -> Iterator[Told]:
    damping, standing = _between_hours(place.rule.spec.damping), Standing()
    for back in range(DAYS * 24, -1, -1):
        at = place.hour - HOUR * back
        seen = look(at)
        if seen is None:
            continue
        standing, moved = step(standing, seen.level, period=seen.period, at=at, damping=damping, renews=False)
        if moved in {Step.FIRED, Step.FIRED_AGAIN}:
            yield Told(at, subject.label, seen.said)


def _between_hours(damping: Damping) -> Damping:
    """What need not hold for an hour has held long enough when an hour's end sees it."""
    return replace(damping, fire_after=damping.fire_after if damping.fire_after >= HOUR else timedelta())


def _spend(place: Place) -> Callable[[Subject], Look]:
    def look_at(subject: Subject) -> Look:
        since, hours = place.since(subject), place.hours(subject, lambda used: used.cost)
        grown: dict[str, int] = {}

        def look(at: datetime) -> Seen | None:
            if since is None:
                return None
            day = place.day_of(at)
            if day not in grown:
                grown[day] = growth(hours, at, place.zone, since)
            found = spend_anomaly(hours, at, zone=place.zone, since=since, grown=grown[day], **place.values)
            return None if found is None else Seen(found.level, day, spend_words(found))

        return look

    return look_at


def _spikes(
    figures: Callable[[Place, Subject], tuple[Hours, Hours]],
    detect: Callable[..., Spike | None],
    words: SpikeWords,
) -> Callable[[Place], Callable[[Subject], Look]]:
    def look_at(place: Place, subject: Subject) -> Look:
        part, whole = figures(place, subject)

        def look(at: datetime) -> Seen | None:
            found = detect(*days_at(at, part, whole), **place.values)
            return None if found is None else Seen(found.level, place.day_of(at), words.of(found).capitalize())

        return look

    return lambda place: lambda subject: look_at(place, subject)


def _errors(place: Place) -> Callable[[Subject], Look]:
    """What the failed calls of the local day had cost by the end of each of its hours."""
    begin = period_at(PeriodKind.DAY, place.hour - timedelta(days=DAYS), place.zone).start
    by_status: dict[tuple[str, bool], dict[datetime, int]] = defaultdict(lambda: defaultdict(int))
    for start, row in _rows_by_status(place, begin):
        by_status[place.value(row), row.group["status"] == "error"][start] += row.spend.cost

    def hours(subject: Subject, *statuses: bool) -> Hours:
        sums: dict[datetime, int] = {}
        for found in (by_status.get((value, failed), {}) for value in subject.values for failed in statuses):
            for start, cost in found.items():
                sums[start] = sums.get(start, 0) + cost
        return Hours.of(begin, place.hour, sums)

    def look_at(subject: Subject) -> Look:
        failed, total = hours(subject, True), hours(subject, True, False)

        def look(at: datetime) -> Seen | None:
            day = period_at(PeriodKind.DAY, at - _MICROSECOND, place.zone)
            lost, spent = (each.before(at, at - day.start) for each in (failed, total))
            if lost is None or spent is None:
                return None
            level = error_spend(lost, spent, **place.values)
            return Seen(level, place.day_of(day.start), error_words(lost, spent))

        return look

    return look_at


def _rows_by_status(place: Place, begin: datetime) -> Iterator[tuple[datetime, SpendRow]]:
    """(hour, what was spent in it by status). Of customers and other labels days are all that is kept by status: there
    a day's sum stands in its last hour, or in the last one of today."""
    try:
        rows = place.spend(Period(begin, place.hour), Interval.HOUR, also=("status",))
    except UnanswerableError:
        days = place.spend(Period(begin, place.today.end), Interval.DAY, also=("status",))
        # Of a day that has no full hour yet there is nothing to say.
        begun = ((row.start, row) for row in days if row.start is not None and row.start < place.hour)
        ends = ((period_at(PeriodKind.DAY, start, place.zone).end, row) for start, row in begun)
        yield from ((min(end, place.hour) - HOUR, row) for end, row in ends)
    else:
        yield from ((row.start, row) for row in rows if row.start is not None)


def _silence(place: Place) -> Callable[[Subject], Look]:
    length, least = HOUR * place.values["hours"], place.values["requests"]

    def look_at(subject: Subject) -> Look:
        since, requests = place.since(subject), place.hours(subject, lambda used: used.requests)
        used = sorted({start for value in subject.values for start in place.hourly.get(value, {})})

        def look(at: datetime) -> Seen | None:
            if since is None or at <= since:
                return None
            before = same_before(requests, weeks_before(at, place.zone), length, since)
            level = silent(requests.before(at, length) or 0, before, requests=least)
            last = used[bisect_left(used, at) - 1]
            return None if level is None else Seen(level, f"since {last.isoformat()}", silence_words(length))

        return look

    return look_at


_LOOKS: dict[RuleKind, Callable[[Place], Callable[[Subject], Look]]] = {
    RuleKind.SPEND_ANOMALY: _spend,
    RuleKind.COST_PER_REQUEST_SPIKE: _spikes(request_figures, cost_per_request, REQUEST_COST),
    RuleKind.CACHE_HIT_DROP: _spikes(cache_figures, cache_hit_drop, CACHE_HITS),
    RuleKind.ERROR_SPEND: _errors,
    RuleKind.KEY_SILENT: _silence,
}
PREVIEWED = frozenset(kind.value for kind in _LOOKS)
_BUDGETS = "A budget is tried on past usage on its own form."
# Why the other kinds cannot be tried: in words for whoever makes a rule.
WHY_NOT = {
    RuleKind.BUDGET_THRESHOLD: _BUDGETS,
    RuleKind.FORECAST_OVERRUN: _BUDGETS,
    RuleKind.RUN_OUT: _BUDGETS,
    RuleKind.KEY_NEW_NETWORK: "A network is new only once; where a key was used from stands on its own page.",
    RuleKind.NEW_MODEL: "A model is new only once, and there is nothing to set.",
    RuleKind.UNPRICED_USAGE: "There is nothing to set; what has no price today stands under Unpriced.",
    RuleKind.INGESTION_STALLED: "How long usage waited is not kept once it is counted.",
    RuleKind.PRICE_CHANGED: "There is nothing to set; past changes stand in the price list.",
}
