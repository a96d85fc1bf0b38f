"""When to try a delivery again, and when to stop. Pure."""

from datetime import datetime, timedelta

# After the first, second, … failed attempt; the last one repeats until the alert is a day old.
STEPS = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 120, 600, 3_600, 7_200, 14_400))
GIVE_UP_AFTER = timedelta(hours=24)
# Waits grow by up to this share at random, so that what failed together does not come back together.
JITTER = 0.2


def next_attempt(
    *, attempts: int, raised_at: datetime, now: datetime, spread: float, retry_after_s: int | None = None
) -> datetime | None:
    """When to try again after `attempts` attempts; None when it is time to give up.

    `spread` is a random number from 0 to 1. A wait that the receiver asked for is kept, never shortened.
    """
    step = STEPS[min(attempts, len(STEPS)) - 1] * (1 + JITTER * spread)
    wait = max(step, timedelta(seconds=retry_after_s or 0))
    return now + wait if now + wait <= raised_at + GIVE_UP_AFTER else None


def is_too_old(*, raised_at: datetime, now: datetime) -> bool:
    return now > raised_at + GIVE_UP_AFTER
