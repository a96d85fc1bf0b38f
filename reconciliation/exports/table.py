"""A plain CSV of a bill: day, provider, model, amount in USD, and optionally line_item. Pure."""

import csv
from collections.abc import Iterator
from datetime import date

from reconciliation.exports.base import COSTS, MAX_ITEMS, ExportError, Item, money, text

REQUIRED = ("day", "provider", "model", "amount")
OPTIONAL = ("line_item",)


def items(content: str) -> Iterator[Item]:
    """The items of a table; a pointer names the line, the header being line 1."""
    reader = csv.reader(content.splitlines())
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check(header)
        for number, cells in enumerate((row for row in reader if row), 2):
            if number > MAX_ITEMS:
                raise ExportError("", f"The file holds more than {MAX_ITEMS} lines.")
            if len(cells) != len(header):
                raise ExportError(f"/{number}", f"has {len(cells)} cells instead of {len(header)}")
            yield _item(dict(zip(header, (cell.strip() for cell in cells), strict=True)), f"/{number}")
    except csv.Error as error:
        raise ExportError("", f"The file is not a CSV ({error}).") from error


def _check(header: list[str]) -> None:
    unknown = [name for name in header if name not in (*REQUIRED, *OPTIONAL)]
    missing = [name for name in REQUIRED if name not in header]
    if unknown or missing or len(set(header)) < len(header):
        raise ExportError("", f"The first line must name the columns {', '.join(REQUIRED)} and may name line_item.")


def _item(cells: dict[str, str], pointer: str) -> Item:
    try:
        day = date.fromisoformat(cells["day"])
    except ValueError as error:
        raise ExportError(f"{pointer}/day", "must be a day such as 2026-10-31") from error
    provider = text(cells["provider"], f"{pointer}/provider")
    if not provider:
        raise ExportError(f"{pointer}/provider", "is required")
    return Item(
        provider, day, COSTS, text(cells["model"], f"{pointer}/model"),
        text(cells.get("line_item"), f"{pointer}/line_item"), money(cells["amount"], f"{pointer}/amount"),
    )  # fmt: skip
