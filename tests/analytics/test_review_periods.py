"""Which week or month a review is about, and when it may be sent."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from analytics.ranges import InvalidRange
from analytics.review_periods import MONTH, WEEK, ReviewPeriod, last_ended, parse_period

BERLIN, AUCKLAND = ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Auckland")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "now", "zone", "first"),
    [
        (MONTH, NOW, BERLIN, date(2026, 10, 1)),
        (WEEK, NOW, BERLIN, date(2026, 11, 16)),
        # Midnight is the zone's: it is 1 December in Auckland first.
        (MONTH, datetime(2026, 11, 30, 11, tzinfo=UTC), AUCKLAND, date(2026, 11, 1)),
        (MONTH, datetime(2026, 11, 30, 11, tzinfo=UTC), BERLIN, date(2026, 10, 1)),
        (MONTH, datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC"), date(2025, 12, 1)),
        (WEEK, datetime(2026, 11, 23, tzinfo=UTC), ZoneInfo("UTC"), date(2026, 11, 16)),
        (WEEK, datetime(2026, 11, 22, 23, 59, tzinfo=UTC), ZoneInfo("UTC"), date(2026, 11, 9)),
    ],
)
def test_the_latest_that_is_over(every: str, now: datetime, zone: ZoneInfo, first: date) -> None:
    assert last_ended(every, now, zone).first == first


def test_a_review_goes_at_seven_in_the_morning_of_the_zone() -> None:
    month = ReviewPeriod(MONTH, date(2026, 10, 1), BERLIN)
    assert month.sent_from.astimezone(UTC) == datetime(2026, 11, 1, 6, tzinfo=UTC)
    week = ReviewPeriod(WEEK, date(2026, 10, 19), BERLIN)
    # The clocks changed on the Sunday between.
    assert week.sent_from.astimezone(UTC) == datetime(2026, 10, 26, 6, tzinfo=UTC)
    assert (week.whole.end - week.whole.start).total_seconds() == 169 * 3_600
    assert (month.label, week.label) == ("October 2026", "19 Oct – 25 Oct 2026")


@pytest.mark.parametrize("text", ["2026-10", "2026-W46", "2020-W53", "2025-01"])
def test_an_address_leads_to_its_period_and_back(text: str) -> None:
    period = parse_period(text, NOW, BERLIN)
    assert period.parameter == text
    assert period.previous.next == period
    assert period.whole.start == period.previous.whole.end


@pytest.mark.parametrize(
    "text",
    ["2026-11", "2026-W48", "2027-01", "2026-13", "2026-00", "2026-W54", "2026-W00", "2025-W53", "1999-01", "x",
     "2026-1", "2026-10-01", "２０２６-10", "2026-W47\n", "9999-W52", "0000-01"],
)  # fmt: skip
def test_what_is_no_period_or_not_over_is_refused(text: str) -> None:
    with pytest.raises(InvalidRange):
        parse_period(text, NOW, BERLIN)


def test_without_an_address_it_is_the_last_month() -> None:
    assert parse_period("", NOW, BERLIN).parameter == "2026-10"
