"""OpenAI's admin API: pages of /v1/organization/costs and /v1/organization/usage/*. Pure.

Amounts are USD. Input tokens include cached ones. Costs are told apart when asked with `group_by=line_item`, usage with
`group_by=model`.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from reconciliation.exports.base import (
    COSTS,
    USAGE,
    ExportError,
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

PROVIDER = "openai"
_COSTS = "organization.costs.result"
_USAGE = "organization.usage."
# "gpt-4o-2024-08-06, input": the model, then what of it.
_SEPARATOR = ", "


def items(page: dict[str, Any], pointer: str) -> Iterator[Item]:
    """The items of a page."""
    for number, bucket in enumerate(listing(page.get("data"), f"{pointer}/data")):
        at = f"{pointer}/data/{number}"
        found = mapping(bucket, at)
        start = instant(found.get("start_time"), f"{at}/start_time")
        day = day_of(start, instant(found.get("end_time"), f"{at}/end_time"), at)
        for index, result in enumerate(listing(found.get("results"), f"{at}/results")):
            where = f"{at}/results/{index}"
            yield _item(mapping(result, where), day, where)


def _item(entry: dict[str, Any], day: date, where: str) -> Item:
    kind = text(entry.get("object"), f"{where}/object")
    if kind == _COSTS:
        amount = mapping(entry.get("amount"), f"{where}/amount")
        currency(amount.get("currency"), f"{where}/amount/currency")
        line_item = text(entry.get("line_item"), f"{where}/line_item")
        usd = money(amount.get("value"), f"{where}/amount/value")
        return Item(PROVIDER, day, COSTS, model_of(line_item), line_item, usd)
    if not kind.startswith(_USAGE):
        raise ExportError(f"{where}/object", "is neither a cost nor a usage result")
    return Item(
        PROVIDER, day, USAGE, text(entry.get("model"), f"{where}/model"),
        input_tokens=count(entry.get("input_tokens"), f"{where}/input_tokens"),
        output_tokens=count(entry.get("output_tokens"), f"{where}/output_tokens"),
    )  # fmt: skip


def model_of(line_item: str) -> str:
    """ "gpt-4o-2024-08-06, cached input" → the model; "" for lines such as "Image models" that name none."""
    name, separator, _ = line_item.partition(_SEPARATOR)
    return name if separator and " " not in name else ""
