"""What a rule would have told in the last thirty days: the same detector and state machine, hour by hour."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.machine import Standing, Step, step
from alerts.models import AlertRule
from alerts.rule_kinds import RuleKind
from tenants.models import Organization
from watch.detectors import Anomaly, growth, spend_anomaly
from watch.hours import HOUR
from watch.place import SPAN, Place, Subject

DAYS = 30
# Of a rule on each of something, so many: those that cost most.
SUBJECTS = 5
PREVIEWED = frozenset({RuleKind.SPEND_ANOMALY.value})


@dataclass(frozen=True, slots=True)
class Told:
    """An alert that there would have been."""

    at: datetime
    subject: str
    spent: int
    usual: int
    hours: int


def told_lately(organization: Organization, rule: AlertRule, now: datetime) -> tuple[list[Subject], list[Told]]:
    """The subjects that were looked at, and the alerts there would have been, latest first."""
    place = Place(organization, rule, now, back=SPAN + timedelta(days=DAYS))
    subjects = place.subjects[:SUBJECTS]
    told = [each for subject in subjects for each in _of(place, subject)]
    return subjects, sorted(told, key=lambda each: each.at, reverse=True)


def _of(place: Place, subject: Subject) -> Iterator[Told]:
    since, hours = place.since(subject), place.hours(subject, lambda used: used.cost)
    if since is None:
        return
    damping, standing, grown = place.rule.spec.damping, Standing(), 100
    for number in range(DAYS * 24 + 1):
        at = place.hour - HOUR * (DAYS * 24 - number)
        if number % 24 == 0:
            grown = growth(hours, at, place.zone, since)
        found = spend_anomaly(hours, at, zone=place.zone, since=since, grown=grown, **place.values)
        if found is None:
            continue
        period = f"{at.astimezone(place.zone):%Y-%m-%d}"
        standing, moved = step(standing, found.level, period=period, at=at, damping=damping, renews=False)
        if moved in {Step.FIRED, Step.FIRED_AGAIN}:
            yield _told(at, subject, found)


def _told(at: datetime, subject: Subject, found: Anomaly) -> Told:
    return Told(at, subject.label, found.spent, found.usual, found.length // HOUR)
