"""When the next attempt comes."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts.retries import GIVE_UP_AFTER, is_too_old, next_attempt

RAISED = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempts", "wait_s"), [(1, 10), (2, 30), (3, 120), (4, 600), (5, 3_600), (6, 7_200), (7, 14_400), (50, 14_400)]
)
def test_waits_grow(attempts: int, wait_s: int) -> None:
    assert next_attempt(attempts=attempts, raised_at=RAISED, now=RAISED, spread=0) == RAISED + timedelta(seconds=wait_s)


def test_waits_spread_by_a_fifth_at_most() -> None:
    assert next_attempt(attempts=1, raised_at=RAISED, now=RAISED, spread=1) == RAISED + timedelta(seconds=12)


@pytest.mark.parametrize(("asked_s", "wait_s"), [(5, 10), (90, 90), (7_000, 7_000)])
def test_a_wait_the_receiver_asks_for_is_kept(asked_s: int, wait_s: int) -> None:
    later = next_attempt(attempts=1, raised_at=RAISED, now=RAISED, spread=0, retry_after_s=asked_s)
    assert later == RAISED + timedelta(seconds=wait_s)


def test_after_a_day_it_ends() -> None:
    late = RAISED + GIVE_UP_AFTER
    assert next_attempt(attempts=1, raised_at=RAISED, now=late - timedelta(seconds=11), spread=0) is not None
    assert next_attempt(attempts=1, raised_at=RAISED, now=late - timedelta(seconds=9), spread=0) is None
    assert next_attempt(attempts=1, raised_at=RAISED, now=RAISED, spread=0, retry_after_s=90_000) is None


def test_the_steps_lead_through_the_whole_day() -> None:
    now, attempts = RAISED, 1
    while (later := next_attempt(attempts=attempts, raised_at=RAISED, now=now, spread=0.5)) is not None:
        now, attempts = later, attempts + 1
    assert now - RAISED > timedelta(hours=18)
    assert 8 <= attempts <= 20


def test_age() -> None:
    assert not is_too_old(raised_at=RAISED, now=RAISED + GIVE_UP_AFTER)
    assert is_too_old(raised_at=RAISED, now=RAISED + GIVE_UP_AFTER + timedelta(seconds=1))
