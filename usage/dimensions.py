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
    # Most events repeat what others said, so whole combinations are told apart first.
    combinations, tags = set(), set()
    for item in charged:
        event = item.event
        time = event.time
        combinations.add(
            (time.year, time.month, item.provider, item.model, event.customer, event.feature, event.agent,
             event.end_user, event.session)
        )  # fmt: skip
        for tag in event.tags.items():
            tags.add((time.year, time.month, tag))
    found = {
        (dimension, date(year, month, 1), value)
        for year, month, *values in combinations
        for dimension, value in zip(BOUNDED, values, strict=True)
    }
    for year, month, (name, value) in tags:
        found |= {(TAG, date(year, month, 1), name), (TAG_PREFIX + name, date(year, month, 1), value)}
    return {each for each in found if each[2]}


def month_of(instant: datetime) -> date:
    """The month of a UTC instant, as its first day."""
    return date(instant.year, instant.month, 1)
