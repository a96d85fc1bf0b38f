"""Facts as lines: the same wording everywhere, and nothing in them that could do harm."""

import pytest

from alerts.facts import Fact, Line, facts_checked, lines_of, link_of, one_line
from tests.alerts.conftest import FACTS


def test_facts_read_in_order_with_units_and_zone() -> None:
    shuffled: dict[str, Fact] = dict(sorted(FACTS.items(), reverse=True))
    assert lines_of(shuffled) == [
        Line("Budget", "Search team, monthly"),
        Line("Threshold", "80%"),
        Line("Used", "81%"),
        Line("Spent", "$812.35"),
        Line("Limit", "$1,000.00"),
        Line("From", "1 Nov 2026, 01:00 CET"),
        Line("Until", "1 Dec 2026, 01:00 CET"),
    ]


@pytest.mark.parametrize(
    ("facts", "value"),
    [
        ({"requests": 8819}, "8,819"),
        ({"spent": "0.000231"}, "$0.00023"),
        ({"spent": "lots"}, "lots"),
        ({"percent": "NaN"}, "NaN"),
        ({"percent": "x"}, "x"),
        ({"period_start": "yesterday"}, "yesterday"),
        ({"period_start": "2026-11-01T00:00:00+00:00", "timezone": "Mars/Base"}, "2026-11-01T00:00:00+00:00"),
        ({"models": ["gpt-4.1", "o3"]}, "gpt-4.1, o3"),
        ({"sent_by": "a\r\nb"}, "a b"),
    ],
)
def test_one_fact(facts: dict[str, Fact], value: str) -> None:
    assert lines_of(facts)[0].value == value


def test_an_unknown_fact_gets_a_label_of_its_name() -> None:
    assert lines_of({"cost_centre": "4711", "link": "/x", "timezone": "UTC"}) == [Line("Cost centre", "4711")]


@pytest.mark.parametrize(
    "link", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "", 7, ["/x"]]
)
def test_a_link_stays_on_this_site(link: Fact) -> None:
    assert link_of({"link": link}) is None


def test_a_path_is_a_link() -> None:
    assert link_of({"link": "/o/acme/budgets/1"}) == "/o/acme/budgets/1"


@pytest.mark.parametrize("value", [0.1, {"a": "b"}, [1.5], [["a"]]])
def test_floats_and_nesting_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        facts_checked({"spent": value})  # type: ignore[dict-item]


def test_what_is_unknown_is_left_out_and_text_is_cleaned() -> None:
    assert facts_checked({"team": None, "model": "a\x00b\u202ec\n", "models": ["x\ty"]}) == {
        "model": "a b c",
        "models": ["x y"],
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nBcc: x", "a Bcc: x"),
        ("  a  b ", "a b"),
        ("a\u2028b", "a b"),
        ("a\u202eb", "a b"),
        ("a\ud800b", "a b"),
        ("é€", "é€"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line
