"""Events as PostgreSQL reads them: an array of the row type `usage_incoming` in the binary format of the protocol.

The type's columns stand in the order in which they are quickest to write (`usage.tables.INCOMING_COLUMNS`): what a
batch has in common, all numbers in one go, names that come again and again as ready-made bytes, the rest. There are no
NULLs among the numbers: -1 and 0 stand for what is not known, and the INSERT turns them back.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

from common.db import server_cursor
from usage.records import Charged, Reported
from usage.tables import INCOMING_COLUMNS, INCOMING_NAMES, INCOMING_NUMBERS

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# OIDs of built-in types never change (pg_type.dat).
_BIGINT, _TEXT, _TIMESTAMPTZ, _JSONB = 20, 25, 1184, 3802

# A number's type and length as one big-endian integer, then the number.
_NUMBER, _TIME = _BIGINT << 32 | 8, _TIMESTAMPTZ << 32 | 8
_numbers = struct.Struct("!" + "qq" * (1 + len(INCOMING_NUMBERS))).pack
_common = struct.Struct("!iqqqqqq").pack
_header = struct.Struct("!ii").pack
_length = struct.Struct("!i").pack
_array = struct.Struct("!iiIii").pack
_EMPTY = _header(_TEXT, 0)
_NO_TAGS = _header(_JSONB, -1)
_JSONB_VERSION = b"\x01"
_json = msgspec.json.Encoder(order="deterministic").encode

# Names as bytes, by what they are; beyond this many they start anew.
REMEMBERED = 20_000
_names: dict[tuple[str, ...], bytes] = {}
_labels: dict[str, bytes] = {"": _EMPTY}


class PackedRows:
    """Bytes that are already in the binary format of their type."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content


NO_ROWS = PackedRows(b"")


class PackedRowsDumper(Dumper):
    format = Format.BINARY
    oid = 0

    def dump(self, obj: PackedRows) -> Buffer:
        return obj.content


def packed(charged: Sequence[Charged]) -> PackedRows:
    """The events as one parameter of type usage_incoming[]."""
    with server_cursor() as cursor:
        cursor.execute("SELECT oid FROM pg_type WHERE typname = 'usage_incoming'")
        (row_type,) = cursor.fetchone() or (0,)
    return PackedRows(pack_rows(charged, row_type))


def pack_rows(charged: Sequence[Charged], row_type: int) -> bytes:
    """A one-dimensional array of rows: array_recv and record_recv of PostgreSQL's sources define the layout."""
    parts = [_array(1, 0, row_type, len(charged), 1)]
    columns = len(INCOMING_COLUMNS)
    # What the events of a batch have in common comes in runs.
    owner: tuple[object, ...] = ()
    common = b""
    for item in charged:
        mine = (item.received_at, item.team_id, item.virtual_key_id, item.source)
        if mine != owner:
            owner = mine
            received = (item.received_at - _EPOCH) // _MICROSECOND
            common = _common(columns, _TIME, received, _NUMBER, item.team_id, _NUMBER, item.virtual_key_id) + _text(
                item.source
            )
        row = b"".join((common, *_columns(item)))
        parts += (_length(len(row)), row)
    return b"".join(parts)


def _columns(item: Charged) -> tuple[bytes, ...]:
    """Every column after the common ones, in the order of INCOMING_COLUMNS."""
    event = item.event
    n = _NUMBER
    uncached, read, write_5m, write_1h, output, reasoning, audio_in, audio_out, images, requests, tools = event.buckets
    numbers = _numbers(
        _TIME, (event.time - _EPOCH) // _MICROSECOND,
        n, -1 if event.latency_ms is None else event.latency_ms,
        n, uncached, n, read, n, write_5m, n, write_1h, n, output, n, reasoning,
        n, audio_in, n, audio_out, n, images, n, requests, n, tools,
        n, -1 if item.list_cost is None else item.list_cost,
        n, -1 if item.cost is None else item.cost,
        n, item.price_id or 0,
        n, item.rule_id or 0,
        n, -1 if event.reported_cost is None else event.reported_cost,
        n, item.late,
    )  # fmt: skip
    event_id = event.id.encode()
    tags = event.tags
    return (
        numbers,
        _named(item, event),
        _label(event.customer),
        _label(event.feature),
        _label(event.agent),
        _label(event.end_user),
        _header(_TEXT, len(event_id)),
        event_id,
        _text(event.trace_id) if event.trace_id else _EMPTY,
        _text(event.span_id) if event.span_id else _EMPTY,
        _text(event.parent_span_id) if event.parent_span_id else _EMPTY,
        _text(event.session) if event.session else _EMPTY,
        _text(event.authorization) if event.authorization else _EMPTY,
        _tags(tags) if tags else _NO_TAGS,
    )


def _named(item: Charged, event: Reported) -> bytes:
    """The columns INCOMING_NAMES."""
    key = (
        item.provider, item.model, event.provider, event.model, event.operation, event.service_tier, event.status,
        event.cache, item.unpriced_reason, event.usage_source,
    )  # fmt: skip
    found = _names.get(key)
    if found is None:
        if len(_names) >= REMEMBERED:
            _names.clear()
        found = _names[key] = b"".join(map(_text, key))
    return found


def _label(value: str) -> bytes:
    found = _labels.get(value)
    if found is None:
        if len(_labels) >= REMEMBERED:
            _labels.clear()
        found = _labels[value] = _text(value)
    return found


def _text(value: str) -> bytes:
    raw = value.encode()
    return _header(_TEXT, len(raw)) + raw


def _tags(tags: dict[str, str]) -> bytes:
    raw = _JSONB_VERSION + _json(tags)
    return _header(_JSONB, len(raw)) + raw


if len(INCOMING_NAMES) != 10 or len(INCOMING_NUMBERS) != 18:
    raise AssertionError("usage.packing writes other columns than usage.tables names")
