"""Celery beat that a clock which is set back does not stop.

Beat plans by the wall clock: after a step back everything would wait until the clock is where it was again, and with it
the deliveries of alerts and the sweeps that find what no worker was woken for.
"""

from collections.abc import Iterable
from typing import Any

from celery.beat import ScheduleEntry
from django_celery_beat.schedulers import DatabaseScheduler


class SteadyScheduler(DatabaseScheduler):
    def tick(self, *args: Any, **options: Any) -> float:
        if brought_back(self.schedule.values()):
            # The plan was made by a clock that was ahead: it is made anew.
            self._heap = None
        interval: float = super().tick(*args, **options)
        return interval


def brought_back(entries: Iterable[ScheduleEntry]) -> bool:
    """Takes what ran in the future as run just now; whether there was anything."""
    ahead = [entry for entry in entries if entry.last_run_at > entry.default_now()]
    for entry in ahead:
        entry.last_run_at = entry.default_now()
    return bool(ahead)
