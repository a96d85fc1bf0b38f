"""Which IP addresses CostHub may connect to on behalf of a user: public ones only. Pure.

`ipaddress.is_global` is not asked: it calls NAT64, 6to4 and IPv4-mapped forms of internal addresses global.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

REFUSED_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, and the metadata service of one cloud
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's virtual platform address
        "169.254.0.0/16",  # link-local, and the metadata services of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnelling
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
REFUSED_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, retired: nobody serves from there
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
MAPPED = IPv6Network("::ffff:0:0/96")
NAT64 = IPv6Network("64:ff9b::/96")
COMPATIBLE = IPv6Network("::/96")
SIX_TO_FOUR = IPv6Network("2002::/16")
TEREDO = IPv6Network("2001::/32")
# Interface ids 0000:5efe and 0200:5efe: an IPv4 address inside any prefix.
ISATAP = frozenset({0x00005EFE, 0x02005EFE})
_LOW_32 = 0xFFFFFFFF


def is_public(address: Address) -> bool:
    """Whether the address, and every IPv4 address written inside it, is one of the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_IPV4)
    if not all(is_public(inner) for inner in embedded(address)):
        return False
    if address in MAPPED or address in NAT64:
        return True
    return address in GLOBAL_UNICAST and not any(address in network for network in REFUSED_IPV6)


def embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for or leads to."""
    value = int(address)
    if address in MAPPED or address in NAT64 or address in COMPATIBLE:
        yield IPv4Address(value & _LOW_32)
    if address in SIX_TO_FOUR:
        yield IPv4Address(value >> 80 & _LOW_32)
    if address in TEREDO:
        yield IPv4Address(value >> 64 & _LOW_32)
        yield IPv4Address(~value & _LOW_32)
    if value >> 32 & _LOW_32 in ISATAP:
        yield IPv4Address(value & _LOW_32)


def all_public(addresses: list[str]) -> bool:
    """Whether there is an address and none of them leads inside: one bad answer spoils the name."""
    return bool(addresses) and all(is_public(ip_address(address)) for address in addresses)
