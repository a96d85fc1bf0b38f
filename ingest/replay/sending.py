"""One batch after another: what was accepted, known already, or refused, and why."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from common.problems import excerpt
from ingest.files.columns import Event
from ingest.replay.client import Answer, Client, ReplayError
from ingest.replay.source import Row
from ingest.replay.totals import Account, Totals

EVENTS_PATH = "/api/v1/events"
REASONS_KEPT = 5
CONFLICT = "is known with other content"
_POINTER = re.compile(r"/events/([0-9]+)(?=/|\Z)")


@dataclass
class Tally:
    """What came of the rows so far. Threads add to it one at a time."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    conflicts: int = 0
    reasons: list[tuple[int, str]] = field(default_factory=list)  # row number, reason; the first few
    taken: Totals | None = None  # of every event that the server has now, by our account
    # Of the events that were new. None once a batch was partly known: the server does not say which part.
    fresh: Totals | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> int:
        return self.accepted + self.duplicates + self.refused

    def take(self, accepted: int, duplicates: int, totals: Totals) -> None:
        nothing = totals - totals
        with self._lock:
            self.sent += accepted + duplicates
            self.accepted += accepted
            self.duplicates += duplicates
            if accepted and duplicates:
                self.fresh = None
            elif self.fresh is not None:
                self.fresh += totals if accepted else nothing
            self.taken = totals if self.taken is None else self.taken + totals

    def refuse(self, number: int, reason: str, *, sent: bool = True) -> None:
        with self._lock:
            self.sent += sent
            self.refused += 1
            self.conflicts += reason == CONFLICT
            if len(self.reasons) < REASONS_KEPT:
                self.reasons.append((number, reason))


class Sender:
    """For one thread."""

    def __init__(self, client: Client, tally: Tally, account: Account) -> None:
        self._client, self._tally, self._account = client, tally, account

    def send(self, batch: Sequence[Row]) -> None:
        """The server takes a batch whole or not at all; rows it refuses are left out and the others sent again."""
        waiting = [list(batch)]
        while waiting:
            rows = waiting.pop()
            answer = self._client.post(EVENTS_PATH, {"events": [row.event for row in rows]})
            match answer.status:
                case 202:
                    self._taken(rows, answer)
                case 409 | 422:
                    if rest := self._without_refused(rows, answer):
                        waiting.append(rest)
                case 413 if len(rows) > 1:
                    waiting += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
                case 400 | 413:
                    for row in rows:
                        self._tally.refuse(row.number, _detail(answer))
                case _:
                    raise ReplayError(f"The server answers {answer.status}: {_detail(answer)}")

    def _taken(self, rows: Sequence[Row], answer: Answer) -> None:
        events: list[Event] = [row.event for row in rows]
        try:
            accepted, duplicates = int(answer.document["accepted"]), int(answer.document["duplicates"])
        except (KeyError, TypeError, ValueError) as error:
            raise ReplayError("The server answers 202, but not as CostHub does: is it the right URL?") from error
        self._tally.take(accepted, duplicates, self._account.of(events))

    def _without_refused(self, rows: Sequence[Row], answer: Answer) -> list[Row]:
        reasons = _refused(rows, answer)
        if not reasons:
            # Nothing to leave out: the batch as a whole is refused.
            reasons = dict.fromkeys(range(len(rows)), _detail(answer))
        for index, reason in sorted(reasons.items()):
            self._tally.refuse(rows[index].number, reason)
        return [row for index, row in enumerate(rows) if index not in reasons]


def _refused(rows: Sequence[Row], answer: Answer) -> dict[int, str]:
    """Index in the batch → the first reason: a pointer names the event's place, a conflict its id."""
    faults = answer.document.get("errors")
    by_id = {f"id {excerpt(row.event['id'])}": index for index, row in enumerate(rows)}
    found: dict[int, str] = {}
    for fault in faults if isinstance(faults, list) else []:
        pointer, detail = str(fault.get("pointer", "")), str(fault.get("detail", ""))
        match = _POINTER.match(pointer)
        if match and int(match[1]) < len(rows):
            where = pointer[match.end() :].strip("/")
            found.setdefault(int(match[1]), f"{where} {detail}".strip())
        elif fault.get("code") == "event_conflict" and detail in by_id:
            found.setdefault(by_id[detail], CONFLICT)
    return found


def _detail(answer: Answer) -> str:
    return str(answer.document.get("detail") or answer.document.get("title") or f"status {answer.status}")
