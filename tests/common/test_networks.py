"""Networks of callers: what an address becomes, and whose word counts behind proxies."""

import pytest

from common.networks import network_of, origin


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        (" 203.0.113.7 ", "203.0.113.0/24"),
        ("203.0.113.7:4711", "203.0.113.0/24"),
        ("127.0.0.1", "127.0.0.0/24"),
        ("0.0.0.0", "0.0.0.0/24"),
        ("255.255.255.255", "255.255.255.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("2001:DB8:1::", "2001:db8:1::/48"),
        ("[2001:db8:1::7]", "2001:db8:1::/48"),
        ("[2001:db8:1::7]:443", "2001:db8:1::/48"),
        ("::1", "::/48"),
        ("::7", "::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("[::ffff:203.0.113.7]:80", "203.0.113.0/24"),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("203.0.113", None),
        ("203.0.113.256", None),
        ("203.0.113.07", None),
        ("203.0.113.7/32", None),
        ("203.0.113.7:", None),
        ("203.0.113.7:port", None),
        ("203.0.113.7:99999", None),
        ("203.0.113.7:٤", None),
        ("[203.0.113.7]:80", None),
        ("[2001:db8::1", None),
        ("[2001:db8::1]80", None),
        ("[]", None),
        ("٢٠٣.0.113.7", None),
        ("for=203.0.113.7", None),
        ("2001:db8::1" + "%" + "x" * 100, None),
        ("1" * 8_000, None),
        ("203.0.113.7\x00", None),
    ],
)
def test_of_an_address_only_its_network(text: str, network: str | None) -> None:
    assert network_of(text) == network


CALLER, FORGED, CDN, PEER = "203.0.113.7", "198.51.100.9", "192.0.2.4", "10.0.0.1"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "network"),
    [
        (0, None, "10.0.0.0/24"),
        # Nobody is trusted: whoever asks is who asks.
        (0, FORGED, "10.0.0.0/24"),
        (1, CALLER, "203.0.113.0/24"),
        (1, f"{FORGED}, {CALLER}", "203.0.113.0/24"),
        (1, f"{FORGED},,,unknown,{CALLER}:1234", "203.0.113.0/24"),
        (2, f"{FORGED}, {CALLER}, {CDN}", "203.0.113.0/24"),
        (2, f"{CALLER}, {CDN}", "203.0.113.0/24"),
        # Past the outer proxy, so that nobody vouches for the first name.
        (2, CALLER, None),
        (1, "unknown", None),
        (1, f"{CALLER}, ", None),
        (1, f"{CALLER}, \x00", None),
        # Not through a proxy at all, such as a probe of the same machine.
        (1, None, "10.0.0.0/24"),
        (1, "", "10.0.0.0/24"),
    ],
)
def test_whose_word_counts(proxies: int, forwarded: str | None, network: str | None) -> None:
    meta = {"REMOTE_ADDR": PEER} | ({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})
    assert origin(meta, proxies) == network


def test_a_socket_of_this_machine_has_no_address() -> None:
    assert origin({"REMOTE_ADDR": ""}, 0) is None
    assert origin({}, 0) is None
