"""Where a request comes from, and only roughly: the network of an address, never the address itself. Pure.

IPv4 is kept to its /24 and IPv6 to its /48: enough to tell an office or a cloud's region from another, too little to
tell who sat there.
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network
IPV4_BITS, IPV6_BITS = 24, 48
# Longer than any address with its port and zone.
_LONGEST = 80


def origin(meta: Mapping[str, Any], trusted_proxies: int) -> str | None:
    """The network of the caller of a request with this WSGI environment; None where nobody can tell.

    Behind so many proxies, each of which adds the address it was asked from at the end of X-Forwarded-For, the caller
    is who the outermost of them names: what stands before that is the caller's own word. Without proxies the header
    counts for nothing. Logins are counted by the same name, but refused where there are fewer names than proxies.
    """
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "") if trusted_proxies else ""
    if not forwarded:
        return network_of(meta.get("REMOTE_ADDR", ""))
    named = forwarded.rsplit(",", trusted_proxies)
    # Fewer names than proxies: the request came in past one of them, and who made it up is unknown.
    return network_of(named[-trusted_proxies]) if len(named) >= trusted_proxies else None


@lru_cache(maxsize=10_000)
def network_of(text: str) -> str | None:
    """ "203.0.113.0/24" for "203.0.113.7", also with a port or written inside IPv6; None for what is no address."""
    address = _address(text.strip())
    if address is None:
        return None
    bits = IPV4_BITS if isinstance(address, IPv4Address) else IPV6_BITS
    return str(ip_network((address, bits), strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    host = _without_port(text)
    if host is None or len(text) > _LONGEST:
        return None
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(text: str) -> str | None:
    """The host of "host", "host:port" and "[host]:port"; None for brackets or ports that are none."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        return host if bracket and (not rest or _is_port(rest)) and ":" in host else None
    host, colon, _ = text.partition(":")
    if colon and text.count(":") == 1:
        return host if _is_port(text.removeprefix(host)) else None
    return text


def _is_port(text: str) -> bool:
    number = text.removeprefix(":")
    return number != text and number.isascii() and number.isdigit() and int(number[:6]) <= 65_535
