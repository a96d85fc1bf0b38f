"""When things happen in the demo, seen from the moment it is made. Pure."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from common.periods import local_midnight
from costhub.demo.company import HISTORY_DAYS, INCIDENT
from costhub.demo.traffic import Calendar

SEED = 20_260_707
# The agent ran away this long ago, so that the week after it shows that all is well again.
INCIDENT_DAYS_AGO = 9
# Usage of long ago is settled in large steps, that of the last days in small ones: alerts then bear believable times.
RECENT = timedelta(days=3)
LARGE_STEP, SMALL_STEP = timedelta(hours=8), timedelta(hours=1)


def calendar_of(*, now: datetime, zone: ZoneInfo, seed: int = SEED) -> Calendar:
    """The story whose day 90 is today."""
    today = now.astimezone(zone).date()
    return Calendar(seed, today - timedelta(days=HISTORY_DAYS), incident_day(today), zone)


def incident_day(today: date) -> date:
    """Monday to Thursday, if possible; in this month where that can be: its team is then over this month's budget."""
    over_by = today - timedelta(days=_days(INCIDENT.hour + INCIDENT.hours))
    day = today - timedelta(days=INCIDENT_DAYS_AGO)
    if day.month != today.month and over_by.month == today.month:
        return over_by
    return day - timedelta(days=max(0, day.weekday() - 3))


def _days(hours: int) -> int:
    """Whole days after which something has ended for sure that begins on a day and lasts until this hour of it."""
    return hours // 24 + 1


def first_moment(calendar: Calendar) -> datetime:
    return local_midnight(calendar.first, calendar.zone)


def steps(calendar: Calendar, since: datetime, until: datetime) -> Iterator[datetime]:
    """The moments at which usage is settled: ascending, uneven, the last one is `until`."""
    rng = Random(f"{calendar.seed}:steps:{since.isoformat()}")
    at = since
    while True:
        step = SMALL_STEP if until - at <= RECENT else LARGE_STEP
        at += step * rng.uniform(0.7, 1.3)
        if at >= until - SMALL_STEP / 2:
            break
        yield at.replace(microsecond=0)
    yield until


def local_days(calendar: Calendar, since: datetime, until: datetime) -> Iterator[date]:
    """Every local day that has a moment in [since, until]."""
    day, last = since.astimezone(calendar.zone).date(), until.astimezone(calendar.zone).date()
    while day <= last:
        yield day
        day += timedelta(days=1)


def months(since: datetime, until: datetime) -> list[datetime]:
    """A moment in every UTC month from one to the other."""
    found, month = [], since.astimezone(UTC).replace(day=1)
    while month <= until:
        found.append(month)
        month = (month + timedelta(days=32)).replace(day=1)
    return [*found, until]
