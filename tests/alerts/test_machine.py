"""The state machine of alerts, as tables of what is read and what comes of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.machine import Damping, Level, Phase, Standing, Step, acknowledged, step

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT_ONCE = Damping()
SLOW = Damping(fire_after=timedelta(minutes=2), recover_after=timedelta(minutes=3))
LEVELS = {"b": Level.BAD, "u": Level.UNCLEAR, "g": Level.GOOD}
STEPS = {"F": Step.FIRED, "A": Step.FIRED_AGAIN, "N": Step.RENEWED, "R": Step.RECOVERED, ".": None}


def told(readings: str, damping: Damping, *, periods: str = "", renews: bool = True) -> str:
    """What comes of one reading a minute; "k" in the readings: somebody acknowledges before the next one."""
    names, standing, minute, heard = {step: sign for sign, step in STEPS.items()}, Standing(), 0, ""
    for sign in readings:
        if sign == "k":
            standing = acknowledged(standing)
            continue
        standing, moved = step(
            standing, LEVELS[sign], period=periods[minute] if periods else "1", at=START + timedelta(minutes=minute),
            damping=damping, renews=renews,
        )  # fmt: skip
        heard += names[moved]
        minute += 1
    return heard


@pytest.mark.parametrize(
    ("readings", "heard"),
    [
        ("ggg", "..."),
        ("b", "F"),
        ("bbbb", "F..."),
        ("bg", "FR"),
        ("bub", "F.."),
        ("bgb", "FRA"),
        ("bkbb", "F.."),
        ("bkg", "FR"),
        ("bkgb", "FRA"),
        ("u", "."),
        ("ug", ".."),
    ],
)
def test_without_damping_the_first_reading_counts(readings: str, heard: str) -> None:
    assert told(readings, AT_ONCE) == heard


@pytest.mark.parametrize(
    ("readings", "heard"),
    [
        ("bbb", "..F"),
        ("bbg", "..."),
        ("bgbgbgbg", "........"),
        ("bubbb", "....F"),
        ("bbbgggg", "..F...R"),
        ("bbbggbgggg", "..F......R"),
        ("bbbgugggg", "..F.....R"),
        ("bbbggggbbb", "..F...R..A"),
    ],
)
def test_what_flaps_is_damped(readings: str, heard: str) -> None:
    assert told(readings, SLOW) == heard


@pytest.mark.parametrize(
    ("readings", "periods", "heard"),
    [
        ("bb", "12", "FN"),
        ("bkb", "12", "FN"),
        ("bgb", "112", "FRF"),
        ("bgbb", "1122", "FRF."),
    ],
)
def test_a_period_has_an_alert_of_its_own(readings: str, periods: str, heard: str) -> None:
    assert told(readings, AT_ONCE, periods=periods) == heard


def test_what_does_not_renew_keeps_its_alert_over_midnight() -> None:
    assert told("bbgb", AT_ONCE, periods="1222", renews=False) == "F.RF"


def test_only_what_fires_can_be_acknowledged() -> None:
    assert acknowledged(Standing(Phase.FIRING)).phase is Phase.ACKNOWLEDGED
    for phase in (Phase.OK, Phase.RECOVERED, Phase.ACKNOWLEDGED):
        assert acknowledged(Standing(phase)).phase is phase


@given(st.text("bugk", max_size=40), st.integers(0, 3), st.integers(0, 3))
def test_firing_and_recovering_take_turns_and_a_moment_counts_once(readings: str, fire: int, recover: int) -> None:
    damping = Damping(timedelta(minutes=fire), timedelta(minutes=recover))
    standing, expected = Standing(), {Step.FIRED, Step.FIRED_AGAIN}
    for minute, sign in enumerate(readings):
        if sign == "k":
            standing = acknowledged(standing)
            continue
        at = START + timedelta(minutes=minute)
        standing, moved = step(standing, LEVELS[sign], period="1", at=at, damping=damping)
        if moved is not None:
            assert moved in expected
            expected = {Step.RECOVERED} if moved is not Step.RECOVERED else {Step.FIRED_AGAIN}
        for level in Level:
            assert step(standing, level, period="1", at=at, damping=damping) == (standing, None)
