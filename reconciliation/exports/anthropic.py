"""Anthropic's admin API: pages of cost_report and usage_report/messages. Pure.

Amounts are decimal texts in cents: "123.45" is 1.2345 USD. Input is told apart into uncached, cache reads and writes.
Costs name their model when asked with `group_by[]=description`, usage with `group_by[]=model`. Priority tier costs are
not part of the cost report.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from reconciliation.exports.base import (
    COSTS,
    USAGE,
    Item,
    count,
    currency,
    day_of,
    instant,
    listing,
    mapping,
    money,
    text,
)

PROVIDER = "anthropic"
_CENTS_DIGITS = -2
_INPUTS = ("uncached_input_tokens", "cache_read_input_tokens")
_WRITES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


def items(page: dict[str, Any], pointer: str) -> Iterator[Item]:
    """The items of a page."""
    for number, bucket in enumerate(listing(page.get("data"), f"{pointer}/data")):
        at = f"{pointer}/data/{number}"
        found = mapping(bucket, at)
        start = instant(found.get("starting_at"), f"{at}/starting_at")
        day = day_of(start, instant(found.get("ending_at"), f"{at}/ending_at"), at)
        for index, result in enumerate(listing(found.get("results"), f"{at}/results")):
            where = f"{at}/results/{index}"
            entry = mapping(result, where)
            yield _cost(entry, day, where) if "amount" in entry else _usage(entry, day, where)


def _cost(entry: dict[str, Any], day: date, where: str) -> Item:
    currency(entry.get("currency"), f"{where}/currency")
    return Item(
        PROVIDER, day, COSTS, text(entry.get("model"), f"{where}/model"),
        text(entry.get("description"), f"{where}/description"),
        money(entry["amount"], f"{where}/amount").scaleb(_CENTS_DIGITS),
    )  # fmt: skip


def _usage(entry: dict[str, Any], day: date, where: str) -> Item:
    writes = mapping(entry.get("cache_creation") or {}, f"{where}/cache_creation")
    return Item(
        PROVIDER, day, USAGE, text(entry.get("model"), f"{where}/model"),
        input_tokens=sum(count(entry.get(name), f"{where}/{name}") for name in _INPUTS)
        + sum(count(writes.get(name), f"{where}/cache_creation/{name}") for name in _WRITES),
        output_tokens=count(entry.get("output_tokens"), f"{where}/output_tokens"),
    )  # fmt: skip
