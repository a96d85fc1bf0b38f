"""How many messages a channel may have now, and when the digest of the others goes. Pure.

The hour slides: a message counts until an hour after it went.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Room:
    """Of what is due, `now` many may go, oldest first; a digest of the rest may go at `digest_at`."""

    now: int
    digest_at: datetime


def room_for(*, due: int, recent: Sequence[datetime], limit: int, now: datetime, digest_waits: bool) -> Room:
    """`recent`: when messages went, in any order; what is on its way counts as `now`.

    While a digest waits nothing passes it, so that alerts arrive in order and the digest is not kept waiting.
    """
    counting = sorted(moment for moment in recent if moment > now - HOUR)
    free = 0 if digest_waits else max(0, limit - len(counting))
    going = min(due, free)
    counting += [now] * going
    # The digest needs one message to leave the hour: of the last `limit` ones, the oldest.
    digest_at = counting[-limit] + HOUR if len(counting) >= limit else now
    return Room(going, digest_at)
