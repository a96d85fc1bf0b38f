"""A file of recorded usage, read twice: once for what it is, once for its events."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ingest.files.columns import Defaults, Event, Header, RowError, event_of, header_of, moment, row_id
from ingest.files.reading import read_table

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file, counted from 1 without the header: an event, or why it is none."""

    number: int
    event: Event
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    path: Path
    digest: str  # SHA-256 of the content, in hex
    header: Header | None  # None: JSON Lines
    defaults: Defaults
    rows: int
    first: datetime | None
    last: datetime | None

    def __iter__(self) -> Iterator[Row]:
        """Every row with the id it has in every replay: its own, or one made of the file's content and its number."""
        for row in _read(self.path, self.header, self.defaults):
            if not row.fault:
                row.event.setdefault("id", row_id(self.digest, row.number))
            yield row


def open_source(path: Path, defaults: Defaults) -> Source:
    """RowError when the file as a whole cannot be understood; OSError when it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return _understood(path, digest.hexdigest(), defaults)


def _understood(path: Path, digest: str, defaults: Defaults) -> Source:
    header = _header(path, defaults)
    count, first, last = 0, None, None
    for row in _read(path, header, defaults):
        count += 1
        at = _time(row)
        if at is not None:
            first, last = min(first or at, at), max(last or at, at)
    return Source(path, digest, header, defaults, count, first, last)


def _time(row: Row) -> datetime | None:
    try:
        return moment(row.event.get("time"), naive_is_utc=False)
    except RowError:
        return None


def _header(path: Path, defaults: Defaults) -> Header | None:
    with path.open("rb") as file:
        table = read_table(file)
        return header_of(table.columns, defaults) if table.columns else None


def _read(path: Path, header: Header | None, defaults: Defaults) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, cells in enumerate(read_table(file).rows, 1):
            try:
                yield Row(number, event_of(cells, header, defaults))
            except RowError as error:
                yield Row(number, {}, str(error))
