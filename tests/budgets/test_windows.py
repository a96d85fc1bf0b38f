"""Windows of time: every instant lies in one slot, slots tile time, and the hard days of hard zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from budgets.windows import BEGINNING, END, Window
from common.periods import local_midnight

ZONES = (
    "UTC", "Europe/Berlin", "Asia/Kathmandu", "Asia/Kolkata", "Pacific/Chatham", "Australia/Lord_Howe", "Asia/Beirut",
    "America/Santiago", "America/St_Johns", "America/Havana", "Africa/Cairo", "Pacific/Apia", "America/New_York",
)  # fmt: skip
MICROSECOND = timedelta(microseconds=1)
KINDS = ("hour", "day", "week", "month", "quarter", "year", "rolling", "total")

windows = st.builds(
    Window,
    kind=st.sampled_from(KINDS),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    week_start=st.integers(0, 6),
    fiscal_start=st.integers(1, 12),
    days=st.integers(2, 366),
)
instants = st.datetimes(datetime(2016, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
quickly = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quickly
@given(windows, instants)
def test_an_instant_lies_in_one_slot_and_slots_tile_time(window: Window, at: datetime) -> None:
    slot = window.slot_at(at)
    assert at in slot
    for inside in (slot.start, slot.end - MICROSECOND, slot.start + (slot.end - slot.start) / 2):
        assert window.slot_at(inside) == slot
    if window.kind != "total":
        after, before = window.slot_at(slot.end), window.slot_at(slot.start - MICROSECOND)
        assert (before.end, slot.end) == (slot.start, after.start)


@quickly
@given(windows, instants)
def test_a_window_is_whole_slots_and_ends_with_the_running_one(window: Window, at: datetime) -> None:
    whole, slot = window.at(at), window.slot_at(at)
    assert at in whole
    assert whole.end == slot.end
    if window.kind != "rolling":
        assert whole == slot
        return
    assert window.slot_at(whole.start).start == whole.start
    # So many local dates, whatever clocks did to their length; one that a zone skipped whole is a date of no length.
    dates = (slot.start + timedelta(hours=12)).astimezone(window.zone).date() - timedelta(days=window.days - 1)
    assert whole.start == local_midnight(dates, window.zone)


@quickly
@given(windows, instants)
def test_a_rolling_window_moves_by_one_slot_a_day(window: Window, at: datetime) -> None:
    whole = window.at(at)
    if window.kind == "rolling":
        later = window.at(whole.end)
        assert whole.start <= later.start <= whole.end
        assert later.end == window.slot_at(whole.end).end
        assert window.from_slot(whole.start).start == whole.start


def hours(kind: str, zone: str, at: str, **options: int) -> tuple[str, str]:
    """Start and end of the slot that holds an instant."""
    slot = Window(kind, ZoneInfo(zone), **options).slot_at(datetime.fromisoformat(at))
    return f"{slot.start:%Y-%m-%dT%H:%M}", f"{slot.end:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("kind", "zone", "at", "options", "expected"),
    [
        # Days of 23 and 25 hours, and of 23.5 and 24.5.
        ("day", "Europe/Berlin", "2026-03-29T12:00Z", {}, ("2026-03-28T23:00", "2026-03-29T22:00")),
        ("day", "Europe/Berlin", "2026-10-25T12:00Z", {}, ("2026-10-24T22:00", "2026-10-25T23:00")),
        ("day", "Australia/Lord_Howe", "2026-10-03T20:00Z", {}, ("2026-10-03T13:30", "2026-10-04T13:00")),
        ("day", "Australia/Lord_Howe", "2026-04-04T20:00Z", {}, ("2026-04-04T13:00", "2026-04-05T13:30")),
        # Midnight that does not exist, and one that comes twice.
        ("day", "Asia/Beirut", "2026-03-29T01:00Z", {}, ("2026-03-28T22:00", "2026-03-29T21:00")),
        ("day", "America/Havana", "2026-11-01T12:00Z", {}, ("2026-11-01T04:00", "2026-11-02T05:00")),
        # Offsets of 30 and 45 minutes.
        ("hour", "Asia/Kolkata", "2026-11-24T12:00Z", {}, ("2026-11-24T11:30", "2026-11-24T12:30")),
        ("hour", "Asia/Kathmandu", "2026-11-24T12:00Z", {}, ("2026-11-24T11:15", "2026-11-24T12:15")),
        ("month", "Pacific/Chatham", "2026-11-30T10:15Z", {}, ("2026-11-30T10:15", "2026-12-31T10:15")),
        # Ends of months and leap days.
        ("month", "UTC", "2028-02-29T23:59Z", {}, ("2028-02-01T00:00", "2028-03-01T00:00")),
        ("month", "America/New_York", "2026-03-01T04:59Z", {}, ("2026-02-01T05:00", "2026-03-01T05:00")),
        # Weeks that begin on another day.
        ("week", "UTC", "2026-11-22T00:00Z", {"week_start": 6}, ("2026-11-22T00:00", "2026-11-29T00:00")),
        ("week", "UTC", "2026-11-21T23:59Z", {"week_start": 6}, ("2026-11-15T00:00", "2026-11-22T00:00")),
        # Fiscal years and their quarters.
        ("year", "UTC", "2026-03-31T12:00Z", {"fiscal_start": 4}, ("2025-04-01T00:00", "2026-04-01T00:00")),
        ("quarter", "UTC", "2026-04-30T12:00Z", {"fiscal_start": 2}, ("2026-02-01T00:00", "2026-05-01T00:00")),
        ("quarter", "UTC", "2026-01-31T12:00Z", {"fiscal_start": 2}, ("2025-11-01T00:00", "2026-02-01T00:00")),
        ("quarter", "Asia/Kolkata", "2026-03-31T18:30Z", {"fiscal_start": 4}, ("2026-03-31T18:30", "2026-06-30T18:30")),
        # A rolling window is booked by days.
        ("rolling", "Europe/Berlin", "2026-03-29T12:00Z", {"days": 30}, ("2026-03-28T23:00", "2026-03-29T22:00")),
    ],
)
def test_slots(kind: str, zone: str, at: str, options: dict[str, int], expected: tuple[str, str]) -> None:
    assert hours(kind, zone, at, **options) == expected


def test_total_is_one_slot() -> None:
    window = Window("total", ZoneInfo("Asia/Kathmandu"))
    for at in (BEGINNING, datetime(2026, 11, 24, tzinfo=UTC), END - MICROSECOND):
        assert (window.slot_at(at).start, window.at(at).end) == (BEGINNING, END)
    assert len(list(window.slots(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)))) == 1


def test_a_rolling_window_over_a_change_of_clocks() -> None:
    window = Window("rolling", ZoneInfo("Europe/Berlin"), days=7)
    whole = window.at(datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert (whole.start, whole.end) == (
        datetime(2026, 10, 18, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    )
    assert len(list(window.slots(whole.start, whole.end - MICROSECOND))) == 7
    assert window.from_slot(whole.start) == whole


def test_slots_one_after_the_other() -> None:
    window = Window("day", ZoneInfo("Europe/Berlin"))
    slots = list(window.slots(local_midnight(date(2026, 3, 28), window.zone), datetime(2026, 3, 30, 12, tzinfo=UTC)))
    assert [(slot.end - slot.start) // timedelta(hours=1) for slot in slots] == [24, 23, 24]
