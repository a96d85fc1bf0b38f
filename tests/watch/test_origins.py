"""When a network is news: only to a key that is known, and not when it is ours."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

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
    found = unfamiliar(networks, since=NOW - DAY, days=7, ours=[ip_network(each) for each in ours])
    assert [each.network for each in found] == news
