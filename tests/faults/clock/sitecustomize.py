"""On PYTHONPATH it lets a test set the clock of every Python process of the product, as an operator might by mistake.

The file that COSTHUB_TEST_CLOCK names holds the seconds by which the clock is off. `time-machine` shifts what the
process sees of the time of day, in C; the clocks that only measure durations go on, as they do on a real machine.
"""

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

CLOCK = Path(os.environ["COSTHUB_TEST_CLOCK"])
_sleep, _wall, _steady = time.sleep, time.time(), time.monotonic()


def _follow() -> None:
    offset, travelling = 0.0, None
    while True:
        wanted = float(CLOCK.read_text() or 0) if CLOCK.exists() else 0.0
        if wanted != offset:
            if travelling is not None:
                travelling.stop()
                travelling = None
            if wanted:
                right = datetime.fromtimestamp(_wall + time.monotonic() - _steady, UTC)
                travelling = time_machine.travel(right + timedelta(seconds=wanted), tick=True)
                travelling.start()
            offset = wanted
        _sleep(0.1)


def _start() -> None:
    threading.Thread(target=_follow, name="test-clock", daemon=True).start()


# A thread does not survive a fork, and web servers and workers fork.
os.register_at_fork(after_in_child=_start)
_start()
