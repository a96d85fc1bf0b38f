"""Sealed values open for what they were sealed for, and for nothing else."""

import pytest
from pytest_django import Settings

from common.secrets import UnsealError, seal, unseal

URL = "https://hooks.slack.com/services/T0/B0/secret"
PURPOSE = "alerts.channel:7:url"


def test_a_sealed_value_opens_again() -> None:
    sealed = seal(URL, purpose=PURPOSE, organization_id=1)
    assert unseal(sealed, purpose=PURPOSE, organization_id=1) == URL


def test_nothing_of_the_secret_shows_and_no_two_are_alike() -> None:
    first, second = (seal(URL, purpose=PURPOSE, organization_id=1) for _ in range(2))
    assert b"slack" not in first
    assert first != second


@pytest.mark.parametrize(
    ("purpose", "organization_id"),
    [("alerts.channel:8:url", 1), (PURPOSE, 2), (f"1\0{PURPOSE}", 1)],
    ids=["another row", "another organization", "shifted separator"],
)
def test_a_moved_value_does_not_open(purpose: str, organization_id: int) -> None:
    sealed = seal(URL, purpose=PURPOSE, organization_id=1)
    with pytest.raises(UnsealError):
        unseal(sealed, purpose=purpose, organization_id=organization_id)


@pytest.mark.parametrize("position", [0, 1, 5, 17, -1])
def test_a_changed_byte_does_not_open(position: int) -> None:
    damaged = bytearray(seal(URL, purpose=PURPOSE, organization_id=1))
    damaged[position] ^= 1
    with pytest.raises(UnsealError):
        unseal(bytes(damaged), purpose=PURPOSE, organization_id=1)


@pytest.mark.parametrize("length", [0, 1, 4, 5, 17, 32])
def test_a_cut_value_does_not_open(length: int) -> None:
    with pytest.raises(UnsealError):
        unseal(seal(URL, purpose=PURPOSE, organization_id=1)[:length], purpose=PURPOSE, organization_id=1)


def test_a_value_of_another_key_is_told_apart(settings: Settings) -> None:
    sealed = seal(URL, purpose=PURPOSE, organization_id=1)
    settings.SEAL_KEY = bytes(32)
    with pytest.raises(UnsealError, match="this key"):
        unseal(sealed, purpose=PURPOSE, organization_id=1)
