"""A Redis that is killed and comes back with nothing, or as it was some time ago: its append-only file is cut there."""

import os
import time
from collections import deque
from pathlib import Path

from costhub.embedded import Home


class Log:
    """The append-only file of a home's Redis, and how long it was in the last seconds."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lengths: deque[tuple[float, int]] = deque(maxlen=200)

    def look(self) -> None:
        self._lengths.append((time.time(), self._length()))

    def drop(self) -> float:
        """Forgets everything; what was settled comes back from the ledger, so it is as if only the present was lost."""
        for path in self._files():
            os.truncate(path, 0)
        return time.time()

    def cut(self, seconds: float) -> float:
        """Forgets what is younger than so many seconds; since when that is."""
        now = time.time()
        older = [seen for seen in self._lengths if seen[0] <= now - seconds and seen[1] <= self._length()]
        since, length = older[-1] if older else (0.0, 0)
        for path in self._files():
            os.truncate(path, length)
        return since

    def _length(self) -> int:
        return sum(path.stat().st_size for path in self._files())

    def _files(self) -> list[Path]:
        """One; in later versions of Redis it lies in a folder."""
        folder = self._home.redis
        return [*folder.glob("appendonly.aof"), *folder.glob("appendonlydir/*.incr.aof")]
