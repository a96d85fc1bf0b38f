"""A file's bytes to its rows, one at a time: CSV with a header, or JSON Lines. Bounded whatever the bytes are."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO

from ingest.files.columns import RowError

MAX_LINE_BYTES = 131_072
MAX_COLUMNS = 200
# What spreadsheets and archives begin with; "PK" is a zip, which an .xlsx is as well.
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0", b"7z\xbc\xaf", b"%PDF")
_DELIMITERS = ",;\t"
_BOM = b"\xef\xbb\xbf"

Cells = list[str] | str


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` is empty for JSON Lines, whose rows are lines; a row of a CSV is the list of its cells.

    Reading on may raise RowError, when the file turns out to be something else.
    """

    columns: tuple[str, ...]
    rows: Iterator[Cells]


def read_table(file: IO[bytes]) -> Table:
    """The rows of a file, read as they are asked for. RowError when it is no such file."""
    lines = _lines(file)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise RowError("The file is empty.")
    if first.lstrip().startswith("{"):
        return Table((), (line for line in chain([first], lines) if line.strip()))
    reader = _cells(chain([first], lines), max(_DELIMITERS, key=first.count))
    columns = next(reader)
    if len(columns) > MAX_COLUMNS:
        raise RowError(f"The file has {len(columns):,} columns; at most {MAX_COLUMNS} are read.")
    return Table(tuple(columns), iter(reader))


def _lines(file: IO[bytes]) -> Iterator[str]:
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            if raw.startswith(_ARCHIVES):
                raise RowError("The file is an archive or a spreadsheet; save it as CSV.")
            raw = raw.removeprefix(_BOM)
        if len(raw) > MAX_LINE_BYTES:
            raise RowError(f"Line {number:,} is longer than {MAX_LINE_BYTES:,} bytes.")
        if b"\x00" in raw:
            raise RowError(f"Line {number:,} holds a NUL byte; the file is not text.")
        try:
            yield raw.decode()
        except UnicodeDecodeError as error:
            raise RowError("The file is not text in UTF-8.") from error


def _cells(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            if cells:
                yield cells
    except csv.Error as error:
        raise RowError(f"The file is not a CSV ({error}).") from error
