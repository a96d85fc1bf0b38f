"""A flat fee over the hours of its term: every nano-dollar once, whatever the calendar does."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.fees import HOUR, Fee

BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
LONG_AGO, FAR_AHEAD = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
DOLLAR = 10**9


def month(first: date, last: date, zone: ZoneInfo = UTC_ZONE, amount: int = 1_000 * DOLLAR + 1) -> Fee:
    return Fee(amount, True, first, last, zone)


@pytest.mark.parametrize(
    ("zone", "first", "last", "hours"),
    [
        (UTC_ZONE, date(2026, 2, 1), date(2026, 2, 28), 28 * 24),
        (UTC_ZONE, date(2028, 2, 1), date(2028, 2, 29), 29 * 24),
        (UTC_ZONE, date(2026, 11, 1), date(2026, 11, 30), 30 * 24),
        (UTC_ZONE, date(2026, 12, 1), date(2026, 12, 31), 31 * 24),
        (BERLIN, date(2026, 3, 1), date(2026, 3, 31), 31 * 24 - 1),  # clocks go forward
        (BERLIN, date(2026, 10, 1), date(2026, 10, 31), 31 * 24 + 1),  # and back
        (ZoneInfo("Asia/Kolkata"), date(2026, 11, 1), date(2026, 11, 30), 30 * 24),
        # Half an hour of clocks makes one short hour.
        (ZoneInfo("Australia/Lord_Howe"), date(2026, 4, 1), date(2026, 4, 30), 30 * 24 + 1),
    ],
)
def test_a_month_pays_its_fee_to_the_nano_dollar(zone: ZoneInfo, first: date, last: date, hours: int) -> None:
    fee = month(first, last, zone)
    parts = list(fee.parts(LONG_AGO, FAR_AHEAD))
    assert len(parts) == hours
    assert sum(part.amount for part in parts) == fee.amount
    assert max(part.amount for part in parts) - min(p.amount for p in parts if p.end - p.start == HOUR) <= 1


def test_every_month_pays_again() -> None:
    fee = month(date(2026, 1, 1), date(2026, 12, 31), BERLIN)
    assert sum(part.amount for part in fee.parts(LONG_AGO, FAR_AHEAD)) == 12 * fee.amount


def test_a_month_in_part_pays_for_the_hours_it_covers() -> None:
    fee = month(date(2026, 11, 16), date(2026, 11, 30), amount=30 * DOLLAR)
    parts = list(fee.parts(LONG_AGO, FAR_AHEAD))
    assert (len(parts), sum(part.amount for part in parts)) == (15 * 24, 15 * DOLLAR)


def test_a_fee_for_the_whole_term_is_spread_over_it() -> None:
    fee = Fee(365 * DOLLAR, False, date(2026, 1, 1), date(2026, 12, 31), UTC_ZONE)
    parts = list(fee.parts(LONG_AGO, FAR_AHEAD))
    assert sum(part.amount for part in parts) == 365 * DOLLAR
    assert sum(part.amount for part in parts[:24]) == DOLLAR


def test_an_open_fee_goes_on() -> None:
    fee = Fee(DOLLAR, True, date(2026, 1, 1), None, UTC_ZONE)
    until = datetime(2027, 3, 1, tzinfo=UTC)
    assert sum(part.amount for part in fee.parts(LONG_AGO, until)) == 14 * DOLLAR


def test_an_hour_is_due_when_it_is_over() -> None:
    fee = month(date(2026, 11, 1), date(2026, 11, 30))
    start = datetime(2026, 11, 1, tzinfo=UTC)
    assert list(fee.parts(start, start + HOUR - timedelta(microseconds=1))) == []
    (part,) = fee.parts(start, start + HOUR)
    assert (part.start, part.end) == (start, start + HOUR)


zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
days = st.dates(date(2024, 1, 1), date(2027, 12, 31))


@given(st.integers(1, 10**18), st.booleans(), days, st.integers(0, 70), zones, st.integers(0, 2000))
@settings(deadline=None)
def test_booking_in_steps_comes_to_the_same(
    amount: int, monthly: bool, first: date, length: int, zone: str, hours: int
) -> None:
    fee = Fee(amount, monthly, first, first + timedelta(days=length), ZoneInfo(zone))
    whole = list(fee.parts(LONG_AGO, FAR_AHEAD))
    cut = fee.start + timedelta(minutes=47 * hours)
    first_step = list(fee.parts(fee.start, cut))
    booked_until = first_step[-1].end if first_step else fee.start
    assert first_step + list(fee.parts(booked_until, FAR_AHEAD)) == whole
    assert all(one.end == other.start for one, other in pairwise(whole))
    assert (whole[0].start, whole[-1].end) == (fee.start, fee.end)
    if not monthly:
        assert sum(part.amount for part in whole) == amount
