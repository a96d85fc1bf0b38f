"""A bill beside our figure, and why they differ. Pure: amounts are nano-USD as integers.

The parts of an explanation always sum to the difference. What tokens and neighbouring days prove is named; the rest is
called unexplained rather than guessed at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

# Counts and amounts that differ by no more than this are said to agree: clocks, rounding, retries nobody billed.
TOLERANCE = Decimal("0.02")
# A difference that the next day takes back is timing when no more than this is left of it.
TIMING_LEFT = Decimal("0.05")
# Below this nobody asks: a hundredth of a cent per day and model.
NEGLIGIBLE = 100_000

TIMING, UNROUTED, UNPRICED, MISPRICED, DUPLICATE, UNEXPLAINED = (
    "timing",
    "unrouted",
    "unpriced",
    "mispriced",
    "duplicate",
    "unexplained",
)
PARTS = (UNROUTED, UNPRICED, MISPRICED, DUPLICATE, TIMING, UNEXPLAINED)

Key = tuple[date, str]  # day of UTC, model


@dataclass(frozen=True, slots=True)
class Billed:
    """`tokens` (input and output together) is None where the provider's usage was not given."""

    amount: int = 0
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Ours:
    """What we counted, before any difference was accepted."""

    cost: int = 0
    requests: int = 0
    unpriced_requests: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One day and model. `accepted` is what was booked for it already."""

    day: date
    model: str
    billed: Billed
    ours: Ours
    accepted: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def difference(self) -> int:
        """What the bill has more than we have, accepted differences included."""
        return self.billed.amount - self.ours.cost - self.accepted


def compare(billed: Mapping[Key, Billed], ours: Mapping[Key, Ours], accepted: Mapping[Key, int]) -> list[Line]:
    """The lines by day and model, each difference explained. Only days that were billed are compared."""
    days = {day for day, _ in billed}
    keys = sorted({*billed, *(key for key in (*ours, *accepted) if key[0] in days)})
    lines = {key: Line(*key, billed.get(key, Billed()), ours.get(key, Ours()), accepted.get(key, 0)) for key in keys}
    timing = _timing(lines)
    return [_explained(line, timing.get(key, 0)) for key, line in lines.items()]


def _timing(lines: Mapping[Key, Line]) -> dict[Key, int]:
    """The parts that cancel against the next day of the same model."""
    found: dict[Key, int] = {}
    for key, line in lines.items():
        following = lines.get((line.day + timedelta(days=1), line.model))
        if key in found or following is None:
            continue
        mine, theirs = line.difference, following.difference
        smaller = min(abs(mine), abs(theirs))
        if mine * theirs < 0 and smaller > NEGLIGIBLE and _agree(abs(mine), abs(theirs), TIMING_LEFT):
            sign = 1 if mine > 0 else -1
            found[key] = sign * smaller
            found[(following.day, following.model)] = -sign * smaller
    return found


def _explained(line: Line, timing: int) -> Line:
    rest = line.difference - timing
    parts = {TIMING: timing, **_parts(line, rest)}
    return replace(line, parts={name: parts[name] for name in PARTS if parts.get(name)})


def _parts(line: Line, rest: int) -> dict[str, int]:
    """The rest of a difference by its causes."""
    billed, ours = line.billed, line.ours
    if abs(rest) <= NEGLIGIBLE:
        return {UNEXPLAINED: rest}
    if rest > 0 and not ours.requests:
        return {UNROUTED: rest}
    if rest > 0 and ours.unpriced_requests:
        return {UNPRICED: rest}
    if billed.tokens and ours.tokens:
        return _by_tokens(line, billed.tokens, rest)
    if rest < 0 and _whole_multiple(ours.cost, billed.amount):
        return {DUPLICATE: rest}
    return {UNEXPLAINED: rest}


def _by_tokens(line: Line, billed_tokens: int, rest: int) -> dict[str, int]:
    """With the provider's own counts: what there is too much or too little of, and what the rest says of the price."""
    tokens = line.ours.tokens
    if _agree(tokens, billed_tokens, TOLERANCE):
        return {MISPRICED: rest}
    if tokens > billed_tokens:
        name, counted = DUPLICATE, -_share(line.ours.cost, tokens - billed_tokens, tokens)
    else:
        name, counted = UNROUTED, _share(line.billed.amount, billed_tokens - tokens, billed_tokens)
    if counted * rest <= 0:
        # More tokens and yet less money: the counts explain nothing.
        return {UNEXPLAINED: rest}
    if abs(rest - counted) <= TOLERANCE * abs(rest) or abs(counted) > abs(rest):
        return {name: rest}
    return {name: counted, MISPRICED: rest - counted}


def _share(amount: int, part: int, whole: int) -> int:
    return int((Decimal(amount) * part / whole).quantize(Decimal(1), ROUND_HALF_EVEN))


def _agree(one: int, other: int, tolerance: Decimal) -> bool:
    return abs(one - other) <= tolerance * max(one, other)


def _whole_multiple(ours: int, billed: int) -> bool:
    """Whether ours is about twice, three times … what was billed."""
    if billed <= 0:
        return False
    times = (Decimal(ours) / billed).quantize(Decimal(1), ROUND_HALF_EVEN)
    return times >= 2 and abs(ours - times * billed) <= TOLERANCE * ours
