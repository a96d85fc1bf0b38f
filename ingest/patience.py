"""An end to waiting for slow bodies.

A server's `read(n)` goes on until it has n bytes, however slowly they drip, so no timeout of a single receive ever
fires. One thread per process looks once a second for sockets whose time is up and shuts their receiving side: the
read that hangs on them returns what it has.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator


class Patience:
    def __init__(self, interval_s: float = 1.0) -> None:
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def within(self, connection: socket.socket, seconds: float) -> Iterator[None]:
        """Inside, the connection receives for at most `seconds` (and one interval)."""
        with self._lock:
            self._deadlines[connection] = time.monotonic() + seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="slow-bodies", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._deadlines.pop(connection, None)

    def _watch(self) -> None:
        while True:
            time.sleep(self._interval_s)
            now = time.monotonic()
            with self._lock:
                late = [connection for connection, deadline in self._deadlines.items() if deadline <= now]
                for connection in late:
                    # The peer may be gone already; then nobody waits for it either.
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RD)


patience = Patience()
