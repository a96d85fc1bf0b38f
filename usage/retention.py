"""How long events are kept: months made ahead, months dropped on schedule, and from when sums can still be proved.

Only events are dropped. Sums, adjustments, budgets and alerts outlive them; what they say of a month without events is
kept as it was and can no longer be proved or made anew.
"""

import logging
from datetime import UTC, date, datetime

from django.db import OperationalError, connection

log = logging.getLogger(__name__)

EVER = datetime(1970, 1, 1, tzinfo=UTC)


def first_of_month(day: date, months: int = 0) -> date:
    """The first of the day's month, so many months later."""
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def months_to_drop(existing: list[date], *, now: datetime, keep: int) -> list[date]:
    """Of the months there are, those that end before the `keep` whole months before this one; none when keep is 0."""
    if keep == 0:
        return []
    oldest_kept = first_of_month(now.astimezone(UTC).date(), -keep)
    return sorted(month for month in existing if month < oldest_kept)


def existing_months() -> list[date]:
    """The first days of the months that have a partition of events."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_date(right(relname, 7), 'YYYY_MM') FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE inhparent = 'usage_event'::regclass ORDER BY 1"
        )
        return [month for (month,) in cursor.fetchall()]


def months_ahead(now: datetime) -> int:
    """For how many months after this one, without a gap, events have a partition already."""
    existing, month = set(existing_months()), now.astimezone(UTC).date()
    ahead = 0
    while first_of_month(month, ahead + 1) in existing:
        ahead += 1
    return ahead


def drop_old_events(*, now: datetime, keep: int) -> list[date]:
    """Drops the events of whole months before the `keep` last ones; which. One that is in use is left for next time."""
    dropped = []
    for month in months_to_drop(existing_months(), now=now, keep=keep):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT usage_drop_month(%s, %s)", [month, keep])
                (events,) = cursor.fetchone()
        except OperationalError as error:
            log.warning("the events of %s are in use and stay for now: %s", month, error)
            continue
        log.info("dropped %s events of %s", events, month)
        dropped.append(month)
    return dropped


def first_kept() -> datetime:
    """The first instant from which all events are there, so that sums can be proved."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(month) FROM usage_dropped_month")
        (month,) = cursor.fetchone()
    if month is None:
        return EVER
    first = first_of_month(month, 1)
    return datetime(first.year, first.month, 1, tzinfo=UTC)


def unpriced_requests() -> int:
    """Requests of all organizations that no price is known for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_unpriced_requests()")
        return int(cursor.fetchone()[0])
