"""An import from the command line: the file is read where it lies, and every chunk is a transaction of its own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from ingest.files.columns import Defaults, header_of
from ingest.files.reading import read_table
from ingest.imports.rows import RowFault, Rules, take_rows
from ingest.imports.services import CHUNK_ROWS, FAULTS_KEPT, digest_of
from ingest.pressure import refuse_when_overloaded
from tenants.access import organization_scope
from tenants.models import VirtualKey
from usage.closing import closed_before


@dataclass
class Report:
    """What became of the rows so far. `refused` includes the conflicts; the first refused rows are named."""

    unused: tuple[str, ...] = ()
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    conflicts: int = 0
    faults: list[RowFault] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.accepted + self.duplicates + self.refused


@dataclass(frozen=True, slots=True)
class Plan:
    path: Path
    virtual_key: VirtualKey
    mapping: Mapping[str, str]  # their column → our field
    defaults: Defaults
    max_age: timedelta
    dry_run: bool


def row_count(path: Path) -> int:
    """How many rows the file has. RowError when it is no file of rows."""
    with path.open("rb") as file:
        return sum(1 for _ in read_table(file).rows)


def import_file(plan: Plan, *, clock: Callable[[], datetime]) -> Iterator[Report]:
    """The report after each chunk, which is committed then. RowError when the file cannot be understood, Problem
    503 when the inbox is full."""
    organization_id = plan.virtual_key.organization_id
    with plan.path.open("rb") as file:
        digest, _ = digest_of(file)
        table = read_table(file)
        header = header_of(table.columns, plan.defaults, plan.mapping) if table.columns else None
        report = Report(header.unused if header else ())
        while rows := list(islice(table.rows, CHUNK_ROWS)):
            if not plan.dry_run:
                refuse_when_overloaded(organization_id=organization_id, now=clock(), headers={})
            with organization_scope(organization_id):
                rules = Rules(
                    header, table.columns, plan.defaults, digest, plan.virtual_key.id, plan.max_age,
                    closed_before(organization_id),
                )  # fmt: skip
                result = take_rows(
                    organization_id=organization_id, rules=rules, first=report.done + 1, rows=rows, now=clock(),
                    dry_run=plan.dry_run,
                )  # fmt: skip
            report.accepted += result.accepted
            report.duplicates += result.duplicates
            report.refused += len(result.faults)
            report.conflicts += result.conflicts
            report.faults += result.faults[: FAULTS_KEPT - len(report.faults)]
            yield report
    if not report.done:
        yield report
