"""The ladder of cheaper models: its ways back, and what is said about its steps. Pure."""

import pytest

from budgets.reservations.ladder import step_cautions, way_back


@pytest.mark.parametrize(
    ("steps", "step", "way"),
    [
        ({}, ("a", "b"), []),
        ({"b": "c"}, ("a", "b"), []),
        ({"b": "a"}, ("a", "b"), ["a", "b", "a"]),
        ({"b": "c", "c": "d", "d": "a"}, ("a", "b"), ["a", "b", "c", "d", "a"]),
        # What the step replaces leads nowhere any more.
        ({"a": "c", "c": "b"}, ("a", "b"), []),
        # Loops of before that it is not part of.
        ({"b": "c", "c": "b"}, ("a", "b"), []),
        ({"b": "b"}, ("a", "b"), []),
        ({}, ("a", "a"), ["a", "a"]),
    ],
)
def test_way_back(steps: dict[str, str], step: tuple[str, str], way: list[str]) -> None:
    assert way_back(steps, *step) == way


@pytest.mark.parametrize(
    ("lists", "priced", "said"),
    [
        ([], {"big", "small"}, []),
        ([], {"big"}, ["No price is known of small: what"]),
        ([], {"small"}, ["No price is known of big: only"]),
        ([("Search", ["big"])], {"big", "small"}, ["small is not on the list of Search:"]),
        ([("Search", ["SMALL", "b*"])], {"big", "small"}, []),
        # Nobody on that list is ever suggested it.
        ([("Search", ["other"]), ("Sales", [])], {"big", "small"}, []),
        (
            [(name, ["big"]) for name in "ABCDE"],
            {"big"},
            ["No price is known of small", "small is not on the list of A, B, C and 2 more:"],
        ),
    ],
)
def test_step_cautions(lists: list[tuple[str, list[str]]], priced: set[str], said: list[str]) -> None:
    cautions = step_cautions("big", "small", lists=lists, priced=priced)
    assert len(cautions) == len(said)
    assert all(caution.startswith(start) for caution, start in zip(cautions, said, strict=True))
