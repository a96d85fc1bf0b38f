"""What becomes of the rows of a file: each is refused with a reason, known already, or taken in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from common.problems import Problem
from ingest import inbox, wake
from ingest.files.columns import Defaults, Event, Header, RowError, event_of, row_id
from ingest.files.reading import Cells
from ingest.inbox import Known
from ingest.schema import InvalidEventsError, parse_events
from usage.records import Reported
from usage.selectors import stored_events

SOURCE = "import"
# Two that import the same rows at the same moment: the one that waited compares again.
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Rules:
    """How the rows of one file become events. `header` is None for JSON Lines, `digest` the file's SHA-256 in hex."""

    header: Header | None
    columns: tuple[str, ...]
    defaults: Defaults
    digest: str
    virtual_key_id: int
    max_age: timedelta
    # Before this instant every month is signed off, and usage would have to be booked in another one.
    closed_until: datetime


@dataclass(frozen=True, slots=True)
class RowFault:
    """`number` counts rows from 1 without the header; `column` is the file's own name for it, "" for the whole row."""

    number: int
    column: str
    reason: str


@dataclass(slots=True)
class Result:
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    faults: list[RowFault] = field(default_factory=list)  # one per refused row, conflicts among them

    @property
    def rows(self) -> int:
        return self.accepted + self.duplicates + len(self.faults)


def take_rows(
    *, organization_id: int, rules: Rules, first: int, rows: Sequence[Cells], now: datetime, dry_run: bool
) -> Result:
    """Takes in the rows that can be; `first` is the number of the first one. A dry run stores nothing and counts what
    would be. Call inside the organization's scope; durable with the caller's transaction."""
    result = Result()
    numbers, events = _understood(rules, first, rows, now, result)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                _take(organization_id, rules, numbers, events, now, dry_run, result)
            break
        except Problem:
            if attempt == ATTEMPTS:
                raise
    result.faults.sort(key=lambda fault: fault.number)
    return result


def _understood(
    rules: Rules, first: int, rows: Sequence[Cells], now: datetime, result: Result
) -> tuple[list[int], list[Reported]]:
    """The rows that are events, by number; of the others the reason is noted."""
    made: dict[int, Event] = {}
    for number, cells in enumerate(rows, first):
        try:
            event = event_of(cells, rules.header, rules.defaults)
        except RowError as error:
            result.faults.append(RowFault(number, _column(rules, error.field), str(error)))
            continue
        event.setdefault("id", row_id(rules.digest, number))
        made[number] = event
    for number in [number for number, event in made.items() if "virtual_key" in event]:
        result.faults.append(RowFault(number, "virtual_key", "the key is chosen for the whole file"))
        del made[number]
    reported = _parsed(rules, made, now, result)
    return _open_months(rules, list(made), reported, result)


def _parsed(rules: Rules, made: dict[int, Event], now: datetime, result: Result) -> list[Reported]:
    """The events in the order of `made`, from which those that are not valid are taken out."""
    while made:
        pointers = [f"/{number}" for number in made]
        try:
            return parse_events(list(made.values()), pointers=pointers, now=now, max_age=rules.max_age)[1]
        except InvalidEventsError as error:
            for fault in error.faults:
                _, number, *path = fault.pointer.split("/")
                if made.pop(int(number), None) is not None:
                    name = path[-1] if path else ""
                    reason = fault.detail if fault.code != "timestamp_out_of_window" else _window(rules)
                    result.faults.append(RowFault(int(number), _column(rules, name), f"{name} {reason}".strip()))
    return []


def _window(rules: Rules) -> str:
    return f"is in the future or more than {rules.max_age.days} days ago"


def _open_months(
    rules: Rules, numbers: list[int], events: list[Reported], result: Result
) -> tuple[list[int], list[Reported]]:
    kept = []
    for number, event in zip(numbers, events, strict=True):
        if event.time >= rules.closed_until:
            kept.append((number, event))
        else:
            reason = f"time lies in {event.time:%B %Y}, which is closed"
            result.faults.append(RowFault(number, _column(rules, "time"), reason))
    return [number for number, _ in kept], [event for _, event in kept]


def _column(rules: Rules, name: str) -> str:
    """What the file calls one of our fields."""
    if rules.header is None:
        return name
    columns = dict(zip(rules.header.fields, rules.columns, strict=True))
    return columns.get(name) or columns.get(f"tag.{name}") or name


def _take(
    organization_id: int,
    rules: Rules,
    numbers: Sequence[int],
    events: Sequence[Reported],
    now: datetime,
    dry_run: bool,
    result: Result,
) -> None:
    known = inbox.compare(organization_id=organization_id, events=events)
    # Claims are forgotten some day; what was stored under an old time is found by it.
    stored = stored_events(organization_id=organization_id, keys=[(event.time, event.id) for event in events])
    fresh, conflicts, duplicates = [], [], 0
    for number, event, state in zip(numbers, events, known, strict=True):
        if state is Known.OTHER:
            conflicts.append(RowFault(number, _column(rules, "id"), "is known with other content"))
        elif state is Known.SAME or (event.time, event.id) in stored:
            duplicates += 1
        else:
            fresh.append(event)
    accepted = len(fresh)
    if fresh and not dry_run:
        taken = inbox.accept(
            organization_id=organization_id, events={rules.virtual_key_id: fresh}, source=SOURCE, now=now
        )
        wake.after_commit()
        accepted, duplicates = taken.accepted, duplicates + taken.duplicates
    result.accepted, result.duplicates, result.conflicts = accepted, duplicates, len(conflicts)
    result.faults += conflicts
