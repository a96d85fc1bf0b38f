"""Rows of a file to events of the API. Pure.

CSV columns are ours, or those of public traces under their own names; a time without an offset is UTC. JSON Lines hold
events as the API takes them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

Event = dict[str, Any]

# Names that traces and exports use for what we call otherwise; compared without case, spaces and underscores.
_ALIASES = {
    "timestamp": "time",
    "contexttokens": "input_tokens",
    "prompttokens": "input_tokens",
    "requesttokens": "input_tokens",
    "generatedtokens": "output_tokens",
    "completiontokens": "output_tokens",
    "responsetokens": "output_tokens",
    "cachedtokens": "cache_read_input_tokens",
    "reasoningtokens": "reasoning_output_tokens",
    "cachereadtokens": "cache_read_input_tokens",
    "cachedinputtokens": "cache_read_input_tokens",
    "inputcachedtokens": "cache_read_input_tokens",
    "cachewritetokens": "cache_write_input_tokens",
    "date": "time",
    "datetime": "time",
    "createdat": "time",
    "startedat": "time",
    "modelname": "model",
    "vendor": "provider",
    "requestid": "id",
    "eventid": "id",
    "userid": "user",
    "sessionid": "session",
    "nummodelrequests": "requests",
}
USAGE = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "images",
    "requests",
    "tool_calls",
)
_TEXTS = (
    "id",
    "time",
    "provider",
    "model",
    "operation",
    "service_tier",
    "status",
    "cache",
    "cost",
    "usage_source",
    "customer",
    "feature",
    "agent",
    "user",
    "trace_id",
    "span_id",
    "parent_span_id",
    "session",
    "authorization",
)
_NUMBERS = ("latency_ms", *USAGE)
_TAG = "tag."
_TAG_FIELD = re.compile(r"tag\.[a-z0-9_]{1,40}")
_KNOWN = {name.replace("_", ""): name for name in (*_TEXTS, *_NUMBERS)} | _ALIASES


# Everything a column can mean, beside "tag." and the name of a tag.
FIELDS = (*_TEXTS, *_NUMBERS)
ID_DIGITS = 16
MAX_DIGITS = 18


class RowError(ValueError):
    """What is wrong with a row or with the whole file, in words. `field` is the one to blame, "" when there is none."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a file without these columns is said to be."""

    provider: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of a CSV's columns; "" for a column that is nothing to us."""

    fields: tuple[str, ...]
    unused: tuple[str, ...]


def recognized(names: Sequence[str]) -> tuple[str, ...]:
    """What each column seems to mean, "" where its name says nothing; of several that mean the same, the first."""
    fields: list[str] = []
    for name in names:
        field = _field(name)
        fields.append("" if field in fields else field)
    return tuple(fields)


def header_of(names: Sequence[str], defaults: Defaults, mapping: Mapping[str, str] | None = None) -> Header:
    """`mapping` says what columns mean whose names do not tell, by name. RowError when something that every event
    needs is neither a column nor given."""
    chosen = mapping or {}
    absent = [name for name in chosen if name not in names]
    if absent:
        raise RowError(f"The file has no column called {', '.join(absent)}.")
    fields = [chosen[name] if name in chosen else _field(name) for name in names]
    # What was said outright goes before what a name seems to say.
    return checked_header(
        names,
        [
            "" if field in chosen.values() and name not in chosen else field
            for name, field in zip(names, fields, strict=True)
        ],
        defaults,
    )


def checked_header(names: Sequence[str], meant: Sequence[str], defaults: Defaults) -> Header:
    """The header of columns that mean these fields; RowError when no event could be made of them."""
    fields = tuple(meant)
    unknown = [field for field in fields if field and field not in FIELDS and not _TAG_FIELD.fullmatch(field)]
    if unknown:
        raise RowError(f"There is no field called {', '.join(unknown)}.")
    twice = {field for field in fields if field and fields.count(field) > 1}
    if twice:
        raise RowError(f"More than one column means {', '.join(sorted(twice))}.")
    given = {*fields, *(name for name in ("provider", "model") if getattr(defaults, name))}
    missing = [name for name in ("time", "provider", "model") if name not in given]
    if missing:
        options = [f"--{name}" for name in missing if name != "time"]
        hint = f"; give {' and '.join(options)}" if options else ""
        raise RowError(f"The file has no column for {', '.join(missing)}{hint}.")
    if not any(field in USAGE for field in fields):
        raise RowError(f"The file has no column with counts, such as {', '.join(USAGE[:5])}.")
    return Header(fields, tuple(name for name, field in zip(names, fields, strict=True) if not field))


def _field(name: str) -> str:
    plain = name.strip().lower()
    if plain.startswith(_TAG):
        return plain
    return _KNOWN.get(plain.replace("_", "").replace(" ", ""), "")


def row_id(digest: str, number: int) -> str:
    """The id of a row that has none of its own: the same in every replay and import of the same file."""
    return f"replay-{digest[:ID_DIGITS]}-{number}"


def event_of(row: Sequence[str] | str, header: Header | None, defaults: Defaults) -> Event:
    """The event of a row of `ingest.files.reading`; without a header the row is JSON."""
    if header is None or isinstance(row, str):
        return event_of_json(str(row), defaults)
    return event_of_csv(header, row, defaults)


def event_of_csv(header: Header, cells: Sequence[str], defaults: Defaults) -> Event:
    """An event with its time still as recorded; empty cells are left out. RowError names the cell."""
    if len(cells) != len(header.fields):
        raise RowError(f"has {len(cells)} cells instead of {len(header.fields)}")
    event: Event = {"usage": {}}
    for field, cell in zip(header.fields, cells, strict=True):
        text = cell.strip()
        if not field or not text:
            continue
        if field in USAGE:
            event["usage"][field] = _number(field, text)
        elif field.startswith(_TAG):
            event.setdefault("tags", {})[field.removeprefix(_TAG)] = text
        else:
            event[field] = _number(field, text) if field in _NUMBERS else text
    if "time" in event:
        event["time"] = time_text(moment(event["time"], naive_is_utc=True))
    return _with_defaults(event, defaults)


def event_of_json(line: str, defaults: Defaults) -> Event:
    try:
        event = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RowError("is not JSON") from error
    if not isinstance(event, dict):
        raise RowError("is not an object")
    return _with_defaults(event, defaults)


def _with_defaults(event: Event, defaults: Defaults) -> Event:
    for name in ("provider", "model"):
        value = getattr(defaults, name)
        if value and name not in event:
            event[name] = value
    return event


def _number(field: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise RowError(f"{field} is not a whole number", field)
    if len(text) > MAX_DIGITS:
        raise RowError(f"{field} is out of range", field)
    return int(text)


def moment(text: object, *, naive_is_utc: bool) -> datetime:
    """An instant in UTC; digits beyond the microsecond are cut. RowError when it is none."""
    try:
        parsed = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError as error:
        raise RowError("time is not a date and time", "time") from error
    if parsed.tzinfo is None and not naive_is_utc:
        raise RowError("time does not name its offset from UTC", "time")
    try:
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise RowError("time is out of range", "time") from error


def time_text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def shifted(event: Mapping[str, Any], days: int) -> Event:
    """The event so many days later; one whose time cannot be read stays as it is, for the server to refuse."""
    if not days:
        return dict(event)
    try:
        at = moment(event.get("time"), naive_is_utc=False)
        return {**event, "time": time_text(at + timedelta(days=days))}
    except (RowError, OverflowError):
        return dict(event)
