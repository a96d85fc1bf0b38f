"""Trees of traces: every call once, sums that add up, whatever the spans are called."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.tree import DEEPEST, Call, Node, agent_shares, lines, retried, tree_of

START = datetime(2026, 11, 10, 12, tzinfo=UTC)


def call(number: int, span: str = "", parent: str = "", **fields: Any) -> Call:
    """The number is also its time and its cost."""
    given: dict[str, Any] = {"provider": "openai", "model": "m", "agent": "", "status": "ok", "cost": number} | fields
    return Call(f"e{number}", START + timedelta(seconds=number), span, parent, **given)


def drawn(roots: list[Node]) -> list[Any]:
    """As nested lists: [span id (in brackets where it is no call), total, children…]."""
    return [[node.span_id if node.call else f"({node.span_id})", node.total, *drawn(node.children)] for node in roots]


TREES: list[tuple[str, list[Call], list[Any]]] = [
    ("nothing", [], []),
    ("one call", [call(1, "a")], [["a", 1]]),
    ("no span ids", [call(1), call(2)], [["", 1], ["", 2]]),
    (
        "three levels, children by time",
        [call(4, "d", "a"), call(1, "a"), call(2, "b", "a"), call(3, "c", "b")],
        [["a", 10, ["b", 5, ["c", 3]], ["d", 4]]],
    ),
    ("a child that came before its parent", [call(1, "b", "a"), call(2, "a")], [["a", 3, ["b", 1]]]),
    (
        "orphans of one missing parent stand together",
        [call(1, "a", "gone"), call(2, "b", "gone"), call(3, "c")],
        [["(gone)", 3, ["a", 1], ["b", 2]], ["c", 3]],
    ),
    ("its own parent", [call(1, "a", "a"), call(2, "b", "a")], [["a", 3, ["b", 2]]]),
    ("a circle of two", [call(1, "a", "b"), call(2, "b", "a")], [["a", 3, ["b", 2]]]),
    (
        "a circle with something hanging on it",
        [call(1, "x", "c"), call(2, "a", "c"), call(3, "b", "a"), call(4, "c", "b")],
        [["a", 10, ["b", 8, ["c", 5, ["x", 1]]]]],
    ),
    (
        "a span that stands twice: the first one has the children",
        [call(1, "a"), call(2, "a"), call(3, "b", "a")],
        [["a", 4, ["b", 3]], ["a", 2]],
    ),
    ("a call without a price", [call(1, "a", cost=None), call(2, "b", "a")], [["a", 2, ["b", 2]]]),
    ("a refund", [call(1, "a"), call(2, "b", "a", cost=-5)], [["a", -4, ["b", -5]]]),
]


@pytest.mark.parametrize(("calls", "expected"), [each[1:] for each in TREES], ids=[each[0] for each in TREES])
def test_trees(calls: list[Call], expected: list[Any]) -> None:
    assert drawn(tree_of(calls)) == expected
    assert drawn(tree_of(reversed(calls))) == expected


@given(
    st.lists(st.tuples(st.sampled_from("abcde") | st.just(""), st.sampled_from("abcdexy") | st.just("")), max_size=25)
)
def test_every_call_stands_once_and_roots_add_up(spans: list[tuple[str, str]]) -> None:
    calls = [call(number, span, parent) for number, (span, parent) in enumerate(spans)]
    roots = tree_of(calls)
    printed = lines(roots, 1000)
    assert sorted(line.node.call.id for line in printed if line.node.call) == sorted(each.id for each in calls)
    assert sum(root.total for root in roots) == sum(each.cost or 0 for each in calls)
    assert sum(root.calls for root in roots) == len(calls)
    unknown = tree_of([replace(each, cost=None) if each.cost in {0, 3} else each for each in calls])
    assert sum(root.unpriced for root in unknown) == sum(each.cost in {0, 3} for each in calls)
    assert [line.opens for line in printed] == [bool(line.node.children) for line in printed]
    assert sum(line.closes for line in printed) == sum(line.opens for line in printed), "what is opened is closed"


def test_lines_are_cut_short_and_still_close() -> None:
    chain = [call(number, f"s{number}", f"s{number - 1}" if number else "") for number in range(20)]
    cut = lines(tree_of(chain), 5)
    assert [line.depth for line in cut] == [0, 1, 2, 3, 4]
    assert [line.opens for line in cut] == [True, True, True, True, False]
    assert [line.closes for line in cut] == [0, 0, 0, 0, 4]


def test_what_is_nested_too_deeply_stands_side_by_side() -> None:
    chain = [call(number, f"s{number}", f"s{number - 1}" if number else "") for number in range(DEEPEST + 9)]
    printed = lines(tree_of(chain), 1000)
    assert [line.depth for line in printed] == [*range(DEEPEST), *[DEEPEST] * 9]
    assert sum(line.closes for line in printed) == sum(line.opens for line in printed) == DEEPEST


def test_ten_thousand_spans_are_no_work() -> None:
    rng = Random(7)
    wide = [call(n, f"s{n}", f"s{rng.randrange(n)}" if n else "") for n in range(10_000)]
    deep = [call(n, f"s{n}", f"s{n + 1}") for n in range(10_000)]
    circle = [call(n, f"s{n}", f"s{(n + 1) % 10_000}") for n in range(10_000)]
    for calls in (wide, deep, circle):
        began = time.process_time()
        roots = tree_of(calls)
        printed = lines(roots, 10_001)
        assert time.process_time() - began < 3
        assert len(printed) >= 10_000
        assert sum(root.total for root in roots) == sum(range(10_000))


RETRIES = [
    ([call(1, status="error"), call(2)], {"e1"}),
    ([call(1, status="cancelled"), call(2, status="error"), call(3)], {"e1", "e2"}),
    ([call(1), call(2, status="error")], set()),
    ([call(1, status="error"), call(2, model="other")], set()),
    ([call(1, "a", "p", status="error"), call(2, "b", "q")], set()),
    ([call(1, "a", "p", status="error"), call(2, "b", "p")], {"e1"}),
    ([call(2), call(1, status="error")], {"e1"}),
]


@pytest.mark.parametrize(("calls", "expected"), RETRIES)
def test_what_failed_and_was_called_again(calls: list[Call], expected: set[str]) -> None:
    assert retried(calls) == expected


def test_shares_of_agents() -> None:
    calls = [
        call(1, agent="coder", status="error"),
        call(2, agent="coder"),
        call(9, agent="judge", model="x", status="error"),
        call(4),
    ]
    shares = [(each.agent, each.calls, each.failed, each.cost, each.wasted) for each in agent_shares(calls)]
    assert shares == [("judge", 1, 1, 9, 0), ("", 1, 0, 4, 0), ("coder", 2, 1, 3, 1)]
