"""Spend out: sums by what people ask for, and the single events they are made of."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from analytics.api_parameters import (
    bounded,
    dimension_parameters,
    moment,
    name_checked,
    spend_query,
    usage_filters,
)
from analytics.serializers import EVENT_PAGE, SPEND, EventSerializer, rfc3339
from common.api import decode_cursor, encode_cursor, page_limit, page_of, problems, query_parameters
from common.money import to_usd
from common.periods import PeriodKind, period_at
from common.problems import Fault, invalid
from tenants.api_base import TenantAPIView
from usage.dimensions import LIMIT, LIMITS, OVERFLOW, TAG
from usage.models import UsageEvent
from usage.present import present_costs
from usage.questions import Dimension, Interval
from usage.rollup import HOUR
from usage.selectors import Spend, SpendQuery, SpendRow, TooManyRowsError, spend
from usage.traces import having, of_trace

MAX_ROWS = 20_000
UNPRICED = {"true": True, "false": False}
_ABOUT = {"team": "id; every team below it counts too", "virtual_key": "id"}
FILTER_PARAMETERS = [
    *(OpenApiParameter(name, str, description=_ABOUT.get(name, "")) for name in Dimension),
    OpenApiParameter("tag.{name}", str, description="a tag's value, such as tag.env=prod; several tags may be named"),
    OpenApiParameter("from", str, description="RFC 3339 time, or a date in the zone; included"),
    OpenApiParameter("to", str, description="RFC 3339 time, or a date in the zone; not included"),
]


class SpendView(TenantAPIView):
    scopes = {"GET": "usage:read"}

    @extend_schema(
        operation_id="spend",
        summary="What was spent, by time and dimension",
        description="From rollups by the hour: a range that begins or ends within an hour is widened, and `from` and"
        " `to` say to what. Without `from` it begins with the current month, without `to` it ends now. Hours are hours"
        " of UTC; days, weeks (from Monday) and months are those of the time zone, the organization's by default."
        " `session` stands alone; it, and combinations of other dimensions than provider, model, team and virtual_key,"
        " are summed by days of the organization's zone: their range begins and ends at its midnight, and one that"
        " ends within the running day is widened to the day's end. Names that callers make up are kept apart up to a"
        f" limit of a month ({LIMIT} of a dimension, {LIMITS['session']} sessions, {LIMITS[TAG]} names of tags); what"
        " came after that is summed in one row, whose group is null there and whose `overflow` is true. A tag's name"
        " beyond its limit counts as no tag. A filter by such a value finds nothing here; `GET /events` does."
        f" Answers of up to {MAX_ROWS} rows are given, by time and then by cost, highest first.",
        parameters=[
            *FILTER_PARAMETERS,
            OpenApiParameter("interval", str, enum=list(Interval), description="without it: one row per group"),
            OpenApiParameter("group_by", str, description=f"with commas between: {', '.join(Dimension)}, tag.<name>"),
            OpenApiParameter("timezone", str, description="IANA zone"),
        ],
        responses={200: SPEND, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(
            request, dimension_parameters(request.GET) | {"from", "to", "interval", "group_by", "timezone"}
        )
        organization = self.organization()
        query = spend_query(given, organization, timezone.now())
        try:
            with bounded():
                rows = spend(query, at_most=MAX_ROWS)
        except TooManyRowsError as error:
            detail = f"more than {MAX_ROWS} rows: group less, or ask for a shorter range"
            raise invalid(Fault("/group_by", "too_many", detail)) from error
        return Response(
            {
                "from": rfc3339(query.start),
                "to": rfc3339(query.end),
                "timezone": given.get("timezone", organization.timezone),
                "data": _rows(rows, query),
                "next": None,
                "total": _sums(_sum(row.spend for row in rows)),
            }
        )


class EventsListView(TenantAPIView):
    scopes = {"GET": "usage:read"}

    @extend_schema(
        operation_id="events_list",
        summary="Settled events, newest first",
        description="An event appears once it is settled, within seconds of its acceptance.",
        parameters=[
            *FILTER_PARAMETERS,
            OpenApiParameter("trace_id", str),
            OpenApiParameter("unpriced", str, enum=list(UNPRICED)),
            OpenApiParameter("limit", int, description="1 to 100"),
            OpenApiParameter("cursor", str, description="`next` of the page before"),
        ],
        responses={200: EVENT_PAGE, **problems()},
    )
    def get(self, request: Request) -> Response:
        given = query_parameters(
            request, dimension_parameters(request.GET) | {"from", "to", "trace_id", "unpriced", "limit", "cursor"}
        )
        limit = page_limit(given)
        with bounded():
            found = list(self._events(given).order_by("-time", "-event_id")[: limit + 1])
            context = {"present": present_costs(self.caller.organization_id, found)}
        rows = [dict(EventSerializer(event, context=context).data) for event in found]
        last = found[limit - 1] if len(found) > limit else None
        cursor = None if last is None else encode_cursor(last.time.isoformat(), last.event_id)
        return page_of(rows, limit=limit, cursor=cursor)

    def _events(self, given: dict[str, str]) -> QuerySet[UsageEvent]:
        events = UsageEvent.objects.filter(organization_id=self.caller.organization_id)
        for dimension, values in usage_filters(given, self.caller.organization_id).items():
            events = events.filter(having(dimension, values))
        if "trace_id" in given:
            events = events.filter(of_trace(self.caller.organization_id, name_checked(given, "trace_id")))
        zone = ZoneInfo(self.organization().timezone)
        for name, lookup in (("from", "time__gte"), ("to", "time__lt")):
            edge = moment(given, name, zone)
            events = events if edge is None else events.filter(**{lookup: edge})
        if "unpriced" in given:
            if given["unpriced"] not in UNPRICED:
                raise invalid(Fault("/unpriced", "invalid", f"must be one of {', '.join(UNPRICED)}"))
            events = events.filter(cost__isnull=UNPRICED[given["unpriced"]])
        return events.filter(_after(given["cursor"])) if "cursor" in given else events


def _after(cursor: str) -> Q:
    """What comes after the event of a cursor."""
    text, event_id = decode_cursor(cursor, (str, str))
    try:
        time = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid(Fault("/cursor", "invalid", "is not a cursor")) from error
    name_checked({"cursor": event_id}, "cursor")
    return Q(time__lte=time) & (Q(time__lt=time) | Q(event_id__lt=event_id))


def _rows(rows: Iterable[SpendRow], query: SpendQuery) -> list[dict[str, Any]]:
    """What `SpendRowSerializer` describes, written out: an answer has thousands of rows, and a serializer for each
    takes a hundred times as long as the sums.
    """
    edges: dict[datetime | None, dict[str, str | None]] = {}
    shaped = []
    for row in rows:
        if row.start not in edges:
            edges[row.start] = _edges(row.start, query)
        shaped.append(
            {
                **_sums(row.spend),
                **edges[row.start],
                "group": {name: None if value == OVERFLOW else value for name, value in row.group.items()},
                "overflow": OVERFLOW in row.group.values(),
            }
        )
    return shaped


def _sums(spend: Spend) -> dict[str, Any]:
    """What `SpendSerializer` describes."""
    return {
        "cost": to_usd(spend.cost),
        "list_cost": to_usd(spend.list_cost),
        "requests": spend.requests,
        "errors": spend.errors,
        "unpriced_requests": spend.unpriced_requests,
        "input_tokens": spend.input_tokens,
        "cache_read_input_tokens": spend.cache_read_input_tokens,
        "cache_write_input_tokens": spend.cache_write_input_tokens,
        "output_tokens": spend.output_tokens,
        "reasoning_output_tokens": spend.reasoning_output_tokens,
    }


def _edges(start: datetime | None, query: SpendQuery) -> dict[str, str | None]:
    """Of an interval, as much of it as was asked for."""
    first, last = query.start, query.end
    if start is not None and query.interval is not None:
        first, last = _interval(start, query.interval, query.zone)
    return {"start": rfc3339(max(first, query.start)), "end": rfc3339(min(last, query.end))}


def _interval(start: datetime, interval: Interval, zone: ZoneInfo) -> tuple[datetime, datetime]:
    if interval is Interval.HOUR:
        return start, start + HOUR
    period = period_at(PeriodKind(interval.value), start, zone)
    return period.start, period.end


def _sum(spends: Iterable[Spend]) -> Spend:
    spends = list(spends)
    return Spend(*(sum(map(attrgetter(field.name), spends)) for field in fields(Spend)))
