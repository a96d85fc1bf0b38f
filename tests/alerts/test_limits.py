"""How many messages a channel may have: the table, and what holds for any flood."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.limits import HOUR, Room, room_for

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ago(*minutes: int) -> list[datetime]:
    return [NOW - timedelta(minutes=each) for each in minutes]


def at(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("due", "recent", "limit", "waits", "room"),
    [
        (0, [], 3, False, Room(0, NOW)),
        (2, [], 3, False, Room(2, NOW)),
        (3, [], 3, False, Room(3, at(60))),
        (5, [], 3, False, Room(3, at(60))),
        (1, ago(10, 20), 3, False, Room(1, at(40))),
        (2, ago(10, 20), 3, False, Room(1, at(40))),
        (2, ago(10, 20, 30), 3, False, Room(0, at(30))),
        # More than the limit went, because critical ones always go: the digest waits until enough have left the hour.
        (1, ago(10, 20, 30, 40, 50), 3, False, Room(0, at(30))),
        # A message counts until an hour after it went, and not at that moment any more.
        (1, ago(59), 1, False, Room(0, at(1))),
        (1, ago(60), 1, False, Room(1, at(60))),
        (1, ago(61, 300), 1, False, Room(1, at(60))),
        # Nothing passes a digest that waits.
        (2, [], 3, True, Room(0, NOW)),
        (2, ago(10), 3, True, Room(0, NOW)),
    ],
)
def test_the_room(due: int, recent: list[datetime], limit: int, waits: bool, room: Room) -> None:
    assert room_for(due=due, recent=recent, limit=limit, now=NOW, digest_waits=waits) == room


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, 240), st.integers(1, 40)), max_size=15),
    st.integers(1, 10),
)
def test_in_no_hour_do_more_go_and_none_is_lost(bursts: list[tuple[int, int]], limit: int) -> None:
    """A flood against the limiter as `alerts.gathering` uses it: (minute, how many) of alerts that become due."""
    sent: list[datetime] = []
    gathered = told = 0
    digest_at: datetime | None = None
    arriving = sorted(bursts)
    for minute in range(1_400):
        now = at(minute)
        if digest_at is not None and now >= digest_at:
            sent.append(now)
            told, gathered, digest_at = told + gathered, 0, None
        due = sum(count for when, count in arriving if when == minute)
        if not due:
            continue
        room = room_for(due=due, recent=sent, limit=limit, now=now, digest_waits=digest_at is not None)
        sent += [now] * room.now
        told += room.now
        if due > room.now:
            gathered += due - room.now
            digest_at = digest_at or room.digest_at
    assert (told, gathered) == (sum(count for _, count in arriving), 0)
    assert all(sum(moment - HOUR < other <= moment for other in sent) <= limit for moment in sent)
