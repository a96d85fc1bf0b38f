"""Which addresses are of the public internet, also when one is written inside another."""

from ipaddress import ip_address

import pytest

from common.addresses import all_public, is_public

INTERNAL_IPV4 = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
PUBLIC_IPV4 = ["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255",
               "172.32.0.0", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"]  # fmt: skip
INTERNAL_IPV6 = [
    "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1",
    "2001:db8::1", "3fff::1", "5f00::1", "2001::1", "2001:10::1", "2001:20::1", "64:ff9b:1::a00:1",
    "4000::1", "::ffff:0:127.0.0.1",
]  # fmt: skip
PUBLIC_IPV6 = ["2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "2001:4860:4860::8888"]


def written_inside(ipv4: str) -> list[str]:
    """Every IPv6 form that stands for, or leads to, an IPv4 address."""
    value = int(ip_address(ipv4))
    high, low = value >> 16, value & 0xFFFF
    inverted = value ^ 0xFFFFFFFF
    return [
        f"::ffff:{ipv4}",
        f"::{ipv4}",
        f"64:ff9b::{ipv4}",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:{high:x}:{low:x}::1",
        f"2001:0:808:808:8000:63bf:{inverted >> 16:x}:{inverted & 0xFFFF:x}",
        f"2606:4700::5efe:{ipv4}",
        f"2606:4700::200:5efe:{ipv4}",
    ]


@pytest.mark.parametrize("address", [*INTERNAL_IPV4, *INTERNAL_IPV6])
def test_internal(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", [form for ipv4 in INTERNAL_IPV4 for form in written_inside(ipv4)])
def test_internal_inside_another(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", [*PUBLIC_IPV4, *PUBLIC_IPV6])
def test_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", ["::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::5efe:8.8.8.8"])
def test_public_inside_a_form_still_in_use(address: str) -> None:
    assert is_public(ip_address(address))


def test_one_internal_answer_spoils_a_name() -> None:
    assert all_public(["8.8.8.8", "2606:4700:4700::1111"])
    assert not all_public(["8.8.8.8", "127.0.0.1"])
    assert not all_public([])
