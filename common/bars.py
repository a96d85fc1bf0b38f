"""Geometry of the small drawings inside tables and tiles: pure integers in units of a viewBox, drawn as SVG.

SVG attributes need neither inline style nor script, so that the drawings work under a strict content security policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from common.display import Number, percent, share

SCALE = 1000
SPARK_WIDTH, SPARK_HEIGHT = 100, 24


@dataclass(frozen=True)
class BudgetBar:
    """Widths and positions in thousandths of the bar's length, and the sentence a screen reader speaks."""

    spent: int
    reserved: int
    limit: int
    past: int
    pace: int | None
    state: str
    percent: Decimal | None
    summary: str


STATES = {
    "over": ("Over limit", "bad"),
    "near": ("Nearly spent", "warn"),
    "ahead": ("Ahead of pace", "warn"),
    "on-track": ("On track", "good"),
    "none": ("No limit", ""),
}


def budget_state(used: Decimal | None, elapsed: Decimal | None) -> str:
    """over (past the limit), near (90 % or more), ahead (faster than the period passes), on-track, none (no limit)."""
    if used is None:
        return "none"
    if used > 100:
        return "over"
    if used >= 90:
        return "near"
    if elapsed is not None and used > elapsed + 10:
        return "ahead"
    return "on-track"


def budget_bar(
    *, spent: Number, limit: Number | None, reserved: Number = 0, elapsed: Decimal | None = None
) -> BudgetBar:
    """`elapsed` is how much of the period has passed, in percent. Past the limit the whole bar grows to hold it."""
    length = max(spent + reserved, limit or 0) or 1
    used = share(spent, limit)
    full = _thousandths(limit or 0, length)
    pace = None if elapsed is None else int(full * min(elapsed, Decimal(100)) / 100)
    drawn = 0 if limit is None else _thousandths(spent, length)
    spoken = [f"{percent(used)} of the limit spent" if used is not None else "no limit"]
    if elapsed is not None:
        spoken.append(f"{percent(elapsed)} of the period has passed")
    return BudgetBar(
        spent=drawn,
        reserved=0 if limit is None else _thousandths(reserved, length),
        limit=full,
        past=max(0, drawn - full),
        pace=pace,
        state=budget_state(used, elapsed),
        percent=used,
        summary="; ".join(spoken),
    )


def share_width(part: Number | None, whole: Number | None) -> int:
    """A part of a whole in thousandths; a part above nothing is never drawn as nothing."""
    if part is None or part <= 0 or not whole:
        return 0
    return max(4, _thousandths(part, whole))


def _thousandths(part: Number, whole: Number) -> int:
    return int(min(Decimal(SCALE), max(Decimal(0), Decimal(part) * SCALE / Decimal(whole))))


def spark_points(values: Sequence[Number | None]) -> str:
    """The values as an SVG polyline from left to right, the greatest at the top; unknown values count as nothing."""
    known = [Decimal(value or 0) for value in values]
    top = max(known, default=Decimal(0)) or Decimal(1)
    step = Decimal(SPARK_WIDTH) / max(1, len(known) - 1)
    rise = SPARK_HEIGHT - 4
    return " ".join(
        f"{index * step:.1f},{SPARK_HEIGHT - 2 - max(Decimal(0), value) / top * rise:.1f}"
        for index, value in enumerate(known)
    )
