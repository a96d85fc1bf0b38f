"""Ids for tenant objects: 63-bit integers, ordered by the time they were made, that count nothing.

41 bits of milliseconds since 2024 and 22 random bits. Made by the application, so that a row can be written under
row-level security (whose policy needs the organization's id first) and on a distributed database without a sequence.
"""

import secrets
import threading
import time

EPOCH_MS = 1_704_067_200_000
RANDOM_BITS = 22


class _Ids:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> int:
        drawn = (time.time_ns() // 1_000_000 - EPOCH_MS) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
        with self._lock:
            self._last = max(drawn, self._last + 1)
            return self._last


_ids = _Ids()


def new_id() -> int:
    """A new id, greater than every earlier one of this process; the primary key refuses the rare twin of another's."""
    return _ids.new()


def parse_id(text: str) -> int | None:
    """The id that `text` writes in plain ASCII digits, or None when it cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if 0 < value < 2**63 else None
