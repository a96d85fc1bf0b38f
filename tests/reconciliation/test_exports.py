"""Exports of providers: the published examples to the cent, and what is none of them."""

import copy
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from common.problems import Problem
from reconciliation.exports.base import COSTS, USAGE, ExportError, Item, money
from reconciliation.exports.openai import model_of
from reconciliation.exports.reading import items_of
from reconciliation.forms import read_export
from tests.reconciliation.exports import (
    ANTHROPIC_COSTS,
    ANTHROPIC_USAGE,
    OPENAI_COSTS,
    OPENAI_USAGE,
    as_file,
    bucket,
    cost,
    page,
)

NOVEMBER = date(2024, 11, 1)
AUGUST = date(2025, 8, 1)
SONNET = "claude-sonnet-4-20250514"


@pytest.mark.parametrize(
    ("document", "item"),
    [
        (OPENAI_COSTS, Item("openai", NOVEMBER, COSTS, amount=Decimal("0.06"))),
        (OPENAI_USAGE, Item("openai", NOVEMBER, USAGE, input_tokens=1000, output_tokens=500)),
        (
            ANTHROPIC_COSTS,
            Item(
                "anthropic", AUGUST, COSTS, SONNET, "Claude Sonnet 4 Usage - Input Tokens", Decimal("1.2345")
            ),
        ),
        (ANTHROPIC_USAGE, Item("anthropic", AUGUST, USAGE, SONNET, input_tokens=3200, output_tokens=500)),
    ],
)  # fmt: skip
def test_the_published_examples(document: dict[str, Any], item: Item) -> None:
    assert items_of(document) == [item]
    assert items_of([document, document]) == [item, item]
    assert read_export(as_file(document)) == [item]


def test_a_json_number_is_read_as_it_is_written() -> None:
    content = as_file(page(bucket(NOVEMBER, cost("X")))).replace(b'"X"', b"0.060000000000000012345")
    assert read_export(content)[0].amount == Decimal("0.060000000000000012345")


@pytest.mark.parametrize(
    ("line_item", "model"),
    [
        ("gpt-4o-2024-08-06, input", "gpt-4o-2024-08-06"),
        ("gpt-4o-mini, cached input", "gpt-4o-mini"),
        ("Image models", ""),
        ("web search, per call", ""),
        ("assistants api | file search", ""),
        ("", ""),
    ],
)
def test_the_model_of_a_line_item(line_item: str, model: str) -> None:
    assert model_of(line_item) == model


def test_a_plain_table() -> None:
    content = (
        b"\xef\xbb\xbfDay,Provider,Model,Amount\n2026-10-01,mistral,mistral-large,12.50\n\n2026-10-02,mistral,,-1\n"
    )
    assert read_export(content) == [
        Item("mistral", date(2026, 10, 1), COSTS, "mistral-large", "", Decimal("12.50")),
        Item("mistral", date(2026, 10, 2), COSTS, "", "", Decimal(-1)),
    ]


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    result = copy.deepcopy(document)
    *steps, last = path.split("/")
    place: Any = result
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return result


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data", {}),
        ("data", ["x"]),
        ("data", [{}]),
        ("data/0/start_time", "yesterday"),
        ("data/0/start_time", True),
        ("data/0/start_time", 10**18),
        ("data/0/end_time", 1730419200 + 2 * 86_400),
        ("data/0/end_time", 1730419200),
        ("data/0/results", None),
        ("data/0/results", [None]),
        ("data/0/results/0/object", "organization.invoice"),
        ("data/0/results/0/amount", None),
        ("data/0/results/0/amount/currency", "eur"),
        ("data/0/results/0/amount/value", "NaN"),
        ("data/0/results/0/amount/value", "1_000"),
        ("data/0/results/0/amount/value", "1e99"),
        ("data/0/results/0/amount/value", "٣"),
        ("data/0/results/0/amount/value", True),
        ("data/0/results/0/amount/value", 0.06),
        ("data/0/results/0/amount/value", "9" * 12),
        ("data/0/results/0/line_item", "x" * 201),
        ("data/0/results/0/line_item", "nul\x00"),
        ("data/0/results/0/line_item", 7),
    ],
)
def test_what_is_no_page_is_refused_with_the_place(path: str, value: Any) -> None:
    with pytest.raises(ExportError) as refused:
        items_of(changed(OPENAI_COSTS, path, value))
    assert refused.value.pointer.startswith(
        "/" + path.split("/results/0", maxsplit=1)[0].split("/start", maxsplit=1)[0].split("/end", maxsplit=1)[0]
    )


@pytest.mark.parametrize("path", ["data/0/results/0/uncached_input_tokens", "data/0/results/0/output_tokens"])
@pytest.mark.parametrize("value", [-1, "5", 1.5, 10**16, True])
def test_counts_that_are_none(path: str, value: Any) -> None:
    with pytest.raises(ExportError):
        items_of(changed(ANTHROPIC_USAGE, path, value))


@pytest.mark.parametrize("document", [None, 7, "x", [], {}, {"data": []}, [[]], {"data": [{"results": []}]}])
def test_other_documents(document: Any) -> None:
    with pytest.raises(ExportError):
        items_of(document)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"PK\x03\x04",
        b"day,provider,model\n",
        b"day,day,provider,model,amount\n",
        b"day,provider,model,amount\n",
        b"day,provider,model,amount\n2026-02-30,openai,x,1\n",
        b"day,provider,model,amount\n2026-02-01,openai,x,=1+1\n",
        b"day,provider,model,amount\n2026-02-01,openai,x,\"1,000\"\n",
        b"day,provider,model,amount\n2026-02-01,openai,x\n",
        b"day,provider,model,amount\n2026-02-01,,x,1\n",
        b"day,provider,model,amount\n2026-02-01,openai,x\x00,1\n",
    ],
)  # fmt: skip
def test_other_files(content: bytes) -> None:
    with pytest.raises(ExportError):
        read_export(content)


@pytest.mark.parametrize("content", [b"{", b'{"data": NaN}', b'{"data": 1, "data": 2}', b"[" * 50])
def test_other_json(content: bytes) -> None:
    with pytest.raises(Problem):
        read_export(content)


def test_money_never_comes_from_a_float() -> None:
    with pytest.raises(ExportError):
        money(0.1, "")
    assert money("-0.10", "") == Decimal("-0.10")
