"""Addresses: what is understood, what is refused, and that a link means what the page shows."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict

from analytics.filters import Asked, Filters, InvalidAddress, parse, range_links
from analytics.names import Directory, unique
from usage.questions import Dimension

NOW = datetime(2026, 11, 23, 19, 40, tzinfo=UTC)
#  1 ─ 2 ─ 3   and   4
TREE = Directory(
    depths={1: 0, 2: 1, 3: 2, 4: 0},
    parents={1: None, 2: 1, 3: 2, 4: None},
    team_names={1: "Product", 2: "Search", 3: "Rerank", 4: "Sales"},
    key_names={9: "search-prod"},
    key_teams={9: 3},
)


def asked(query: str) -> Asked:
    return parse(QueryDict(query), directory=TREE, zone=ZoneInfo("UTC"), now=NOW)


def test_everything_is_read() -> None:
    found = asked(
        "range=7d&provider=openai&model=gpt-5&team=2&key=9&by=key&interval=hour&show=team&status=error&unpriced=1"
    )
    assert found.filters == Filters("openai", "gpt-5", 2, 9)
    assert (found.range.name, found.by, found.interval, found.show) == ("7d", "key", "hour", "team")
    assert (found.status, found.unpriced) == ("error", True)


def test_a_team_means_everything_below_it() -> None:
    assert asked("team=2").filters.values(TREE)[Dimension.TEAM] == ["2", "3"]


def test_parameters_of_others_are_let_be() -> None:
    assert asked("utm_source=mail&cursor=x").parameters == {}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("team=5", "no such team"),
        ("team=2x", "no such team"),
        ("team=99999999999999999999999", "no such team"),
        ("team=%D9%A2", "no such team"),
        ("key=2", "no such key"),
        ("model=a%00b", "not the name of a model"),
        ("provider=" + "x" * 201, "not the name of a provider"),
        ("by=price", "can be"),
        ("status=fine", "can be"),
        ("show=all", "can be"),
        ("range=30d&interval=hour", "14 days"),
    ],
)
def test_nonsense_is_refused(query: str, says: str) -> None:
    with pytest.raises(InvalidAddress) as refused:
        asked(query)
    assert says in " ".join(refused.value.reasons)


def test_a_link_keeps_range_and_filters() -> None:
    found = asked("range=7d&model=gpt-5&by=key")
    assert found.url("/o/acme/events") == "/o/acme/events?range=7d&model=gpt-5"
    assert found.url("/", team=2, model=None) == "/?range=7d&team=2"
    assert asked("").url("/o/acme/") == "/o/acme/"


def test_a_link_is_escaped() -> None:
    assert asked("model=a%26b%3Dc").url("/") == "/?model=a%26b%3Dc"


def test_another_range_drops_the_dates() -> None:
    links = {link.text: link for link in range_links(asked("start=2026-11-01&end=2026-11-02&team=2"), "/o/acme/")}
    assert links["7 days"].url == "/o/acme/?team=2&range=7d"
    assert not any(link.current for link in links.values())


def test_the_branch_below_the_filter() -> None:
    assert [TREE.branch_of(team, None) for team in (1, 2, 3, 4)] == [1, 1, 1, 4]
    assert [TREE.branch_of(team, 1) for team in (1, 2, 3)] == [1, 2, 2]
    assert TREE.above(3, 2) == (3, 2)


def test_names_are_told_apart() -> None:
    names = {1: ("prod", "Search"), 2: ("prod", "Sales"), 3: ("Other", "Sales"), 4: ("dev", "Sales")}
    assert unique(names) == {1: "prod (Search)", 2: "prod (Sales)", 3: "Other (Sales)", 4: "dev"}
