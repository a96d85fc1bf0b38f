"""What rules about usage read: spend, cost per request, cache hits, failed calls, keys."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.facts import Fact
from alerts.watching import Reading
from common.display import count, percent, usd, usd_fine
from common.money import to_usd
from watch.detectors import (
    DAY,
    Anomaly,
    Spike,
    cache_hit_drop,
    cost_per_request,
    error_spend,
    growth,
    silent,
    spend_anomaly,
)
from watch.hours import HOUR, Hours, same_before, weeks_before
from watch.place import Place, Subject, days_before

USUAL_DAYS = 28


@dataclass(frozen=True, slots=True)
class SpikeWords:
    """How a ratio and its usual are said: a sentence with `{now}` and `{usual}`, and either of them in words."""

    sentence: str
    spoken: Callable[[int], str]

    def of(self, found: Spike) -> str:
        return self.sentence.format(now=self.spoken(found.now), usual=self.spoken(found.usual))


def _share(tenths: int) -> str:
    """A share in tenths of a percent."""
    return f"{tenths // 10}%"


REQUEST_COST = SpikeWords("a request costs {now}, usually {usual}", usd_fine)
CACHE_HITS = SpikeWords("{now} of input comes from caches, usually {usual}", _share)


def read_spend(place: Place) -> Iterator[Reading]:
    for subject in place.subjects:
        since, hours = place.since(subject), place.hours(subject, lambda used: used.cost)
        if since is None:
            continue
        grown = growth(hours, place.hour, place.zone, since)
        found = spend_anomaly(hours, place.hour, zone=place.zone, since=since, grown=grown, **place.values)
        if found is not None:
            yield _spend_reading(place, subject, found)


def _spend_reading(place: Place, subject: Subject, found: Anomaly) -> Reading:
    length = found.length // HOUR
    times = _times(found.spent, found.usual)
    compared = f"{times}× its usual" if times else "where usually nothing is spent"
    return Reading(
        subject.key,
        found.level,
        place.day,
        title=f"{subject.label}: {usd(found.spent)} in {length} hours, {compared}",
        facts={
            **_about(place, subject, place.hour - found.length),
            "spent": to_usd(found.spent),
            "usual": to_usd(found.usual),
            "times": f"{times}×" if times else None,
        },
        value=spend_words(found),
    )


def spend_words(found: Anomaly) -> str:
    return f"{usd(found.spent)} in {found.length // HOUR} hours, usually {usd(found.usual)}"


def read_cost_per_request(place: Place) -> Iterator[Reading]:
    for subject in place.subjects:
        now, before = days_at(place.hour, *request_figures(place, subject))
        found = cost_per_request(now, before, **place.values)
        if found is not None:
            yield _spike_reading(place, subject, found, REQUEST_COST)


def read_cache_hits(place: Place) -> Iterator[Reading]:
    for subject in place.subjects:
        now, before = days_at(place.hour, *cache_figures(place, subject))
        found = cache_hit_drop(now, before, **place.values)
        if found is not None:
            yield _spike_reading(place, subject, found, CACHE_HITS)


def request_figures(place: Place, subject: Subject) -> tuple[Hours, Hours]:
    """Cost, and requests."""
    return place.hours(subject, lambda used: used.cost), place.hours(subject, lambda used: used.requests)


def cache_figures(place: Place, subject: Subject) -> tuple[Hours, Hours]:
    """Input tokens read from caches, and all of them."""
    cached = place.hours(subject, lambda used: used.cache_read_input_tokens)
    return cached, place.hours(subject, lambda used: used.input_tokens)


def days_at(end: datetime, part: Hours, whole: Hours) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Both figures of the 24 hours that end then, and of the days before."""
    now = part.before(end, DAY) or 0, whole.before(end, DAY) or 0
    before = zip(*(days_before(each, end, USUAL_DAYS) for each in (part, whole)), strict=True)
    return now, [(each, all_) for each, all_ in before]


def _spike_reading(place: Place, subject: Subject, found: Spike, words: SpikeWords) -> Reading:
    said, spoken = words.of(found), words.spoken
    facts = _about(place, subject, place.hour - DAY)
    return Reading(
        subject.key,
        found.level,
        place.day,
        title=f"{subject.label}: {said}",
        facts=facts | {"now": spoken(found.now), "usually": spoken(found.usual)},
        value=said.capitalize(),
    )


def read_errors(place: Place) -> Iterator[Reading]:
    failed: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for row in place.spend(place.today, also=("status",)):
        total[place.value(row)] += row.spend.cost
        if row.group["status"] == "error":
            failed[place.value(row)] += row.spend.cost
    for subject in place.subjects:
        lost, spent = (sum(sums.get(value, 0) for value in subject.values) for sums in (failed, total))
        share = percent(lost * 100 // spent if spent else 0)
        yield Reading(
            subject.key,
            error_spend(lost, spent, **place.values),
            place.day,
            title=f"{subject.label}: {usd(lost)} went to calls that failed today, {share} of all",
            facts=_about(place, subject, place.today.start)
            | {"spent": to_usd(spent) or "", "lost_to_errors": usd(lost), "share": share},
            value=error_words(lost, spent),
        )


def error_words(lost: int, spent: int) -> str:
    return f"{usd(lost)} of {usd(spent)} went to calls that failed"


def read_silent_keys(place: Place) -> Iterator[Reading]:
    length, least = HOUR * place.values["hours"], place.values["requests"]
    for subject in place.subjects:
        since, requests = place.since(subject), place.hours(subject, lambda used: used.requests)
        if since is None:
            continue
        now = requests.before(place.hour, length) or 0
        before = same_before(requests, weeks_before(place.hour, place.zone), length, since)
        level = silent(now, before, requests=least)
        if level is None:
            continue
        last = _last(place, subject)
        yield Reading(
            subject.key,
            level,
            f"since {last.isoformat()}",
            title=f"{subject.label} is silent for {length // HOUR} hours, where it usually is busy",
            facts=_about(place, subject, place.hour - length)
            | {"last_used": last.astimezone(place.zone).strftime("%-d %b %Y, %H:%M %Z")},
            value=f"{count(now)} requests in {length // HOUR} hours",
        )


def silence_words(length: timedelta) -> str:
    return f"No request in {length // HOUR} hours, where it usually is busy"


def _last(place: Place, subject: Subject) -> datetime:
    """The hour in which the subject was used last."""
    hours = (start for value in subject.values for start, used in place.hourly.get(value, {}).items() if used.requests)
    return max(hours, default=place.begin)


def _about(place: Place, subject: Subject, start: datetime) -> dict[str, Fact | None]:
    return {
        "scope": subject.label,
        "period_start": start.isoformat(),
        "period_end": min(place.now, max(place.hour, start + timedelta(minutes=1))).isoformat(),
        "timezone": place.zone.key,
        "rule": place.rule.name,
        "link": subject.path,
    }


def _times(now: int, usual: int) -> str:
    """ "2.4"; empty where there is nothing to compare with."""
    return f"{now * 10 // usual / 10:.1f}" if usual > 0 else ""
