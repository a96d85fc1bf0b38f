"""When a network is news: only to a key that is known, and not when it is ours."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from common.networks import Network
from watch.origins import Seen, unfamiliar

NOW = datetime(2026, 11, 24, 18, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def seen(network: str, days_ago: float, appeared: float | None = None) -> Seen:
    return Seen(network, NOW - DAY * days_ago, NOW - DAY * (days_ago if appeared is None else appeared))


HOME, OFFICE, CLOUD = "198.51.100.0/24", "192.0.2.0/24", "203.0.113.0/24"


@pytest.mark.parametrize(
    ("networks", "ours", "news"),
    [
        ([], [], []),
        ([seen(HOME, 30)], [], []),
        ([seen(HOME, 0)], [], []),
        ([seen(HOME, 30), seen(CLOUD, 0)], [], [CLOUD]),
        ([seen(HOME, 30), seen(CLOUD, 0.2), seen(OFFICE, 0.1)], [], [CLOUD, OFFICE]),
        # Getting to know it takes a week, to the moment.
        ([seen(HOME, 6.9), seen(CLOUD, 0)], [], []),
        ([seen(HOME, 7), seen(CLOUD, 0)], [], [CLOUD]),
        ([seen(HOME, 8), seen(CLOUD, 2)], [], []),
        # Back after more than 90 days.
        ([seen(HOME, 300), seen(CLOUD, 200, 0)], [], [CLOUD]),
        ([seen(HOME, 300, 0)], [], [HOME]),
        ([seen(HOME, 30), seen(CLOUD, 0)], ["203.0.112.0/23"], []),
        ([seen(HOME, 30), seen(CLOUD, 0), seen("2001:db8:1::/48", 0)], ["2001:db8::/32"], [CLOUD]),
        ([seen(HOME, 30), seen(CLOUD, 0)], ["203.0.112.0/24", "::/0"], [CLOUD]),
    ],
)
def test_news(networks: list[Seen], ours: list[str], news: list[str]) -> None:
    assert found(networks, [ip_network(each) for each in ours]) == news


def found(networks: list[Seen], ours: Sequence[Network] = ()) -> list[str]:
    return [each.network for each in unfamiliar(networks, since=NOW - DAY, days=7, ours=ours, most=256)]


def test_a_key_with_as_many_networks_as_are_kept_is_used_from_anywhere() -> None:
    """However long ago it was used from the first of them."""
    rotating = [seen(f"10.0.{number}.0/24", 0) for number in range(254)]
    assert len(found([seen(HOME, 300), *rotating])) == 254
    assert found([seen(HOME, 300), seen(CLOUD, 0), *rotating]) == []
