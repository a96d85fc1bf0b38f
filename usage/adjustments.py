"""Differences booked after the event: written once, added to every sum in the same statement.

Whoever books goes through `budgets.posting`, which holds the settling lock and settles the budgets as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from common.db import server_cursor
from common.ids import new_id
from usage.closing import closed_before
from usage.dimensions import BOUNDED, COLUMNS, TAG, TAG_PREFIX, Value, month_of
from usage.models import Adjustment
from usage.store import Cut, Owner, Spent, make_partitions, spent_by_owner
from usage.sums import adding
from usage.tables import EVENT_MEASURES, MEASURES, POSTING_COLUMNS, adjustment_postings
from usage.values import admit
from usage.watched import NOTHING_WATCHED, Watched


@dataclass(frozen=True, slots=True)
class Why:
    """What a booking is for. `kind` is one of `usage.tables.ADJUSTMENT_KINDS`, `run_id` what it belongs to."""

    kind: str
    reason: str
    actor: str
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """A difference to a stored event; `deltas` by measure (`usage.tables.MEASURES`), costs in nano-USD, others 0."""

    event_time: datetime
    event_id: str
    deltas: Mapping[str, int]
    # The price that holds from now on, where it is another one.
    price_id: int | None = None
    rule_id: int | None = None
    # What it counts under, where that is not the status the event came in with.
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A difference without an event: a fee, an accepted difference to a bill. `virtual_key_id` 0: no key's."""

    at: datetime
    deltas: Mapping[str, int]
    team_id: int
    provider: str
    model: str
    virtual_key_id: int = 0
    # The other dimensions (`usage.dimensions.COLUMNS`) by column.
    others: Mapping[str, str] = field(default_factory=dict)


def adjustments_of(organization_id: int, *, event_time: datetime, event_id: str) -> QuerySet[Adjustment]:
    """Everything that was booked for an event, oldest first."""
    return Adjustment.objects.filter(
        organization_id=organization_id, event_time=event_time, event_id=event_id
    ).order_by("id")


def booked_between(
    *, organization_id: int, start: datetime, end: datetime, kind: str = "", before: tuple[datetime, int] | None = None
) -> QuerySet[Adjustment]:
    """What counts in [start, end), of one kind or of all, the newest first; `before`: only what comes after this
    (time of booking, id) in that order."""
    found = Adjustment.objects.filter(organization_id=organization_id, booked_at__gte=start, booked_at__lt=end)
    if kind:
        found = found.filter(kind=kind)
    if before is not None:
        booked_at, row_id = before
        found = found.filter(booked_at__lte=booked_at).filter(Q(booked_at__lt=booked_at) | Q(id__lt=row_id))
    return found.order_by("-booked_at", "-id")


@dataclass(frozen=True, slots=True)
class Booked:
    """How many adjustments, and what they add up to in nano-USD."""

    number: int
    cost: int


def booked_sums(*, organization_id: int, start: datetime, end: datetime, kind: str = "") -> Booked:
    found = booked_between(organization_id=organization_id, start=start, end=end, kind=kind)
    sums = found.order_by().aggregate(number=Count("id"), cost=Sum("cost"))
    return Booked(sums["number"], int(sums["cost"] or 0))


def corrections_book(
    *,
    organization_id: int,
    corrections: Sequence[Correction],
    why: Why,
    cut: Cut,
    now: datetime,
    watched: Watched = NOTHING_WATCHED,
) -> dict[Owner, Spent]:
    """Books differences to events, at each event's time or, where its month is closed, now; what they add by owner.

    LookupError when one of the events is not there. Call under the settling lock.
    """
    if not corrections:
        return {}
    rows = (
        f"SELECT {_ASKED_HEAD}, {_ASKED_MEASURES}, {_of_event('e')} FROM asked"
        " JOIN usage_event e ON e.organization_id = %(organization)s"
        " AND e.time = asked.event_time AND e.event_id = asked.event_id"
    )
    return _book(organization_id, rows, _asked(corrections, why, organization_id, now), cut, watched, len(corrections))


