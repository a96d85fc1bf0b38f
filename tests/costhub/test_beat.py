"""A clock that is set back does not stop the schedule."""

from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from celery.beat import ScheduleEntry
from celery.schedules import schedule

from costhub.beat import brought_back

APP = Celery("test", set_as_current=False)


def entry(last_run_at: datetime) -> ScheduleEntry:
    every = schedule(timedelta(seconds=2), app=APP)
    return ScheduleEntry(name="often", task="often", last_run_at=last_run_at, schedule=every, app=APP)


def test_what_ran_in_the_future_is_due_one_interval_from_now() -> None:
    ran = entry(datetime.now(UTC) + timedelta(hours=1))
    assert ran.is_due().next > 3_000
    assert brought_back([ran])
    assert ran.is_due().next == pytest.approx(2, abs=1)


def test_what_ran_in_the_past_stays_as_it_is() -> None:
    then = datetime.now(UTC) - timedelta(hours=1)
    ran = entry(then)
    assert not brought_back([ran])
    assert ran.last_run_at == then
    assert ran.is_due().is_due
