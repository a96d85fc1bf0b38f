"""What spend can be told apart by, and how many different values of it are kept apart. Pure.

Names that callers make up are bounded: per organization, dimension and month only so many of them get sums of their
own. What comes after that is summed under `OVERFLOW`, counted and shown; the events keep the name they came with.
"""

from collections.abc import Iterable
from datetime import date, datetime

from usage.records import Charged

# A name that no caller can report, because labels hold no control characters.
OVERFLOW = "\x1fother"
TAG, TAG_PREFIX = "tag", "tag."

# Dimension → column of a posting. The order is that of the columns wherever they are listed.
COLUMNS: dict[str, str] = {
    "provider": "provider",
    "model": "model",
    "team": "team_id",
    "virtual_key": "virtual_key_id",
    "operation": "operation",
    "service_tier": "service_tier",
    "status": "status",
    "cache": "cache",
    "customer": "customer",
    "feature": "feature",
    "agent": "agent",
    "user": "end_user",
    "session": "session",
}
TOTAL = "total"
# The dimensions of the cubes, which answer questions that cross them by the hour.
CUBE = ("team", "virtual_key", "provider", "model")
# A session begins and ends within hours: sums of it are kept by the day only, and it crosses with nothing.
DAILY_ONLY = frozenset({"session"})
# The dimensions (with all tags) of `usage_detail`, which answers every other crossing by the day.
DETAIL = tuple(dimension for dimension in COLUMNS if dimension not in DAILY_ONLY)
BOUNDED = ("provider", "model", "customer", "feature", "agent", "user", "session")

# Values per organization, dimension and month of UTC.
LIMITS = {"session": 20_000, TAG: 50}
LIMIT = 2_000

Value = tuple[str, date, str]  # dimension, first day of the month, value


def limit_of(dimension: str) -> int:
    return LIMITS.get(dimension, LIMIT)


def values_of(charged: Iterable[Charged]) -> set[Value]:
    """Every bounded value among the events, empty ones left out."""
    found: set[tuple[str, int, str]] = set()
    add = found.add
    for item in charged:
        event = item.event
        month = event.time.year * 12 + event.time.month - 1
        add(("provider", month, item.provider))
        add(("model", month, item.model))
        add(("customer", month, event.customer))
        add(("feature", month, event.feature))
        add(("agent", month, event.agent))
        add(("user", month, event.end_user))
        add(("session", month, event.session))
        for name, value in event.tags.items():
            add((TAG, month, name))
            add((TAG_PREFIX + name, month, value))
    return {(dimension, date(month // 12, month % 12 + 1, 1), value) for dimension, month, value in found if value}


def month_of(instant: datetime) -> date:
    """The month of a UTC instant, as its first day."""
    return date(instant.year, instant.month, 1)
