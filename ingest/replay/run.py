"""The replay itself: the file is read in one thread, sent in several, and all of them stop together."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, Full, Queue

from ingest.files.columns import RowError, moment, shifted
from ingest.replay.client import FIRST_CONTACT_ATTEMPTS, Client, ReplayError, Target
from ingest.replay.sending import Sender, Tally
from ingest.replay.source import Row, Source
from ingest.replay.totals import Account, Totals, totals_of_me

ME_PATH = "/api/v1/me"
# At the recorded pace a batch is not held back longer than this for more rows to come.
LONGEST_BATCH_S = 1.0
POLL_S = 0.25
# How long settling may go without a visible step before the totals are compared as they are.
SETTLING_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    target: Target
    shift_days: int
    batch: int = 100
    workers: int = 4
    speed: float | None = None  # None: as fast as the server takes it; 2: twice the recorded pace
    compress: bool = False


@dataclass(slots=True)
class Outcome:
    tally: Tally
    seconds: float = 0.0
    stopped: bool = False
    trouble: str = ""
    before: Totals | None = None
    server: Totals | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    rows: list[Row]
    due_s: float  # after the beginning; 0 at full speed


def replay(source: Source, plan: Plan, account: Account, progress: Callable[[Tally], None]) -> Outcome:
    """Sends the file. Ends early with `stopped` on Ctrl-C and with `trouble` when the server cannot be used."""
    outcome = Outcome(Tally(fresh=account.of(())))
    stop = threading.Event()
    began = time.monotonic()
    try:
        outcome.before = key_totals(plan.target, stop)
        began = time.monotonic()
        outcome.trouble = _send_all(source, plan, account, outcome.tally, stop, progress)
    except ReplayError as error:
        outcome.trouble = str(error)
    except KeyboardInterrupt:
        stop.set()
        outcome.stopped = True
    outcome.seconds = time.monotonic() - began
    return outcome


def key_totals(target: Target, stop: threading.Event) -> Totals:
    """All that the key has ever used, as the server has settled it."""
    client = Client(target, stop, attempts=FIRST_CONTACT_ATTEMPTS)
    try:
        return totals_of_me(client.get(ME_PATH).document["spend"]["total"])
    except (KeyError, TypeError, ValueError) as error:
        raise ReplayError(f"{target.url} does not answer as CostHub does: is it the right URL?") from error
    finally:
        client.close()


def wait_until_settled(plan: Plan, outcome: Outcome) -> None:
    """Fills in the server's total: once it is as expected, or when it has not moved for a while."""
    moved, stop = time.monotonic(), threading.Event()
    while outcome.server is None or not agrees(outcome):
        seen = key_totals(plan.target, stop)
        if seen != outcome.server:
            outcome.server, moved = seen, time.monotonic()
        elif time.monotonic() - moved > SETTLING_PATIENCE_S:
            return
        else:
            time.sleep(POLL_S)


def agrees(outcome: Outcome) -> bool:
    """Whether the server's total is ours: all of it is this file's, or what was added to it is."""
    expected = expectation(outcome)
    return expected is not None and outcome.server is not None and outcome.server.equals(expected)


def expectation(outcome: Outcome) -> Totals | None:
    """What the server's total for the key should be by our account."""
    tally = outcome.tally
    if tally.taken is None or outcome.before is None:
        return outcome.before
    if outcome.server is not None and outcome.server.equals(tally.taken):
        return tally.taken
    return tally.taken if tally.fresh is None else outcome.before + tally.fresh


def _send_all(
    source: Source, plan: Plan, account: Account, tally: Tally, stop: threading.Event, progress: Callable[[Tally], None]
) -> str:
    """Why it ended early; "" when all was sent. However it ends, batches under way are finished first."""
    crew = _Crew(plan, account, tally, stop, lambda: progress(tally))
    try:
        for batch in in_batches(_sendable(source, plan.shift_days, tally), plan.batch, plan.speed):
            if not crew.put(batch):
                break
        crew.finish()
    except KeyboardInterrupt:
        stop.set()
        raise
    finally:
        crew.dismiss()
    return crew.trouble


class _Crew:
    """The threads that send, each over a connection of its own, and the queue they work from."""

    def __init__(
        self, plan: Plan, account: Account, tally: Tally, stop: threading.Event, idle: Callable[[], None]
    ) -> None:
        """`idle` is called again and again while the caller waits."""
        self.trouble = ""
        self._plan, self._account, self._tally, self._stop, self._idle = plan, account, tally, stop, idle
        self._batches: Queue[Batch | None] = Queue(maxsize=2 * plan.workers)
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._work, name=f"replay-{n}") for n in range(plan.workers)]
        for thread in self._threads:
            thread.start()

    def put(self, batch: Batch | None) -> bool:
        """False when the replay has ended meanwhile."""
        while not self._stop.is_set():
            self._idle()
            try:
                self._batches.put(batch, timeout=0.1)
            except Full:
                continue
            return True
        return False

    def finish(self) -> None:
        """Tells every thread that nothing comes any more, and waits for them."""
        for _ in self._threads:
            self.put(None)
        for thread in self._threads:
            while thread.is_alive():
                self._idle()
                thread.join(0.05)

    def dismiss(self) -> None:
        """Waits for the batches under way; what is queued is dropped."""
        for thread in self._threads:
            while thread.is_alive():
                with suppress(Empty):
                    self._batches.get_nowait()
                with suppress(Full):
                    self._batches.put_nowait(None)
                thread.join(0.1)

    def _work(self) -> None:
        client = Client(self._plan.target, self._stop, compress=self._plan.compress)
        sender = Sender(client, self._tally, self._account)
        try:
            while (batch := self._batches.get()) is not None and not self._stop.is_set():
                if not self._stop.wait(max(0.0, self._began + batch.due_s - time.monotonic())):
                    sender.send(batch.rows)
        except ReplayError as error:
            self.trouble = self.trouble or str(error)
            self._stop.set()
        finally:
            client.close()


def _sendable(source: Source, days: int, tally: Tally) -> Iterator[Row]:
    for row in source:
        if row.fault:
            tally.refuse(row.number, row.fault, sent=False)
        else:
            yield Row(row.number, shifted(row.event, days))


def in_batches(rows: Iterable[Row], size: int, speed: float | None) -> Iterator[Batch]:
    """Rows in batches; at a pace a batch also ends before it would span more than LONGEST_BATCH_S."""
    held: list[Row] = []
    start: datetime | None = None
    first_due = last_due = 0.0
    for row in rows:
        due = last_due
        if speed is not None and (at := _time(row)) is not None:
            start = start or at
            due = max(last_due, (at - start) / timedelta(seconds=1) / speed)
        if held and (len(held) == size or due - first_due > LONGEST_BATCH_S):
            yield Batch(held, last_due)
            held = []
        if not held:
            first_due = due
        held.append(row)
        last_due = due
    if held:
        yield Batch(held, last_due)


def _time(row: Row) -> datetime | None:
    try:
        return moment(row.event.get("time"), naive_is_utc=False)
    except RowError:
        return None
