"""Where the usage of a back-test comes from: every posting while there are not too many, else sums by hours or days."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import starmap
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from django.db import OperationalError, connection

from budgets.applying import filters_of, usage_scope
from budgets.backtest import AFFECTED, Call
from budgets.cheaper import Cheaper, Tokens
from budgets.models import Budget, Unit
from budgets.windows import BEGINNING, Window
from common.periods import Period
from common.problems import Fault, Problem
from usage.dimensions import CUBE
from usage.questions import Dimension, Interval, UnanswerableError, next_midnight
from usage.retention import first_kept
from usage.selectors import Spend, SpendQuery, SpendRow, TooManyRowsError, spend, total

# Sums that are read at most; beyond it nobody's calls are told apart.
MAX_SUMS = 200_000
QUERY_MS = 20_000
_ROWS_AT_ONCE = 5_000
_WHOSE = (Dimension.TEAM, Dimension.VIRTUAL_KEY, Dimension.MODEL)


class Grain(StrEnum):
    """How exactly moments are known: each call, or the hour or day it was made in."""

    EVENT = "event"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls of a budget's scope in the order of time. Read them once, in the transaction that asked.

    `told`: the dimensions of `budgets.backtest.AFFECTED` that they tell apart.
    """

    grain: Grain
    calls: Iterator[Call]
    told: tuple[str, ...]


