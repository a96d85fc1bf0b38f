"""How numbers read: tables of input and text."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from common import display
from common.display import Number

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "—"),
        (0, "$0.00"),
        (1_234_560_000_000, "$1,234.56"),
        (1_005_000_000, "$1.00"),
        (1_015_000_000, "$1.02"),
        (990_000_000, "$0.99"),
        (10_000_000, "$0.01"),
        (9_999_999, "$0.01"),
        (9_960_000, "$0.01"),
        (4_200_000, "$0.0042"),
        (420_000, "$0.00042"),
        (1, "$0.0000000010"),
        (-5_500_000_000, "−$5.50"),
        (-420_000, "−$0.00042"),
        (9_300_000_000_123_456_789, "$9,300,000,000.12"),
        (Decimal("1500000000"), "$1.50"),
    ],
)
def test_usd(nano: Number | None, text: str) -> None:
    assert display.usd(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "—"),
        (0, "$0.00"),
        (231_000, "$0.000231"),
        (12_000_000_000, "$12.00"),
        (1_234_567_890, "$1.23456789"),
        (-1, "−$0.000000001"),
        (10**30 + 1, "$1,000,000,000,000,000,000,000.000000001"),
    ],
)
def test_usd_exact(nano: Number | None, text: str) -> None:
    assert display.usd_exact(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "—"),
        (999_990_000_000, "$999.99"),
        (1_000_000_000_000, "$1k"),
        (12_345_000_000_000, "$12.3k"),
        (999_999_000_000_000, "$1M"),
        (-1_240_000_000_000_000, "−$1.24M"),
    ],
)
def test_usd_compact(nano: Number | None, text: str) -> None:
    assert display.usd_compact(nano) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (1_234_567, "1.23M"),
        (999_999, "1M"),
        (120_000, "120k"),
        (5_000_000_000, "5B"),
        (7 * 10**15, "7000T"),
        (-1500, "−1.5k"),
    ],
)
def test_compact(value: Number | None, text: str) -> None:
    assert display.compact(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0, "0%"),
        (Decimal("0.01"), "<0.1%"),
        (Decimal("4.21"), "4.2%"),
        (Decimal("9.96"), "10%"),
        (Decimal("63.4"), "63%"),
        (Decimal(12345), "12,345%"),
        (Decimal("-3.4"), "−3.4%"),
    ],
)
def test_percent(value: Number | None, text: str) -> None:
    assert display.percent(value) == text


@pytest.mark.parametrize(
    ("current", "previous", "text"),
    [
        (112, 100, "+12%"),
        (97, 100, "−3.0%"),
        (100, 100, "±0%"),
        (0, 0, "±0%"),
        (5, 0, "new"),
        (0, 5, "−100%"),
        (None, 5, "—"),
        (5, None, "—"),
        (5, -5, "+200%"),
    ],
)
def test_delta(current: Number | None, previous: Number | None, text: str) -> None:
    assert display.delta(current, previous) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3 * 3600, "3 h ago"),
        (86_400 * 12, "12 d ago"),
        (-300, "in 5 min"),
    ],
)
def test_ago(seconds: int, text: str) -> None:
    assert display.ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_ago_of_nothing_is_never() -> None:
    assert display.ago(None, NOW) == "never"


def test_a_moment_names_its_zone() -> None:
    assert display.moment(NOW) == "23 Nov 2026, 19:00 UTC"
    assert display.moment(NOW.astimezone(ZoneInfo("Europe/Berlin"))) == "23 Nov 2026, 20:00 CET"


def test_a_share_of_nothing_is_unknown() -> None:
    assert display.share(1, 0) is None
    assert display.share(1, 8) == Decimal("12.5")


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "—"),
        (0, "$0.00"),
        (42_807_500, "$0.0428"),
        (231_000, "$0.000231"),
        (1, "$0.00000000100"),
        (160_000_000, "$0.160"),
        (999_600_000, "$1.00"),
        (12_345_000_000, "$12.34"),
    ],
)
def test_usd_of_single_calls(nano: Number | None, text: str) -> None:
    assert display.usd_fine(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"), [(None, "—"), (0, "±$0"), (3_100_000_000, "+$3.10"), (-420_000, "−$0.00042")]
)
def test_usd_of_a_change(nano: Number | None, text: str) -> None:
    assert display.usd_signed(nano) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "—"),
        (Decimal("0"), "$0.00"),
        (Decimal("0.1"), "$0.10"),
        (Decimal("1234.5"), "$1,234.50"),
        (Decimal("0.00022750000"), "$0.0002275"),
        (Decimal("-0.000000000001"), "−$0.000000000001"),
        (Decimal("1E-7"), "$0.0000001"),
    ],
)
def test_exact_dollars(amount: Decimal | None, text: str) -> None:
    assert display.dollars(amount) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (None, "—"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (7_800, "2 h 10 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_lengths_of_time(length: int | None, text: str) -> None:
    assert display.seconds(length) == text


def test_a_clock_reads_in_the_zone_it_comes_in() -> None:
    in_kolkata = NOW.astimezone(ZoneInfo("Asia/Kolkata"))
    assert display.clock(in_kolkata) == "24 Nov 2026, 00:30:00"
    assert display.clock_short(in_kolkata) == "24 Nov, 00:30"
    assert display.clock_short(None) == "—"
