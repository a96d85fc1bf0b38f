"""Which sums answer a question about spend. Pure.

Whole local days of the organization's zone are read from sums by the day, what is left at the ends from sums by the
hour. One dimension alone has a table of its own; the four of the cube cross by the hour; everything else crosses by
the day in the organization's zone, or not at all.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from common.periods import local_midnight
from usage.dimensions import COLUMNS, CUBE, DAILY_ONLY, TAG_PREFIX, TOTAL

_TAG = re.compile(r"tag\.[a-z0-9_]{1,40}")


class Interval(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Dimension(StrEnum):
    """The names of `usage.dimensions.COLUMNS`. Beside them, "tag." and the name of a tag is a dimension as well."""

    PROVIDER = "provider"
    MODEL = "model"
    TEAM = "team"
    VIRTUAL_KEY = "virtual_key"
    OPERATION = "operation"
    SERVICE_TIER = "service_tier"
    STATUS = "status"
    CACHE = "cache"
    CUSTOMER = "customer"
    FEATURE = "feature"
    AGENT = "agent"
    USER = "user"
    SESSION = "session"


def is_dimension(name: str) -> bool:
    return name in set(Dimension) or _TAG.fullmatch(name) is not None


class Misfit(StrEnum):
    """What about a question does not fit the sums that are kept."""

    COMBINATION = "cannot_be_combined"
    INTERVAL = "kept_by_days"
    RANGE = "whole_days_only"


class UnanswerableError(Exception):
    """The sums that are kept cannot answer this exactly; the message says what could be asked instead."""

    def __init__(self, misfit: Misfit, message: str) -> None:
        self.misfit = misfit
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Source:
    """A pair of tables, by the hour and by the day; `hourly` is None where only days are kept.

    `dimension` is set for the tables that hold one dimension at a time.
    """

    daily: str
    hourly: str | None
    dimension: str | None = None

    def column(self, dimension: str) -> str:
        """The SQL expression, as text, of a dimension in these tables."""
        if self.dimension is not None:
            return "value"
        if dimension.startswith(TAG_PREFIX):
            return f"coalesce(tags ->> '{dimension.removeprefix(TAG_PREFIX)}', '')"
        return f"{COLUMNS[dimension]}::text"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the range that one table answers: local days [first, last) or instants [start, end) in UTC."""

    table: str
    first: date | None = None
    last: date | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What `spans_of` looks at: [start, end), the interval and its zone, and the dimensions that are used."""

    start: datetime
    end: datetime
    zone: ZoneInfo
    interval: Interval | None
    used: frozenset[str]
    home: ZoneInfo  # the organization's zone, in which days are kept


def source_of(used: Iterable[str]) -> Source:
    """The smallest tables that tell these dimensions apart."""
    names = set(used)
    if len(names) <= 1:
        dimension = next(iter(names), TOTAL)
        return Source("usage_rollup_day", None if dimension in DAILY_ONLY else "usage_rollup", dimension)
    if names & DAILY_ONLY:
        alone = ", ".join(sorted(names & DAILY_ONLY))
        raise UnanswerableError(Misfit.COMBINATION, f"{alone} cannot be combined with other dimensions")
    if names <= set(CUBE):
        return Source("usage_cube_day", "usage_cube")
    return Source("usage_detail", None)


def spans_of(question: Question) -> tuple[Source, list[Span]]:
    """The tables and their parts of the range; UnanswerableError when these cannot give an exact answer."""
    source = source_of(question.used)
    days_fit = question.interval is None or (
        question.interval is not Interval.HOUR and question.zone.key == question.home.key
    )
    if not days_fit:
        if source.hourly is None:
            raise UnanswerableError(
                Misfit.INTERVAL,
                f"{_named(question.used)}: summed by days of {question.home.key}; ask for day, week or month in it",
            )
        return source, [Span(source.hourly, start=question.start, end=question.end)]
    first, last = _whole_days(question)
    if source.hourly is None:
        return source, [_only_days(question, source, first, last)]
    if first >= last:
        return source, [Span(source.hourly, start=question.start, end=question.end)]
    opening, closing = local_midnight(first, question.home), local_midnight(last, question.home)
    spans = [Span(source.daily, first=first, last=last)]
    if question.start < opening:
        spans.append(Span(source.hourly, start=question.start, end=opening))
    if closing < question.end:
        spans.append(Span(source.hourly, start=closing, end=question.end))
    return source, spans


def _whole_days(question: Question) -> tuple[date, date]:
    """The local days [first, last) that lie wholly inside the range."""
    first = question.start.astimezone(question.home).date()
    if local_midnight(first, question.home) < question.start:
        first += timedelta(days=1)
    last = question.end.astimezone(question.home).date()
    return first, last


def _only_days(question: Question, source: Source, first: date, last: date) -> Span:
    if local_midnight(first, question.home) != question.start or local_midnight(last, question.home) != question.end:
        raise UnanswerableError(
            Misfit.RANGE,
            f"{_named(question.used)}: summed by whole days of {question.home.key}; begin and end at its midnight",
        )
    return Span(source.daily, first=first, last=last)


def _named(used: Iterable[str]) -> str:
    return ", ".join(sorted(used))


def next_midnight(instant: datetime, zone: ZoneInfo) -> datetime:
    """The instant itself where it is a local midnight, else the next one, in UTC."""
    day = instant.astimezone(zone).date()
    midnight = local_midnight(day, zone)
    return instant.astimezone(UTC) if midnight == instant else local_midnight(day + timedelta(days=1), zone)
