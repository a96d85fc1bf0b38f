"""Lists of networks that rules ask for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from common.networks import IPV4_BITS, IPV6_BITS, Network

NETWORKS_MOST = 100


@dataclass(frozen=True, slots=True)
class NetworkList:
    """A list of networks in CIDR notation, stored and sent as text; empty unless told."""

    name: str
    label: str
    help: str = ""

    def read(self, given: Any) -> tuple[Network, ...]:
        """The networks without repetitions; ValueError with a sentence for anything else."""
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            raise ValueError('must be a list of networks such as ["198.51.100.0/24", "2001:db8::/32"]')
        if len(given) > NETWORKS_MOST:
            raise ValueError(f"must be at most {NETWORKS_MOST} networks")
        return tuple(dict.fromkeys(_network(each) for each in given))

    def written(self, networks: Sequence[Network]) -> list[str]:
        """The form in which they are stored and sent."""
        return [str(network) for network in networks]


def _network(text: str) -> Network:
    try:
        wide = ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f'"{text[:50]}" must be a network in CIDR notation, such as 198.51.100.0/24') from error
    coarsest = IPV4_BITS if wide.version == 4 else IPV6_BITS
    if wide.prefixlen > coarsest:
        told = wide.supernet(new_prefix=coarsest)
        raise ValueError(f'"{text}" must not be narrower than what is kept of an address; write {told}')
    if "/" not in text or str(wide.network_address) != text.partition("/")[0].lower():
        raise ValueError(f'"{text}" must be the whole network; write {wide}')
    return wide


def contains(networks: Sequence[Network], network: Network) -> bool:
    """Whether one of the networks has all of this one in it."""
    return any(each.version == network.version and network.subnet_of(each) for each in networks)  # type: ignore[arg-type]
