"""What the query string of the usage API asks for, checked: every range is bounded, every name is known."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection

from common.ids import parse_id
from common.periods import PeriodKind, local_midnight, period_at
from common.problems import Fault, Problem, invalid
from tenants.models import Organization, VirtualKey
from tenants.selectors import team_parents
from tenants.services import zone_checked
from tenants.tree import subtree_ids
from usage.questions import (
    Dimension,
    Interval,
    Misfit,
    Question,
    UnanswerableError,
    is_dimension,
    next_midnight,
    source_of,
    spans_of,
)
from usage.rollup import HOUR, bucket_size
from usage.selectors import SpendQuery

FILTERS = frozenset(dimension.value for dimension in Dimension)
MAX_NAME = 200
MAX_DIMENSIONS = 8  # of one question: grouped by and filtered by together
MAX_RANGE = timedelta(days=5 * 366)
MAX_INTERVALS = 2_000
QUERY_MS = 5_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST_AHEAD = datetime(2015, 1, 1, tzinfo=UTC), timedelta(days=366)
_LENGTH = {Interval.HOUR: HOUR, Interval.DAY: 24 * HOUR, Interval.WEEK: 168 * HOUR, Interval.MONTH: 720 * HOUR}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_Choice = TypeVar("_Choice", bound=StrEnum)


def spend_query(given: Mapping[str, str], organization: Organization, now: datetime) -> SpendQuery:
    """The query of GET /spend; Problem 422 for what cannot be answered exactly or within bounds."""
    zone = _zone(given, organization)
    start, end = _range(given, zone, now)
    grain = bucket_size(ZoneInfo(organization.timezone), start)
    if bucket_size(zone, start) < grain:
        raise invalid(
            Fault(
                "/timezone",
                "finer_than_stored",
                f"the days of {zone.key} begin within an hour of UTC, and this organization ({organization.timezone})"
                " keeps its sums by the whole hour",
            )
        )
    start, end = start - (start - _EPOCH) % grain, end + (_EPOCH - end) % grain
    interval = _choice(given, "interval", Interval)
    if interval is not None and (end - start) / _LENGTH[interval] > MAX_INTERVALS:
        raise invalid(Fault("/interval", "too_many", f"the range has more than {MAX_INTERVALS} of them"))
    query = SpendQuery(
        organization_id=organization.id,
        start=start,
        end=end,
        # Local hours that clocks repeat would fall into one.
        zone=ZoneInfo("UTC") if interval is Interval.HOUR else zone,
        interval=interval,
        group_by=_group_by(given.get("group_by", "")),
        filters=usage_filters(given, organization.id),
        home=ZoneInfo(organization.timezone),
    )
    if len(query.used) > MAX_DIMENSIONS:
        raise invalid(Fault("/group_by", "too_many", f"at most {MAX_DIMENSIONS} dimensions are used at once"))
    return _answerable(query, given, ZoneInfo(organization.timezone), now)


def _answerable(query: SpendQuery, given: Mapping[str, str], home: ZoneInfo, now: datetime) -> SpendQuery:
    """The query, where the sums that are kept answer it; Problem 422 otherwise.

    Where they are kept by days, a range that ends within the running day is widened to the day's end: nothing is there
    yet that would count too much.
    """
    try:
        if source_of(query.used).hourly is None and query.end >= local_midnight(now.astimezone(home).date(), home):
            query = replace(query, end=next_midnight(query.end, home))
        spans_of(Question(query.start, query.end, query.zone, query.interval, query.used, home))
    except UnanswerableError as error:
        raise invalid(Fault(f"/{_misfit(error, query, given, home)}", error.misfit, str(error))) from error
    return query


def _misfit(error: UnanswerableError, query: SpendQuery, given: Mapping[str, str], home: ZoneInfo) -> str:
    """The parameter that asks for what the sums do not tell."""
    if error.misfit is Misfit.COMBINATION:
        return "group_by" if query.group_by else next(iter(query.filters))
    if error.misfit is Misfit.INTERVAL:
        return "interval" if query.interval is Interval.HOUR else "timezone"
    start_fits = next_midnight(query.start, home) == query.start
    if start_fits and "to" in given:
        return "to"
    return "from" if "from" in given else "timezone"


def dimension_parameters(given: Iterable[str]) -> frozenset[str]:
    """The filters that may stand in a query string: every dimension, and of the tags those that it names."""
    return FILTERS | {name for name in given if is_dimension(name)}


def usage_filters(given: Mapping[str, str], organization_id: int) -> dict[str, list[str]]:
    """The values that usage may have in each dimension named. A team stands for itself and every team below it."""
    filters: dict[str, list[str]] = {name: [name_checked(given, name)] for name in given if is_dimension(name)}
    if Dimension.TEAM in filters:
        found = subtree_ids(team_parents(organization_id), [parse_id(given["team"]) or 0])
        if not found:
            raise invalid(Fault("/team", "unknown_reference", "is not a team of this organization"))
        filters[Dimension.TEAM] = [str(team_id) for team_id in sorted(found)]
    if Dimension.VIRTUAL_KEY in filters:
        keys = VirtualKey.objects.filter(organization_id=organization_id, id=parse_id(given["virtual_key"]) or 0)
        if not keys.exists():
            raise invalid(Fault("/virtual_key", "unknown_reference", "is not a key of this organization"))
    return filters


def name_checked(given: Mapping[str, str], name: str) -> str:
    value = given[name]
    if not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise invalid(Fault(f"/{name}", "invalid", f"must be 1 to {MAX_NAME} printable characters"))
    return value


def moment(given: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime | None:
    """The UTC instant of an RFC 3339 time, or of the first moment of a date in the zone; None when not given."""
    text = given.get(name)
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            return local_midnight(date.fromisoformat(text), zone)
        return msgspec.convert(text, _Moment).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        detail = "must be a date or an RFC 3339 time with its offset, such as 2026-11-01T00:00:00Z (+ is %2B in a URL)"
        raise invalid(Fault(f"/{name}", "invalid", detail)) from error


def range_of(given: Mapping[str, str], organization: Organization, now: datetime) -> tuple[datetime, datetime]:
    """[from, to) in UTC, from the beginning of the month up to now where nothing else is asked for."""
    return _range(given, ZoneInfo(organization.timezone), now)


def _zone(given: Mapping[str, str], organization: Organization) -> ZoneInfo:
    try:
        return ZoneInfo(zone_checked(given.get("timezone", organization.timezone)))
    except ValidationError as error:
        raise invalid(Fault("/timezone", "invalid", "must be an IANA time zone such as Europe/Berlin")) from error


def _range(given: Mapping[str, str], zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    start = moment(given, "from", zone) or period_at(PeriodKind.MONTH, now, zone).start
    end = moment(given, "to", zone) or now
    if start < _EARLIEST or end > now + _LATEST_AHEAD:
        name = "from" if start < _EARLIEST else "to"
        raise invalid(Fault(f"/{name}", "out_of_range", "must lie from 2015 to a year from now"))
    if end <= start:
        raise invalid(Fault("/to", "out_of_range", "must be after from"))
    if end - start > MAX_RANGE:
        raise invalid(Fault("/to", "out_of_range", "must be at most five years after from"))
    return start, end


def _group_by(text: str) -> tuple[str, ...]:
    names = text.split(",") if text else []
    if len(set(names)) < len(names) or not all(map(is_dimension, names)):
        supported = ", ".join((*Dimension, "tag.<name>"))
        raise invalid(Fault("/group_by", "invalid", f"names one or more of {supported}, with commas between them"))
    return tuple(names)


def _choice(given: Mapping[str, str], name: str, kind: type[_Choice]) -> _Choice | None:
    if name not in given:
        return None
    if given[name] not in list(kind):
        raise invalid(Fault(f"/{name}", "invalid", f"must be one of {', '.join(kind)}"))
    return kind(given[name])


@contextmanager
def bounded() -> Iterator[None]:
    """Queries that Postgres ends when they take too long: Problem 422. Must be inside a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{QUERY_MS}ms"])
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        detail = f"this took more than {QUERY_MS // 1000} seconds; ask for a shorter range"
        raise Problem("validation-error", detail, errors=(Fault("/from", "too_slow", detail),)) from error
