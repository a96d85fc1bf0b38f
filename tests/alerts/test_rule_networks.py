"""Lists of networks that a rule asks for: what is taken, and what each refusal says to write instead."""

from ipaddress import ip_network
from typing import Any

import pytest

from alerts.rule_kinds import RuleKind, networks_of, parameters_checked
from alerts.rule_networks import NetworkList, contains

OURS = NetworkList("ours", "Ours")


def test_what_is_taken_is_stored_as_it_was_meant() -> None:
    given = ["198.51.100.0/24", "10.0.0.0/8", "2001:DB8::/32", "198.51.100.0/24", "0.0.0.0/0"]
    stored = OURS.written(OURS.read(given))
    assert stored == ["198.51.100.0/24", "10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"]
    assert networks_of(RuleKind.KEY_NEW_NETWORK, {"ours": stored})["ours"] == OURS.read(stored)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("198.51.100.0/24", "must be a list"),
        (None, "must be a list"),
        ([5], "must be a list"),
        ([["198.51.100.0/24"]], "must be a list"),
        ([""], "CIDR"),
        (["office"], "CIDR"),
        (["198.51.100.0/33"], "CIDR"),
        (["198.51.100.0/-1"], "CIDR"),
        (["198.51.100/24"], "CIDR"),
        (["٢.0.0.0/8"], "CIDR"),
        (["198.51.100.7"], "write 198.51.100.0/24"),
        (["198.51.100.7/32"], "write 198.51.100.0/24"),
        (["198.51.100.128/25"], "write 198.51.100.0/24"),
        (["2001:db8:1:2::/64"], "write 2001:db8:1::/48"),
        (["198.51.100.7/24"], "write 198.51.100.0/24"),
        (["10.1.0.0/8"], "write 10.0.0.0/8"),
        ([f"10.{number}.0.0/16" for number in range(101)], "at most 100"),
    ],
)
def test_what_makes_no_sense_is_refused(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r"must (not )?be") as refused:
        OURS.read(given)
    assert words in str(refused.value)
    assert set(parameters_checked(RuleKind.KEY_NEW_NETWORK, {"ours": given})[1]) == {"ours"}


def test_inside() -> None:
    ours = OURS.read(["198.51.0.0/16", "2001:db8::/32"])
    assert contains(ours, ip_network("198.51.100.0/24"))
    assert contains(ours, ip_network("2001:db8:1::/48"))
    assert not contains(ours, ip_network("198.52.0.0/24"))
    assert not contains(ours, ip_network("2001:db9::/48"))
