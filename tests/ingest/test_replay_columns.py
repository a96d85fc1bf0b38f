"""From a file's rows to events: every spelling that people's files have, and every way in which they are wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.files.columns import Defaults, RowError, event_of_csv, event_of_json, header_of, moment, shifted
from ingest.replay.shift import auto_shift, parse_shift
from ingest.replay.source import open_source

NANO = Defaults("openai", "gpt-4.1-nano")
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens"


def write(tmp_path: Path, text: str | bytes, name: str = "usage.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_public_trace_becomes_events() -> None:
    header = header_of(TRACE.split(","), NANO)
    assert event_of_csv(header, ["2023-11-16 18:17:03.9799607", "4808", "10"], NANO) == {
        "time": "2023-11-16T18:17:03.979960Z",
        "provider": "openai",
        "model": "gpt-4.1-nano",
        "usage": {"input_tokens": 4808, "output_tokens": 10},
    }


def test_our_own_columns_win_over_the_defaults_and_empty_cells_are_left_out() -> None:
    names = "id,time,Provider,model,input tokens,OUTPUT_TOKENS,cached_tokens,latency_ms,customer,cost,tag.env,Requests"
    header = header_of(names.split(","), NANO)
    cells = ["a1", "2026-11-23T19:00:00+02:00", "mistral", "", "7", "", "3", "812", " acme ", "0.000231", "prod", "2"]
    assert event_of_csv(header, cells, NANO) == {
        "id": "a1",
        "time": "2026-11-23T17:00:00Z",
        "provider": "mistral",
        "model": "gpt-4.1-nano",
        "usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "requests": 2},
        "latency_ms": 812,
        "customer": "acme",
        "cost": "0.000231",
        "tags": {"env": "prod"},
    }
    assert header.unused == ()


@pytest.mark.parametrize(
    ("names", "defaults", "words"),
    [
        ("ContextTokens", NANO, "no column for time"),
        (TRACE, Defaults(), "provider, model; give --provider and --model"),
        ("time,input_tokens,prompt_tokens", NANO, "More than one column means input_tokens"),
        ("time,comment", NANO, "no column with counts"),
    ],
)
def test_a_file_that_lacks_something_is_refused_as_a_whole(names: str, defaults: Defaults, words: str) -> None:
    with pytest.raises(RowError, match=words):
        header_of(names.split(","), defaults)


def test_columns_that_mean_nothing_are_named() -> None:
    assert header_of(["time", "comment", "input_tokens"], NANO).unused == ("comment",)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["2023-11-16 18:17:03", "4808"], "2 cells instead of 3"),
        (["yesterday", "1", "1"], "time is not"),
        (["2023-11-16 18:17:03", "1.5", "1"], "input_tokens is not a whole number"),
        (["2023-11-16 18:17:03", "-1", "1"], "input_tokens is not a whole number"),
        (["2023-11-16 18:17:03", "1_000", "1"], "input_tokens is not a whole number"),
        (["2023-11-16 18:17:03", "٤", "1"], "input_tokens is not a whole number"),
    ],
)
def test_a_wrong_row_says_what_is_wrong(cells: list[str], words: str) -> None:
    with pytest.raises(RowError, match=words):
        event_of_csv(header_of(TRACE.split(","), NANO), cells, NANO)


@pytest.mark.parametrize("line", ["{", "[]", "1", '"x"', "{" * 3000])
def test_a_line_that_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(RowError):
        event_of_json(line, NANO)


def test_a_json_event_stays_what_it_is() -> None:
    line = '{"id": "x", "time": "2026-11-23T19:00:00Z", "model": "m", "usage": {"input_tokens": 1}}'
    assert event_of_json(line, NANO) == {
        "id": "x", "time": "2026-11-23T19:00:00Z", "provider": "openai", "model": "m", "usage": {"input_tokens": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "days", "time"),
    [
        ({"time": "2023-11-16T18:17:03.979960Z"}, 1103, "2026-11-23T18:17:03.979960Z"),
        ({"time": "2023-11-16T18:17:03+02:00"}, 1, "2023-11-17T16:17:03Z"),
        ({"time": "2023-11-16T18:17:03+02:00"}, 0, "2023-11-16T18:17:03+02:00"),
        ({"time": "2023-11-16 18:17:03"}, 1, "2023-11-16 18:17:03"),
        ({"time": "9999-12-31T23:00:00Z"}, 1, "9999-12-31T23:00:00Z"),
        ({"time": 5}, 1, 5),
    ],
)
def test_times_move_by_whole_days(event: dict[str, Any], days: int, time: object) -> None:
    assert shifted(event, days)["time"] == time


def test_a_time_needs_its_offset_where_nothing_else_says_it() -> None:
    with pytest.raises(RowError):
        moment("2023-11-16 18:17:03", naive_is_utc=False)


WINDOW = (timedelta(days=35), timedelta(minutes=5))
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        (NOW - timedelta(days=35), NOW + timedelta(minutes=5), 0),
        (NOW - timedelta(days=36), NOW - timedelta(days=34, hours=1), 34),
        (NOW - timedelta(days=35, seconds=1), NOW, 0),
        (datetime(2023, 11, 16, 18, tzinfo=UTC), datetime(2023, 11, 16, 19, tzinfo=UTC), 1103),
        (NOW - timedelta(days=100), NOW - timedelta(days=100), 100),
        (NOW, NOW + timedelta(hours=1), -1),
        (NOW + timedelta(days=3), NOW + timedelta(days=3), -3),
    ],
)
def test_the_automatic_shift_ends_the_file_within_the_last_day(first: datetime, last: datetime, days: int) -> None:
    assert auto_shift(first, last, NOW, WINDOW) == days
    if days:
        assert NOW - timedelta(days=1) < last + timedelta(days=days) <= NOW


def test_the_shift_option() -> None:
    assert [parse_shift(text) for text in ("auto", "none", "1103", "-2")] == [None, 0, 1103, -2]
    with pytest.raises(ValueError, match="tomorrow"):
        parse_shift("tomorrow")


def test_a_csv_is_counted_and_its_ids_follow_from_its_content(tmp_path: Path) -> None:
    text = f"{TRACE}\n2023-11-16 18:00:00,1,2\n\n2023-11-16 17:00:00,3,4\nnonsense\n"
    source = open_source(write(tmp_path, text), NANO)
    assert (source.rows, source.first, source.last) == (
        3, datetime(2023, 11, 16, 17, tzinfo=UTC), datetime(2023, 11, 16, 18, tzinfo=UTC)
    )  # fmt: skip
    ids = [row.event.get("id") for row in source]
    assert ids == [f"replay-{source.digest[:16]}-1", f"replay-{source.digest[:16]}-2", None]
    assert [row.number for row in source if row.fault] == [3]
    copy = open_source(write(tmp_path, text, "copy.csv"), NANO)
    assert [row.event.get("id") for row in copy] == ids
    other = open_source(write(tmp_path, text + "2023-11-16 17:00:00,3,5\n", "other.csv"), NANO)
    assert not {row.event.get("id") for row in other} & {*ids} - {None}


def test_json_lines_are_told_by_their_first_character(tmp_path: Path) -> None:
    lines = b'\xef\xbb\xbf\n{"id": "own", "time": "2026-11-23T19:00:00Z"}\n{"time": 3}\nnonsense\n'
    source = open_source(write(tmp_path, lines, "usage.jsonl"), NANO)
    first, second, third = source
    assert source.header is None
    assert first.event["id"] == "own"
    assert second.event["id"] == f"replay-{source.digest[:16]}-2"
    assert third.fault == "is not JSON"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"\n\n", "empty"), (b"TIMESTAMP,\xff\n", "UTF-8"), (f"{TRACE}\n\xe4".encode("latin-1"), "UTF-8")],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(RowError, match=words):
        open_source(write(tmp_path, content), NANO)
