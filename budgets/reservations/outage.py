"""How long Redis has been away, as this process sees it. After a failure it is not asked for a second."""

import time

REST_S = 1.0
# What happened longer ago than this without another failure was an outage of its own.
FORGOTTEN_S = 30.0


class Outage:
    def __init__(self) -> None:
        self._since: float | None = None
        self._latest = 0.0

    @property
    def rests(self) -> bool:
        return self._since is not None and time.monotonic() < self._latest + REST_S

    @property
    def seconds(self) -> float:
        """Since it began; 0 when there is none."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def failed(self) -> None:
        now = time.monotonic()
        if self._since is None or now > self._latest + FORGOTTEN_S:
            self._since = now
        self._latest = now

    def over(self) -> None:
        self._since = None
