"""Which export is this? Pure."""

from collections.abc import Iterator
from typing import Any

from reconciliation.exports import anthropic, openai
from reconciliation.exports.base import MAX_ITEMS, ExportError, Item, listing, mapping


def items_of(document: Any) -> list[Item]:
    """The items of a page, or of an array of pages, of a provider's admin API. ExportError when it is none."""
    if isinstance(document, list):
        found = [item for number, page in enumerate(document) for item in _page(page, f"/{number}")]
    else:
        found = list(_page(document, ""))
    return checked(found)


def checked(found: list[Item]) -> list[Item]:
    if not found:
        raise ExportError("", "holds no billed usage")
    if len(found) > MAX_ITEMS:
        raise ExportError("", f"holds more than {MAX_ITEMS} items")
    return found


def _page(page: Any, pointer: str) -> Iterator[Item]:
    found = mapping(page, pointer)
    buckets = listing(found.get("data"), f"{pointer}/data")
    for bucket in buckets[:1]:
        keys = mapping(bucket, f"{pointer}/data/0")
        if "start_time" in keys:
            return openai.items(found, pointer)
        if "starting_at" in keys:
            return anthropic.items(found, pointer)
        raise ExportError(f"{pointer}/data/0", "is no bucket of OpenAI's or Anthropic's admin API")
    return iter(())
