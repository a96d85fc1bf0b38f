"""A clock that is set back does not stop the schedule."""

import json
from datetime import timedelta

import pytest
import time_machine
from celery import Celery
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from costhub.beat import SteadyScheduler

pytestmark = pytest.mark.usefixtures("committed_db")


class Recording(SteadyScheduler):
    """Notes what it would send."""

    sent: list[str]

    def apply_async(self, entry: object, producer: object = None, advance: bool = True, **options: object) -> None:
        self.sent.append(entry.name)  # type: ignore[attr-defined]
        self.reserve(entry)


def scheduler() -> Recording:
    every, _ = IntervalSchedule.objects.get_or_create(every=2, period="seconds")
    for name in ("often", "also"):
        PeriodicTask.objects.create(name=name, task=name, interval=every, args=json.dumps([]))
    made = Recording(app=Celery(set_as_current=False), lazy=True)
    made.sent = []
    made.setup_schedule()
    return made


def test_an_hour_back() -> None:
    beat, start = scheduler(), timezone.now()
    with time_machine.travel(start + timedelta(hours=1, seconds=5), tick=False):
        for _ in range(6):
            beat.tick()
    assert {"often", "also"} <= set(beat.sent)
    beat.sent.clear()
    # What ran an hour ahead takes its present for last time, and is due one interval later.
    with time_machine.travel(start + timedelta(seconds=10), tick=False):
        beat.tick()
    with time_machine.travel(start + timedelta(seconds=13), tick=False):
        for _ in range(6):
            beat.tick()
    assert {"often", "also"} <= set(beat.sent)