def late_events_book(
    *,
    organization_id: int,
    times: Sequence[datetime],
    event_ids: Sequence[str],
    actor: str,
    cut: Cut,
    now: datetime,
    watched: Watched = NOTHING_WATCHED,
) -> dict[Owner, Spent]:
    """Books events that arrived after their month was closed: all they measure, now. See `corrections_book`."""
    corrections = [Correction(at, event_id, {}) for at, event_id in zip(times, event_ids, strict=True)]
    measures = ", ".join(f"{EVENT_MEASURES[name]} AS {name}" for name in MEASURES)
    rows = (
        f"SELECT {_ASKED_HEAD}, measured.*, {_of_event('e')} FROM asked JOIN usage_event e"
        " ON e.organization_id = %(organization)s AND e.time = asked.event_time AND e.event_id = asked.event_id"
        f" CROSS JOIN LATERAL (SELECT {measures} FROM (SELECT e.*) AS own) AS measured"
    )
    why = Why("late", "arrived after its month was closed", actor)
    return _book(organization_id, rows, _asked(corrections, why, organization_id, now), cut, watched, len(corrections))


def entries_book(
    *,
    organization_id: int,
    entries: Sequence[Entry],
    why: Why,
    cut: Cut,
    now: datetime,
    watched: Watched = NOTHING_WATCHED,
) -> dict[Owner, Spent]:
    """Books differences without an event. An entry that its run has booked before is left out.

    Call under the settling lock.
    """
    if not entries:
        return {}
    until = closed_before(organization_id)
    columns = [column for column in POSTING_COLUMNS if column not in _NOT_TEXT]
    parameters: dict[str, Any] = _head(why, now) | {
        "ids": [new_id() for _ in entries],
        "booked": [entry.at if entry.at >= until else now for entry in entries],
        "teams": [entry.team_id for entry in entries],
        "keys": [entry.virtual_key_id for entry in entries],
        **{name: [entry.deltas.get(name, 0) for entry in entries] for name in MEASURES},
        **{column: [_text(entry, column) for entry in entries] for column in columns},
    }
    arrays = ", ".join(
        (
            "%(ids)s::bigint[], %(booked)s::timestamptz[], %(teams)s::bigint[], %(keys)s::bigint[]",
            *(f"%({name})s::bigint[]" for name in MEASURES),
            *(f"%({column})s::text[]" for column in columns),
        )
    )
    names = ", ".join(("id", "booked_at", "team_id", "virtual_key_id", *MEASURES, *columns))
    asked = f"asked AS (SELECT * FROM unnest({arrays}) AS asked ({names}))"
    rows = (
        "SELECT id, booked_at, NULL::timestamptz, NULL::text, NULL::bigint, NULL::bigint,"
        f" {', '.join(MEASURES)}, {', '.join(_posting_column(column) for column in POSTING_COLUMNS)} FROM asked"
    )
    return _book(organization_id, rows, (asked, parameters), cut, watched, None)


_NOT_TEXT = {"team_id", "virtual_key_id", "tags"}
_DEFAULTS = {"operation": "other", "service_tier": "standard", "status": "ok", "cache": "miss"}


def _text(entry: Entry, column: str) -> str:
    if column in ("provider", "model"):
        return str(getattr(entry, column))
    return entry.others.get(column, _DEFAULTS.get(column, ""))


def _posting_column(column: str) -> str:
    return "'{}'::jsonb" if column == "tags" else column


_ASKED_HEAD = "asked.id, asked.booked_at, asked.event_time, asked.event_id, asked.price_id, asked.rule_id"
_ASKED_MEASURES = ", ".join(f"asked.{name}" for name in MEASURES)


def _of_event(alias: str) -> str:
    """The dimensions of an event, under the status that was asked for."""
    other = {"tags": f"coalesce({alias}.tags, '{{}}'::jsonb)", "status": f"coalesce(asked.status, {alias}.status)"}
    return ", ".join(other.get(column, f"{alias}.{column}") for column in POSTING_COLUMNS)


