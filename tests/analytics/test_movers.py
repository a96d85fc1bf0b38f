"""What moved the bill, and why: exact parts that add up."""

import pytest

from analytics.figures import Compared, Figures
from analytics.movers import mover, movers


def compared(before: tuple[int, int], now: tuple[int, int], unpriced: int = 0) -> Compared:
    """(cost, requests) before and now."""
    return Compared(now=Figures(now[0], now[1], 0, unpriced), before=Figures(*before))


@pytest.mark.parametrize(
    ("before", "now", "by_requests", "by_price", "kind"),
    [
        ((1000, 10), (2000, 20), 1000, 0, "requests"),
        ((1000, 10), (2000, 10), 0, 1000, "price"),
        ((1000, 10), (500, 5), -500, 0, "requests"),
        ((1000, 10), (900, 18), 800, -900, "price"),
        ((0, 0), (700, 7), 700, 0, "new"),
        ((700, 7), (0, 0), -700, 0, "gone"),
        ((1000, 3), (1000, 4), 333, -333, "requests"),
    ],
)
def test_a_change_is_split(
    before: tuple[int, int], now: tuple[int, int], by_requests: int, by_price: int, kind: str
) -> None:
    found = mover("x", compared(before, now))
    assert (found.by_requests, found.by_price, found.kind) == (by_requests, by_price, kind)
    assert found.by_requests + found.by_price == found.change == now[0] - before[0]


def test_requests_without_a_price_do_not_make_the_others_look_cheap() -> None:
    found = mover("x", compared((1000, 10), (1000, 20), unpriced=10))
    assert (found.change, found.by_requests, found.by_price) == (0, 0, 0)


def test_the_biggest_changes_come_first_up_or_down() -> None:
    groups = {
        "up": compared((0, 0), (50, 1)),
        "down": compared((900, 9), (100, 1)),
        "same": compared((70, 7), (70, 7)),
        "most": compared((100, 1), (2000, 20)),
    }
    assert [each.group for each in movers(groups.items())] == ["most", "down", "up"]
    assert [each.group for each in movers(groups.items(), top=1)] == ["most"]
