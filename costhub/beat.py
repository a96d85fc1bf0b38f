"""Celery beat that a clock which is set back does not stop.

Beat plans by the wall clock: after a step back everything would wait until the clock is where it was again, and with it
the deliveries of alerts and the sweeps that find what no worker was woken for.
"""

from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler


class SteadyScheduler(DatabaseScheduler):
    def tick(self, *args: Any, **options: Any) -> float:
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at > entry.default_now()]
        for entry in ahead:
            entry.last_run_at = entry.default_now()
        if ahead:
            # The plan was made by a clock that was ahead: it is made anew.
            self._heap = None
        interval: float = super().tick(*args, **options)
        return interval