def _asked(
    corrections: Sequence[Correction], why: Why, organization_id: int, now: datetime
) -> tuple[str, dict[str, Any]]:
    """The CTE of what is to be corrected, and its parameters."""
    until = closed_before(organization_id)
    parameters: dict[str, Any] = _head(why, now) | {
        "ids": [new_id() for _ in corrections],
        "booked": [each.event_time if each.event_time >= until else now for each in corrections],
        "times": [each.event_time for each in corrections],
        "event_ids": [each.event_id for each in corrections],
        "prices": [each.price_id for each in corrections],
        "rules": [each.rule_id for each in corrections],
        "statuses": [each.status for each in corrections],
        **{name: [each.deltas.get(name, 0) for each in corrections] for name in MEASURES},
    }
    arrays = ", ".join(f"%({name})s::bigint[]" for name in MEASURES)
    return (
        "asked AS (SELECT * FROM unnest(%(ids)s::bigint[], %(booked)s::timestamptz[], %(times)s::timestamptz[],"
        f" %(event_ids)s::text[], %(prices)s::bigint[], %(rules)s::bigint[], %(statuses)s::text[],"
        f" {arrays}) AS asked (id, booked_at, event_time, event_id, price_id, rule_id, status, {', '.join(MEASURES)}))"
    ), parameters


def _head(why: Why, now: datetime) -> dict[str, Any]:
    return {"kind": why.kind, "reason": why.reason, "actor": why.actor, "run": why.run_id, "now": now}


def _book(
    organization_id: int, rows: str, asked: tuple[str, dict[str, Any]], cut: Cut, watched: Watched, expected: int | None
) -> dict[Owner, Spent]:
    cte, parameters = asked
    parameters |= {"organization": organization_id, **cut.parameters}
    make_partitions(parameters["booked"])
    with server_cursor() as cursor:
        cursor.execute(
            f"WITH {cte}, made AS ({rows}) INSERT INTO usage_adjustment (organization_id, kind, reason, actor,"
            f" created_at, run_id, {_COLUMNS}) SELECT %(organization)s::bigint, %(kind)s::text, %(reason)s::text,"
            " %(actor)s::text, %(now)s::timestamptz, %(run)s::bigint, made.* FROM made"
            " ON CONFLICT DO NOTHING RETURNING id, booked_at",
            parameters,
        )
        booked = cursor.fetchall()
        if expected is not None and len(booked) < expected:
            raise LookupError(f"{expected - len(booked)} of {expected} events are not there, or were booked before")
        ids = [row_id for row_id, _ in booked]
        times = [at for _, at in booked]
        bounded = admit(organization_id, _values(organization_id, ids, times)) if ids else False
        cursor.execute(
            "WITH written AS (SELECT a.* FROM usage_adjustment a"
            " JOIN unnest(%(ids)s::bigint[], %(times)s::timestamptz[]) AS w (id, booked_at) USING (id, booked_at)"
            f" WHERE a.organization_id = %(organization)s), posting AS ({adjustment_postings('written')}),"
            f" {adding(bounded=bounded, watched=watched)}",
            {"ids": ids, "times": times, "organization": organization_id, **cut.parameters, **watched.parameters},
        )
        return spent_by_owner(cursor.fetchall())


_COLUMNS = ", ".join(
    ("id, booked_at, event_time, event_id, price_id, rule_id", ", ".join(MEASURES), ", ".join(POSTING_COLUMNS))
)


def _values(organization_id: int, ids: Sequence[int], times: Sequence[datetime]) -> set[Value]:
    """The bounded values of adjustments that were just written."""
    found: set[Value] = set()
    rows = Adjustment.objects.filter(
        organization_id=organization_id, id__in=ids, booked_at__gte=min(times), booked_at__lte=max(times)
    ).values_list("booked_at", "tags", *(COLUMNS[dimension] for dimension in BOUNDED))
    for booked_at, tags, *values in rows:
        month = month_of(booked_at)
        found |= {(dimension, month, value) for dimension, value in zip(BOUNDED, values, strict=True) if value}
        found |= {(TAG, month, name) for name in tags}
        found |= {(TAG_PREFIX + name, month, value) for name, value in tags.items() if value}
    return found
