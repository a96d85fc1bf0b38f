"""Why a bill and our figure differ: every cause by example, and the parts always sum to the difference."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.compare import Billed, Key, Line, Ours, compare

DAY = date(2026, 10, 5)
USD = 10**9


def line_of(billed: Billed, ours: Ours, accepted: int = 0) -> Line:
    (line,) = compare({(DAY, "m"): billed}, {(DAY, "m"): ours}, {(DAY, "m"): accepted} if accepted else {})
    return line


@pytest.mark.parametrize(
    ("billed", "ours", "parts"),
    [
        (Billed(5 * USD), Ours(5 * USD, 10, 0, 1000), {}),
        (Billed(5 * USD), Ours(), {"unrouted": 5 * USD}),
        (Billed(5 * USD), Ours(0, 10, 10, 1000), {"unpriced": 5 * USD}),
        (Billed(5 * USD, 1000), Ours(4 * USD, 10, 0, 1010), {"mispriced": USD}),
        (Billed(4 * USD, 1000), Ours(5 * USD, 10, 0, 1000), {"mispriced": -USD}),
        (Billed(5 * USD, 1000), Ours(10 * USD, 10, 0, 2000), {"duplicate": -5 * USD}),
        (Billed(5 * USD), Ours(15 * USD + 1000, 10, 0, 2000), {"duplicate": -10 * USD - 1000}),
        (Billed(10 * USD, 1000), Ours(5 * USD, 10, 0, 500), {"unrouted": 5 * USD}),
        (Billed(10 * USD, 1000), Ours(4 * USD, 10, 0, 500), {"unrouted": 5 * USD, "mispriced": USD}),
        (Billed(5 * USD, 1000), Ours(12 * USD, 10, 0, 2000), {"mispriced": -USD, "duplicate": -6 * USD}),
        (Billed(5 * USD), Ours(6 * USD, 10, 0, 1000), {"unexplained": -USD}),
        (Billed(0), Ours(6 * USD, 10, 0, 1000), {"unexplained": -6 * USD}),
        (Billed(5 * USD, 500), Ours(4 * USD, 10, 0, 1000), {"unexplained": USD}),
        (Billed(5 * USD + 7), Ours(5 * USD, 10, 0, 1000), {"unexplained": 7}),
        (Billed(-USD), Ours(), {"unexplained": -USD}),
    ],
)
def test_causes(billed: Billed, ours: Ours, parts: dict[str, int]) -> None:
    line = line_of(billed, ours)
    assert line.parts == parts
    assert sum(line.parts.values()) == line.difference


def test_what_was_accepted_matches() -> None:
    line = line_of(Billed(5 * USD), Ours(3 * USD, 1, 0, 10), accepted=2 * USD)
    assert (line.difference, line.parts) == (0, {})


def test_what_the_next_day_takes_back_is_timing() -> None:
    keys = [(DAY + timedelta(days=n), "m") for n in range(3)]
    billed = {keys[0]: Billed(7 * USD), keys[1]: Billed(3 * USD), keys[2]: Billed(5 * USD)}
    ours = {key: Ours(5 * USD, 9, 0, 100) for key in keys}
    first, second, third = compare(billed, ours, {})
    assert (first.parts, second.parts, third.parts) == ({"timing": 2 * USD}, {"timing": -2 * USD}, {})


def test_days_that_do_not_cancel_are_not_timing() -> None:
    keys = [(DAY + timedelta(days=n), "m") for n in range(2)]
    lines = compare(
        {keys[0]: Billed(7 * USD), keys[1]: Billed(4 * USD)}, {key: Ours(5 * USD, 9, 0, 100) for key in keys}, {}
    )
    assert [line.parts for line in lines] == [{"unexplained": 2 * USD}, {"unexplained": -USD}]


def test_only_billed_days_are_compared() -> None:
    other = DAY + timedelta(days=1)
    ours = {(DAY, "n"): Ours(USD, 1, 0, 5), (other, "m"): Ours(USD, 1, 0, 5)}
    lines = compare({(DAY, "m"): Billed(USD)}, ours, {})
    assert [(line.day, line.model) for line in lines] == [(DAY, "m"), (DAY, "n")]


amounts = st.integers(-(10**13), 10**13)
counts = st.integers(0, 10**9)
keys = st.tuples(st.dates(DAY, DAY + timedelta(days=4)), st.sampled_from("mn"))


@given(
    st.dictionaries(keys, st.builds(Billed, amounts, st.none() | counts)),
    st.dictionaries(keys, st.builds(Ours, amounts, counts, counts, counts)),
    st.dictionaries(keys, amounts),
)
def test_parts_always_sum_to_the_difference(
    billed: dict[Key, Billed], ours: dict[Key, Ours], accepted: dict[Key, int]
) -> None:
    for line in compare(billed, ours, accepted):
        assert sum(line.parts.values()) == line.difference
        assert all(line.parts.values())
