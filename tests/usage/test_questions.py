"""Which sums answer which question: whole days from days, ragged ends from hours, or a refusal that says why."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from usage.questions import (
    Dimension,
    Interval,
    Misfit,
    Question,
    Span,
    UnanswerableError,
    is_dimension,
    next_midnight,
    source_of,
    spans_of,
)

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
KATHMANDU = ZoneInfo("Asia/Kathmandu")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spans(
    start: str,
    end: str,
    *used: str,
    zone: ZoneInfo = BERLIN,
    interval: Interval | None = None,
    home: ZoneInfo = BERLIN,
) -> list[Span]:
    return spans_of(Question(at(start), at(end), zone, interval, frozenset(used), home))[1]


def days(table: str, first: str, last: str) -> Span:
    return Span(table, first=date.fromisoformat(first), last=date.fromisoformat(last))


def hours(table: str, start: str, end: str) -> Span:
    return Span(table, start=at(start), end=at(end))


@pytest.mark.parametrize(
    ("used", "daily", "hourly", "dimension"),
    [
        ((), "usage_rollup_day", "usage_rollup", "total"),
        (("model",), "usage_rollup_day", "usage_rollup", "model"),
        (("tag.env",), "usage_rollup_day", "usage_rollup", "tag.env"),
        (("session",), "usage_rollup_day", None, "session"),
        (("model", "team"), "usage_cube_day", "usage_cube", None),
        (("model", "team", "provider", "virtual_key"), "usage_cube_day", "usage_cube", None),
        (("model", "customer"), "usage_detail", None, None),
        (("tag.env", "tag.region"), "usage_detail", None, None),
    ],
)
def test_the_smallest_tables_that_tell_dimensions_apart(
    used: tuple[str, ...], daily: str, hourly: str | None, dimension: str | None
) -> None:
    source = source_of(used)
    assert (source.daily, source.hourly, source.dimension) == (daily, hourly, dimension)


RANGES = [
    # Two local days, to the minute.
    ("2026-11-09T23:00", "2026-11-11T23:00", [days("usage_rollup_day", "2026-11-10", "2026-11-12")]),
    # Hours before the first midnight, hours after the last one.
    (
        "2026-11-09T20:00",
        "2026-11-12T01:00",
        [
            days("usage_rollup_day", "2026-11-10", "2026-11-12"),
            hours("usage_rollup", "2026-11-09T20:00", "2026-11-09T23:00"),
            hours("usage_rollup", "2026-11-11T23:00", "2026-11-12T01:00"),
        ],
    ),
    (
        "2026-11-09T23:00",
        "2026-11-11T05:00",
        [
            days("usage_rollup_day", "2026-11-10", "2026-11-11"),
            hours("usage_rollup", "2026-11-10T23:00", "2026-11-11T05:00"),
        ],
    ),
    # No whole day inside.
    ("2026-11-10T00:00", "2026-11-10T23:00", [hours("usage_rollup", "2026-11-10T00:00", "2026-11-10T23:00")]),
    ("2026-11-10T20:00", "2026-11-11T20:00", [hours("usage_rollup", "2026-11-10T20:00", "2026-11-11T20:00")]),
    # The day of 25 hours, and that of 23.
    ("2026-10-24T22:00", "2026-10-25T23:00", [days("usage_rollup_day", "2026-10-25", "2026-10-26")]),
    ("2026-03-28T23:00", "2026-03-29T22:00", [days("usage_rollup_day", "2026-03-29", "2026-03-30")]),
    ("2026-10-24T22:00", "2026-10-25T22:00", [hours("usage_rollup", "2026-10-24T22:00", "2026-10-25T22:00")]),
]


@pytest.mark.parametrize(("start", "end", "expected"), RANGES)
@pytest.mark.parametrize("interval", [None, Interval.DAY, Interval.WEEK, Interval.MONTH])
def test_days_where_they_fit_and_hours_at_the_ends(
    start: str, end: str, expected: list[Span], interval: Interval | None
) -> None:
    assert spans(start, end, "model", interval=interval) == expected


@pytest.mark.parametrize(
    ("interval", "zone"), [(Interval.HOUR, UTC_ZONE), (Interval.DAY, KATHMANDU), (Interval.MONTH, UTC_ZONE)]
)
def test_hours_and_other_zones_come_from_hours(interval: Interval, zone: ZoneInfo) -> None:
    found = spans("2026-11-01T00:00", "2026-11-20T00:00", "model", "team", interval=interval, zone=zone)
    assert found == [hours("usage_cube", "2026-11-01T00:00", "2026-11-20T00:00")]


def test_without_an_interval_the_zone_does_not_matter() -> None:
    assert spans("2026-11-09T23:00", "2026-11-10T23:00", zone=KATHMANDU) == spans(
        "2026-11-09T23:00", "2026-11-10T23:00"
    )


def test_days_of_a_zone_that_cuts_hours() -> None:
    found = spans("2026-11-09T18:15", "2026-11-10T18:30", "model", zone=KATHMANDU, home=KATHMANDU)
    assert found == [
        days("usage_rollup_day", "2026-11-10", "2026-11-11"),
        hours("usage_rollup", "2026-11-10T18:15", "2026-11-10T18:30"),
    ]


def test_what_only_days_tell_apart() -> None:
    found = spans("2026-11-09T23:00", "2026-11-11T23:00", "customer", "agent", interval=Interval.WEEK)
    assert found == [days("usage_detail", "2026-11-10", "2026-11-12")]


@pytest.mark.parametrize(
    ("start", "end", "used", "interval", "zone", "misfit"),
    [
        ("2026-11-09T23:00", "2026-11-10T23:00", ("session", "model"), None, BERLIN, Misfit.COMBINATION),
        ("2026-11-09T23:00", "2026-11-10T23:00", ("session",), Interval.HOUR, UTC_ZONE, Misfit.INTERVAL),
        ("2026-11-09T23:00", "2026-11-10T23:00", ("agent", "user"), Interval.HOUR, UTC_ZONE, Misfit.INTERVAL),
        ("2026-11-09T23:00", "2026-11-10T23:00", ("agent", "user"), Interval.DAY, KATHMANDU, Misfit.INTERVAL),
        ("2026-11-09T22:00", "2026-11-10T23:00", ("agent", "user"), Interval.DAY, BERLIN, Misfit.RANGE),
        ("2026-11-09T23:00", "2026-11-10T22:00", ("agent", "user"), None, KATHMANDU, Misfit.RANGE),
    ],
)
def test_what_sums_cannot_answer(
    start: str, end: str, used: tuple[str, ...], interval: Interval | None, zone: ZoneInfo, misfit: Misfit
) -> None:
    with pytest.raises(UnanswerableError) as refused:
        spans(start, end, *used, interval=interval, zone=zone)
    assert refused.value.misfit is misfit


@pytest.mark.parametrize(
    ("instant", "midnight"),
    [
        ("2026-11-09T23:00", "2026-11-09T23:00"),
        ("2026-11-09T23:00:01", "2026-11-10T23:00"),
        ("2026-10-24T22:30", "2026-10-25T23:00"),
    ],
)
def test_the_next_midnight(instant: str, midnight: str) -> None:
    assert next_midnight(at(instant), BERLIN) == at(midnight)


@pytest.mark.parametrize("name", [*Dimension, "tag.env", "tag." + "x" * 40, "tag.a_1"])
def test_dimensions(name: str) -> None:
    assert is_dimension(name)


@pytest.mark.parametrize(
    "name", ["", "total", "tag", "tag.", "tag.Env", "tag.a b", "tag." + "x" * 41, "tag.a'", "tag.a\n"]
)
def test_what_is_none(name: str) -> None:
    assert not is_dimension(name)
