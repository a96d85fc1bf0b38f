"""Where a key is used from that nobody knows it from. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network

from alerts.rule_networks import contains
from common.networks import Network


@dataclass(frozen=True, slots=True)
class Seen:
    """A network of a key. `appeared_at`: its first use, or the first one after a long absence."""

    network: str
    first_seen_at: datetime
    appeared_at: datetime


def unfamiliar(seen: Sequence[Seen], *, since: datetime, days: int, ours: Sequence[Network], most: int) -> list[Seen]:
    """Of all networks of one key those that are news since then, in the order in which they appeared.

    What appears within so many days of the key's first use is how it is got to know. A key with as many networks as
    are kept of it at `most` is used from anywhere, and never news: which ones it was used from before is forgotten.
    """
    if not seen or len(seen) >= most:
        return []
    known_from = min(each.first_seen_at for each in seen) + timedelta(days=days)
    news = (each for each in seen if each.appeared_at >= max(since, known_from))
    return sorted(
        (each for each in news if not contains(ours, ip_network(each.network))),
        key=lambda each: (each.appeared_at, each.network),
    )
