"""The template library: what a page writes and what HTML comes of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from django.template import Context, Template
from django.test import RequestFactory

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)


def rendered(source: str, path: str = "/", /, **context: object) -> str:
    request = RequestFactory().get(path)
    return Template("{% load costhub %}" + source).render(Context({"request": request, "now": NOW, **context}))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ nano|usd }}", "$1,234.57"),
        ("{{ nano|usd_exact }}", "$1,234.567890001"),
        ("{{ nano|usd_compact }}", "$1.23k"),
        ("{{ missing|usd }}", "—"),
        ("{{ none|usd }}", "—"),
        ("{{ text|usd }}", "—"),
        ("{{ many|compact }}", "1.23M"),
        ("{{ many|count }}", "1,234,567"),
        ("{{ part|share:whole|percent }}", "25%"),
        ("{{ part|share:none|percent }}", "—"),
        ("{{ whole|delta:part }}", "+300%"),
        ("{{ moment|ago:now }}", "5 min ago"),
        ("{{ none|ago:now }}", "never"),
        ("{{ missing|ago:now }}", "never"),
    ],
)
def test_filters(source: str, text: str) -> None:
    moment = NOW - timedelta(minutes=5)
    values: dict[str, object] = {
        "nano": 1_234_567_890_001,
        "many": 1_234_567,
        "part": 5,
        "whole": 20,
        "text": "12",
        "moment": moment,
    }
    assert rendered(source, none=None, **values) == text


def test_when_says_the_exact_moment_and_zone() -> None:
    html = rendered("{% when moment %}", moment=NOW - timedelta(hours=2))
    assert html == '<time datetime="2026-11-23T17:00:00+00:00" title="23 Nov 2026, 17:00 UTC">2 h ago</time>'


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("{% qs %}", "?team=a&amp;team=b&amp;page=2"),
        ("{% qs page=3 %}", "?team=a&amp;team=b&amp;page=3"),
        ("{% qs page=None %}", "?team=a&amp;team=b"),
        ("{% qs page=None team='' %}", "?"),
        ("{% qs team='x&y' page=None %}", "?team=x%26y"),
        ("{% qs team=teams page=None %}", "?team=c&amp;team=d"),
    ],
)
def test_qs_changes_some_parameters_and_keeps_the_others(source: str, result: str) -> None:
    assert rendered(source, "/o/demo/?team=a&team=b&page=2", teams=["c", "d"]) == result


def test_qs_leaves_the_request_as_it_was() -> None:
    assert rendered("{% qs page=3 %}{{ request.GET.page }}", "/?page=2").endswith("2")


def test_an_icon_is_decoration_unless_it_is_named() -> None:
    assert 'aria-hidden="true"' in rendered("{% icon 'bell' %}")
    named = rendered("{% icon 'x' label %}", label='Dismiss "it"')
    assert 'role="img"' in named
    assert "Dismiss &quot;it&quot;" in named


def test_a_budget_bar_speaks_and_escapes_its_label() -> None:
    html = rendered("{% budget_bar spent limit elapsed 0 name %}", spent=5, limit=10, elapsed=Decimal(40), name="<b>")
    assert 'aria-label="&lt;b&gt;: 50% of the limit spent; 40% of the period has passed"' in html
    assert 'class="bar__fill" width="500"' in html
    assert 'class="bar__pace" x1="400"' in html


def test_a_budget_pill_says_the_state_in_words() -> None:
    assert "Over limit" in rendered("{% budget_pill 11 10 50 %}")
    assert "No limit" in rendered("{% budget_pill 11 none 50 %}", none=None)


@pytest.mark.parametrize(
    ("current", "good", "judged"),
    [(12, "down", "bad"), (12, "up", "good"), (10, "down", "neutral"), (8, "down", "good")],
)
def test_a_change_is_judged_by_what_is_welcome(current: int, good: str, judged: str) -> None:
    assert f'data-judged="{judged}"' in rendered("{% delta_pill current 10 good %}", current=current, good=good)


class Attributes(HTMLParser):
    """Collects the names of all attributes of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {name for name, _ in attrs}


def test_drawings_need_neither_inline_style_nor_script() -> None:
    found = Attributes()
    found.feed(
        rendered("{% budget_bar 5 10 50 %}{% share_bar 5 10 3 %}{% sparkline values 'Requests' %}", values=[1, 2])
    )
    assert not {name for name in found.names if name == "style" or name.startswith("on")}