def usage_of(budget: Budget, period: Period, *, exact_up_to: int, cheaper: Cheaper | None = None) -> Usage:
    """What the budget, saved or not, would have counted in the period. By single events if the organization has no more
    than `exact_up_to` of them in the period and they are all still there; only these are told what they would have cost
    with a cheaper model. Problem 422 `too_slow` after 20 s.

    The statements of this transaction are bounded from here on.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{QUERY_MS}ms"])
    everything = SpendQuery(budget.organization_id, period.start, period.end)
    if period.start >= first_kept() and total(everything).events <= exact_up_to:
        return Usage(Grain.EVENT, _in_time(_postings(budget, period, cheaper)), tuple(AFFECTED))
    return _sums(budget, period)


def used_by_slot(budget: Budget, window: Window, period: Period) -> dict[datetime, int]:
    """What the budget would have counted in the period, in its unit, by the start of the slot it counts in.

    To the hour or, where hours cannot be told apart, to the whole days of the organization's zone; UnanswerableError
    for a window of hours then.
    """
    if period.start >= period.end:
        return {}
    slots: dict[datetime, int] = {}
    for row in _rows_by_time(budget, window, period):
        if row.start is not None:
            slot = window.slot_at(max(row.start, period.start)).start
            slots[slot] = slots.get(slot, 0) + amount_of(row.spend, budget.unit)
    return slots


def amount_of(sums: Spend, unit: str) -> int:
    """What counts of these sums against a limit in the unit."""
    match unit:
        case Unit.TOKENS:
            return sums.input_tokens + sums.output_tokens
        case Unit.REQUESTS:
            return sums.requests
        case _:
            return sums.cost


def _rows_by_time(budget: Budget, window: Window, period: Period) -> list[SpendRow]:
    filters = filters_of(budget)
    interval = Interval.HOUR if window.kind == "hour" else Interval.DAY
    asked = SpendQuery(
        budget.organization_id, period.start, period.end, zone=window.zone, interval=interval, filters=filters
    )
    try:
        return spend(asked)
    except UnanswerableError:
        if interval is Interval.HOUR:
            raise
    home = ZoneInfo(budget.organization.timezone)
    start, end = next_midnight(period.start, home), next_midnight(period.end, home)
    return spend(SpendQuery(budget.organization_id, start, end, zone=home, interval=interval, filters=filters))


def _postings(budget: Budget, period: Period, cheaper: Cheaper | None) -> Iterator[Call]:
    """Every event and every booking without one, in the order of time, as many as fit in memory at a time."""
    where, parameters = usage_scope(budget).condition()
    columns = _CALL if cheaper is None else f"{_CALL}, {_PRICED_BY}"
    with connection.wrap_database_errors, psycopg.ServerCursor(connection.connection, "backtest") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(
            f"SELECT {columns} FROM usage_posting WHERE organization_id = %(organization)s"
            f" AND at >= %(start)s AND at < %(end)s{where} ORDER BY at",
            {"organization": budget.organization_id, "start": period.start, "end": period.end, **parameters},
        )
        if cheaper is None:
            yield from starmap(Call, cursor)
        else:
            yield from (_with_cheaper(row, cheaper) for row in cursor)


# The fields of a call, and what a price of another model is found and multiplied by.
_CALL = (
    "at, cost, input_tokens + output_tokens, requests, unpriced_requests, team_id, virtual_key_id, customer, model,"
    " events = 0"
)
_PRICED_BY = (
    "happened_at, provider, service_tier, cache, input_tokens, cache_read_input_tokens, cache_write_input_tokens,"
    " output_tokens, reasoning_output_tokens"
)


def _with_cheaper(row: tuple[Any, ...], cheaper: Cheaper) -> Call:
    call = Call(*row[:10])
    at, provider, tier, cache, *tokens = row[10:]
    cost = cheaper.cost(at=at, provider=provider, model=call.model, tier=tier, cache=cache, tokens=Tokens(*tokens))
    return call if cost is None or cost >= call.cost else call._replace(cheaper=cost)


def _in_time(calls: Iterator[Call]) -> Iterator[Call]:
    """The calls; Problem 422 when Postgres gave up reading them."""
    try:
        yield from calls
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        detail = f"reading this usage took more than {QUERY_MS // 1000} seconds; ask for fewer days"
        raise Problem("validation-error", detail, errors=(Fault("/days", "too_slow", detail),)) from error


def _sums(budget: Budget, period: Period) -> Usage:
    """By the hour where the sums that are kept tell the scope apart by it, else by the organization's days."""
    filters = filters_of(budget)
    hours = SpendQuery(budget.organization_id, period.start, period.end, interval=Interval.HOUR, filters=filters)
    whose = _WHOSE if set(filters) <= set(CUBE) else ()
    try:
        return _usage(Grain.HOUR, hours, whose)
    except UnanswerableError as error:
        if budget.period == "hour":
            detail = f"there is too much usage to look at each call, and {error}; ask for fewer days"
            raise Problem("validation-error", detail, errors=(Fault("/days", "too_much", detail),)) from error
    home = ZoneInfo(budget.organization.timezone)
    start, end = next_midnight(period.start, home), next_midnight(period.end, home)
    days = SpendQuery(
        budget.organization_id, start, end, zone=home, interval=Interval.DAY, filters=filters, home=home
    )  # fmt: skip
    return _usage(Grain.DAY, days, _WHOSE)


def _usage(grain: Grain, query: SpendQuery, whose: tuple[Dimension, ...]) -> Usage:
    """The sums of the query, told apart by whose they are unless that is too much."""
    try:
        rows = spend(replace(query, group_by=whose), at_most=MAX_SUMS)
    except TooManyRowsError:
        whose, rows = (), spend(query)
    return Usage(grain, map(_call, rows), tuple(str(dimension) for dimension in whose))


def _call(row: SpendRow) -> Call:
    sums, group = row.spend, row.group
    return Call(
        at=row.start or BEGINNING,
        cost=sums.cost,
        tokens=sums.input_tokens + sums.output_tokens,
        requests=sums.requests,
        # A sum is refused in part only, so what of it has no price is not told apart.
        unpriced=0,
        team_id=int(group.get(Dimension.TEAM, 0)),
        virtual_key_id=int(group.get(Dimension.VIRTUAL_KEY, 0)),
        customer="",
        model=group.get(Dimension.MODEL, ""),
        certain=sums.events == 0 or sums.cost < 0,
    )
