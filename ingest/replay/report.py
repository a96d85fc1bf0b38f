"""What a replay tells: a line that moves while it runs, and the figures at its end."""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol, TextIO

from ingest.replay.run import Outcome, Plan, agrees, expectation
from ingest.replay.source import Source
from ingest.replay.totals import FIELDS

BAR = 30
EVERY_S, EVERY_S_IN_A_LOG = 0.2, 10.0


class Counted(Protocol):
    """How many rows are behind us."""

    @property
    def done(self) -> int: ...


class Progress:
    """A bar on a terminal, a line now and then in a log."""

    def __init__(self, stream: TextIO, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._total, self._clock = stream, total, clock
        self._terminal = stream.isatty()
        self._began = self._shown = clock()

    def __call__(self, tally: Counted) -> None:
        now = self._clock()
        if now - self._shown < (EVERY_S if self._terminal else EVERY_S_IN_A_LOG):
            return
        self._shown = now
        line = self._line(tally.done, now - self._began)
        self._stream.write(f"\r{line}\x1b[K" if self._terminal else f"{line}\n")
        self._stream.flush()

    def clear(self) -> None:
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self, done: int, seconds: float) -> str:
        share = done / self._total if self._total else 1.0
        bar = "█" * int(share * BAR)
        rate = done / seconds if seconds else 0
        return f"{bar:░<{BAR}} {share:4.0%}  {done:,} of {self._total:,}  {rate:,.0f}/s"


def report(source: Source, plan: Plan, outcome: Outcome, catalog: str) -> list[str]:
    """The lines of the report. `catalog` says which prices our own total was made with, "" for none."""
    tally = outcome.tally
    rate = (tally.accepted + tally.duplicates) / outcome.seconds if outcome.seconds else 0
    lines = [
        f"Replay of {source.path.name} ({source.rows:,} rows, SHA-256 {source.digest[:16]}…) to {plan.target.url}",
        *_shift(source, plan),
        f"  sent        {tally.sent:>14,}",
        f"  accepted    {tally.accepted:>14,}",
        f"  duplicates  {tally.duplicates:>14,}",
        f"  refused     {tally.refused:>14,}",
        *(f"    row {number}: {reason}" for number, reason in sorted(tally.reasons)),
        f"  time        {outcome.seconds:>12.1f} s",
        f"  rate        {rate:>14,.0f} events/s",
    ]
    if tally.conflicts:
        lines += [
            f"  {tally.conflicts:,} events are known with other content: this file was sent before with another value",
            "  of --shift-days, --provider or --model. With those of its first report all count as duplicates.",
        ]
    if outcome.trouble:
        lines.append(f"  not finished: {outcome.trouble}")
    if outcome.stopped:
        lines.append("  stopped by hand: the same command sends the rest; what was sent counts as duplicates.")
    return lines + _totals(outcome, catalog)


def _shift(source: Source, plan: Plan) -> list[str]:
    if source.first is None or source.last is None:
        return []
    span = f"  recorded    {source.first:%Y-%m-%d %H:%M:%S} to {source.last:%Y-%m-%d %H:%M:%S} UTC"
    if not plan.shift_days:
        return [f"{span}, sent as they are"]
    return [
        span,
        f"  moved by    {plan.shift_days:>+14,} days (to send the same again: --shift-days {plan.shift_days})",
    ]


def _totals(outcome: Outcome, catalog: str) -> list[str]:
    expected = expectation(outcome)
    if outcome.server is None or expected is None:
        return ["  totals were not compared"]
    lines = [f"  {'this key in all':22}{'the server':>22}{'our account':>22}"]
    for name in FIELDS:
        server, own = getattr(outcome.server, name), getattr(expected, name)
        verdict = "not compared" if own is None else "equal" if own == server else "DIFFERENT"
        label = f"{name.replace('_', ' ')}{' (USD)' if name == 'cost' else ''}"
        lines.append(f"  {label:22}{_text(server):>22}{_text(own):>22}  {verdict}")
    if expected != outcome.tally.taken and outcome.before is not None:
        lines.append(f"  our account begins with the {outcome.before.requests:,} requests that the key had before")
    how = f"Decimal arithmetic on the prices of {catalog}" if catalog else "not made: no price catalog within reach"
    lines.append(f"  our account of the cost: {how}")
    if not agrees(outcome):
        lines.append("  The totals differ: the key has other usage beside this file, or settling is still under way.")
    return lines


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,.9f}" if isinstance(value, Decimal) else f"{value:,}"
