"""Work that a process does beside its requests: the same thing every few seconds, and once more when it ends."""

import atexit
import threading
from collections.abc import Callable

from django.db import connection


class Background:
    """A thread that calls `work` again and again. `work` keeps for the next time what it cannot do now."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name, self._work = name, work
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self, *, every: float) -> None:
        """Starts this process's thread, once, after any fork; `every` in seconds."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(every,), name=self._name, daemon=True)
            self._thread.start()
            atexit.register(self._finish)

    def _run(self, every: float) -> None:
        while not self._stop.wait(every):
            self._work()
            connection.close()
        self._work()
        connection.close()

    def _finish(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
