"""Lists of facts that grow: what they name, and what an alert does not tell of yet."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from alerts.lists import Item, come_since, named

NOW = datetime(2026, 11, 24, 18, 10, tzinfo=UTC)


def items(*minutes: int) -> list[Item]:
    """Named after the minute at which they appeared."""
    return [Item(str(minute), NOW + timedelta(minutes=minute)) for minute in minutes]


def test_the_newest_are_named_and_the_others_counted() -> None:
    assert named("networks", items(*range(20))) == {"networks": [str(minute) for minute in range(20)]}
    assert named("networks", items(*range(300))) == {
        "networks": [str(minute) for minute in range(280, 300)], "more_networks": 280,
        "newest_seen": "2026-11-24T23:09:00+00:00",
    }  # fmt: skip


FEW, MANY = range(3), range(30)


@pytest.mark.parametrize(
    ("told", "found", "words"),
    [
        (FEW, FEW, ""),
        (FEW, (0, 1), ""),
        (FEW, (0, 1, 2, 3), "3"),
        # As many as before, but not the same.
        (FEW, (0, 2, 3, 4), "3, 4"),
        (MANY, MANY, ""),
        (MANY, range(32), "30, 31"),
        # None of those it names is there any more.
        (MANY, range(10), ""),
        (MANY, (*range(10), 31), "31"),
        # It was written late, or the rule has changed.
        (MANY, (-1, *MANY), "1 more"),
    ],
)
def test_what_has_come_since(told: Sequence[int], found: Sequence[int], words: str) -> None:
    assert come_since(named("networks", items(*told)), "networks", items(*found)) == words
