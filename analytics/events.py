"""Single events: the newest first, a page at a time, with bounded work however rare the matches are."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_

from django.db.models import Q

from analytics.filters import DIMENSIONS, Asked, InvalidAddress
from analytics.names import Directory
from common.api import decode_cursor, encode_cursor
from common.periods import Period
from common.problems import Problem
from usage.closing import closed_before
from usage.models import Cube, UsageEvent
from usage.questions import Dimension
from usage.rollup import HOUR
from usage.selectors import Spend, SpendQuery, total
from usage.traces import having, of_trace

PAGE_SIZE = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
Position = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class EventPage:
    """`cursor` goes on to older events; empty at the end."""

    events: list[UsageEvent]
    cursor: str


def event_page(
    *, organization_id: int, asked: Asked, directory: Directory, after: Position | None = None, size: int = PAGE_SIZE
) -> EventPage:
    spans = _spans(organization_id, asked, directory, after, size + 1)
    if not spans:
        return EventPage([], "")
    within = reduce(or_, (Q(time__gte=span.start, time__lt=span.end) for span in spans))
    found = UsageEvent.objects.filter(
        within, _matching(organization_id, asked, directory), organization_id=organization_id
    )
    if after is not None:
        time, event_id = after
        found = found.filter(Q(time__lt=time) | Q(time=time, event_id__lt=event_id))
    rows = list(found.order_by("-time", "-event_id")[: size + 1])
    return EventPage(rows[:size], position_text(rows[size - 1]) if len(rows) > size else "")


def _spans(
    organization_id: int, asked: Asked, directory: Directory, after: Position | None, wanted: int
) -> list[Period]:
    """Stretches of time that are sure to hold the next events. The cube knows the hours with matches, and each of its
    cells stands for at least one event, so that as many cells as events are wanted are enough.

    It knows neither status nor single prices nor labels: with such a filter the whole range is walked, newest first.
    Late events are in the cube when they were booked, so that a range that was closed is walked as a whole, too.
    """
    whole = asked.range.whole
    if whole.start < closed_before(organization_id) or _beyond_the_cube(asked):
        return [whole]
    cells = Cube.objects.filter(
        _of_filters(asked, directory), organization_id=organization_id, bucket__gte=whole.start, bucket__lt=whole.end
    )
    if after is not None:
        cells = cells.filter(bucket__lte=after[0])
    spans: list[Period] = []
    for start in cells.order_by("-bucket").values_list("bucket", flat=True)[:wanted]:
        if spans and start + HOUR >= spans[-1].start:
            spans[-1] = Period(start, spans[-1].end)
        else:
            spans.append(Period(start, min(start + HOUR, whole.end)))
    return spans


def _beyond_the_cube(asked: Asked) -> bool:
    return bool(asked.status or asked.unpriced or asked.session or asked.trace or asked.filters.labels)


def _matching(organization_id: int, asked: Asked, directory: Directory) -> Q:
    matching = _of_filters(asked, directory)
    for name, value in asked.filters.labels.items():
        matching &= having(DIMENSIONS[name], [value])
    if asked.session:
        matching &= having(Dimension.SESSION, [asked.session])
    if asked.trace:
        matching &= of_trace(organization_id, asked.trace)
    if asked.status:
        matching &= Q(status=asked.status)
    if asked.unpriced:
        matching &= Q(cost__isnull=True)
    return matching


def _of_filters(asked: Asked, directory: Directory) -> Q:
    """The filters that events and cells of the cube have in common."""
    filters = asked.filters
    matching = Q()
    if filters.provider:
        matching &= Q(provider=filters.provider)
    if filters.model:
        matching &= Q(model=filters.model)
    if filters.team is not None:
        matching &= Q(team_id__in=sorted(directory.below(filters.team)))
    if filters.key is not None:
        matching &= Q(virtual_key_id=filters.key)
    return matching


def events_total(*, organization_id: int, asked: Asked, directory: Directory) -> Spend | None:
    """What the listed events add up to, read from the rollups; None where those do not tell them apart."""
    if asked.status or asked.unpriced or asked.trace or (asked.session and asked.filters):
        return None
    span = asked.range.whole
    filters = {Dimension.SESSION.value: [asked.session]} if asked.session else asked.filters.values(directory)
    return total(SpendQuery(organization_id, span.start, span.end, filters=filters))


def event_at(*, organization_id: int, at: datetime, event_id: str) -> UsageEvent | None:
    """An event by its time and id, which is how the table finds it without a search."""
    return UsageEvent.objects.filter(organization_id=organization_id, time=at, event_id=event_id).first()


def position_text(event: UsageEvent) -> str:
    return encode_cursor((event.time - _EPOCH) // _MICROSECOND, event.event_id)


def position_at(cursor: str) -> Position:
    """The position that `position_text` wrote; InvalidAddress for anything else."""
    try:
        microseconds, event_id = decode_cursor(cursor, (int, str))
        position = _EPOCH + microseconds * _MICROSECOND, event_id
    except (Problem, OverflowError) as error:
        raise InvalidAddress("This page of the list does not exist. Start again from the newest events.") from error
    if not event_id.isprintable():
        raise InvalidAddress("This page of the list does not exist. Start again from the newest events.")
    return position
