"""What an alert of a rule does next: from ok to firing, acknowledged and recovered. Pure.

A rule is read again and again. One reading never decides where the rule asks for more: what it says must have held
for a while before anything fires, and for a while before it has recovered. Between the line at which it fires and the
one at which it is well again lies a stretch that is unclear, in which everything stays as it is.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Phase(StrEnum):
    OK = "ok"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RECOVERED = "recovered"


OPEN = frozenset({Phase.FIRING, Phase.ACKNOWLEDGED})


class Level(StrEnum):
    """What a reading says of its subject."""

    BAD = "bad"
    UNCLEAR = "unclear"
    GOOD = "good"


class Step(StrEnum):
    """What a reading brought about."""

    FIRED = "fired"
    # It had recovered within the same period: the same alert opens again.
    FIRED_AGAIN = "fired_again"
    # It is still bad in the next period, which gets an alert of its own; the one before ends.
    RENEWED = "renewed"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Damping:
    """How long readings must say the same before they count; nothing: the first one does."""

    fire_after: timedelta = timedelta()
    recover_after: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one subject of a rule stands. `period` is the one that the phase is about."""

    phase: Phase = Phase.OK
    period: str = ""
    # Since when every reading has said that the phase is about to change.
    turning_since: datetime | None = None
    seen_at: datetime | None = None

    @property
    def open(self) -> bool:
        return self.phase in OPEN


def step(
    standing: Standing, level: Level, *, period: str, at: datetime, damping: Damping, renews: bool = True
) -> tuple[Standing, Step | None]:
    """The standing after a reading of the moment `at`, and what that brought about; None: nothing to tell.

    A moment that was read before changes nothing. What does not renew keeps the alert it has, however long it lasts.
    """
    if standing.seen_at is not None and at <= standing.seen_at:
        return standing, None
    seen = replace(standing, seen_at=at)
    if level is Level.BAD:
        kept = seen.open and not renews
        return _bad(seen, seen.period if kept else period, at, damping.fire_after)
    if level is Level.GOOD and seen.open:
        return _well(seen, at, damping.recover_after)
    return replace(seen, turning_since=None), None


def acknowledged(standing: Standing) -> Standing:
    """Somebody has seen it. Only what fires can be acknowledged; it goes on recovering by itself."""
    return replace(standing, phase=Phase.ACKNOWLEDGED) if standing.phase is Phase.FIRING else standing


def _bad(seen: Standing, period: str, at: datetime, fire_after: timedelta) -> tuple[Standing, Step | None]:
    if seen.open:
        if seen.period == period:
            return replace(seen, turning_since=None), None
        return Standing(Phase.FIRING, period, None, at), Step.RENEWED
    since = seen.turning_since or at
    if at - since < fire_after:
        return replace(seen, turning_since=since), None
    again = seen.phase is Phase.RECOVERED and seen.period == period
    return Standing(Phase.FIRING, period, None, at), Step.FIRED_AGAIN if again else Step.FIRED


def _well(seen: Standing, at: datetime, recover_after: timedelta) -> tuple[Standing, Step | None]:
    since = seen.turning_since or at
    if at - since < recover_after:
        return replace(seen, turning_since=since), None
    return Standing(Phase.RECOVERED, seen.period, None, at), Step.RECOVERED
