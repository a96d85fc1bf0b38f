"""Writes of imports: a file comes in, is mapped, checked and taken in, one chunk and one transaction at a time.

The file and the cursor live in Postgres. Whoever runs `import_advance` locks the import's row; a worker that dies
leaves the chunk undone, and the next one does it.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import IO

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, OperationalError, transaction

from common.ids import new_id
from common.problems import Problem
from ingest.files.columns import Defaults, Header, RowError, checked_header, recognized
from ingest.files.reading import Cells, Table, read_table
from ingest.imports.rows import Result, Rules, take_rows
from ingest.models import AT_WORK, OPEN, ImportChunk, ImportState, UsageImport
from ingest.pressure import refuse_when_overloaded
from tenants.access import organization_scope
from tenants.models import Organization, User, VirtualKey
from tenants.services import audit_record
from usage.closing import closed_before

log = logging.getLogger(__name__)

CHUNK_ROWS = 1_000
CHUNKS_PER_INSERT = 20
SAMPLE_ROWS, SAMPLE_CHARACTERS = 3, 40
FAULTS_KEPT = 100
READ_BYTES = 1 << 20
MAX_NAME = 200
SHORTEST_MONTH_DAYS = 28
_COUNTS = ("done", "accepted", "duplicates", "refused", "conflicts", "faults")


def import_upload(*, organization: Organization, name: str, file: IO[bytes], actor: User, now: datetime) -> UsageImport:
    """Keeps the rows of a seekable file. ValidationError, with nothing kept, when it is no file of rows."""
    digest, size = digest_of(file)
    made = UsageImport(
        id=new_id(), organization=organization, name=name[-MAX_NAME:] or "usage", digest=digest, size=size, rows=0,
        created_by=actor.email, created_at=now,
    )  # fmt: skip
    try:
        with transaction.atomic():
            _keep(made, read_table(file))
    except RowError as error:
        raise ValidationError({"file": str(error)}) from error
    _audit(made, actor, "uploaded", now)
    return made


def _keep(made: UsageImport, table: Table) -> None:
    made.columns, made.fields = list(table.columns), list(recognized(table.columns))
    made.save(force_insert=True)
    chunks = _chunks(made, table)
    for some in iter(lambda: list(islice(chunks, CHUNKS_PER_INSERT)), []):
        made.sample = made.sample or _sample(some[0].rows)
        ImportChunk.objects.bulk_create(some)
        made.rows += sum(len(chunk.rows) for chunk in some)
    if not made.rows:
        raise RowError("The file has a header and no rows.")
    made.save(update_fields=["rows", "sample"])


def digest_of(file: IO[bytes]) -> tuple[str, int]:
    """SHA-256 in hex and the size in bytes; the file stands at its start again."""
    digest, size = hashlib.sha256(), 0
    while piece := file.read(READ_BYTES):
        digest.update(piece)
        size += len(piece)
    file.seek(0)
    return digest.hexdigest(), size


def _chunks(made: UsageImport, table: Table) -> Iterator[ImportChunk]:
    first = 1
    while rows := list(islice(table.rows, CHUNK_ROWS)):
        yield ImportChunk(organization_id=made.organization_id, usage_import=made, first=first, rows=rows)
        first += len(rows)


def _sample(rows: Sequence[Cells]) -> list[Cells]:
    """The first rows as a person can look at them."""
    return [
        row[: 4 * SAMPLE_CHARACTERS] if isinstance(row, str) else [cell[:SAMPLE_CHARACTERS] for cell in row]
        for row in rows[:SAMPLE_ROWS]
    ]


def import_check(
    *,
    usage_import: UsageImport,
    fields: Sequence[str],
    defaults: Defaults,
    virtual_key: VirtualKey,
    allow_old: bool,
    actor: User,
    now: datetime,
) -> UsageImport:
    """Sets what the columns mean and starts the dry run. ValidationError when no event could be made of such rows."""
    found = _locked(usage_import, (ImportState.DRAFT, ImportState.CHECKED))
    if found.columns:
        try:
            checked_header(found.columns, fields, defaults)
        except RowError as error:
            raise ValidationError(str(error)) from error
    found.fields, found.virtual_key, found.allow_old = list(fields), virtual_key, allow_old
    found.provider, found.model = defaults.provider or "", defaults.model or ""
    _restart(found, ImportState.CHECKING)
    _audit(found, actor, "checked", now)
    return found


def import_start(*, usage_import: UsageImport, actor: User, now: datetime) -> UsageImport:
    """Takes the rows in, after a check. ValidationError in any other state."""
    found = _locked(usage_import, (ImportState.CHECKED,))
    _restart(found, ImportState.IMPORTING)
    _audit(found, actor, "started", now)
    return found


def import_cancel(*, usage_import: UsageImport, actor: User, now: datetime) -> UsageImport:
    """Ends it where it stands: what was taken in stays, the rest is forgotten."""
    found = _locked(usage_import, OPEN)
    if found.state != ImportState.IMPORTING:
        _reset(found)
    _end(found, ImportState.CANCELLED, now)
    _audit(found, actor, "cancelled", now)
    return found


def _locked(usage_import: UsageImport, states: Sequence[str]) -> UsageImport:
    found = UsageImport.objects.select_for_update(of=("self",)).get(
        organization_id=usage_import.organization_id, id=usage_import.id
    )
    if found.state not in states:
        raise ValidationError("The import has moved on in the meantime. Look at where it stands.")
    return found


def _reset(found: UsageImport) -> None:
    found.done = found.accepted = found.duplicates = found.refused = found.conflicts = 0
    found.faults = []


def _restart(found: UsageImport, state: ImportState) -> None:
    _reset(found)
    found.state = state
    found.save()


def _end(found: UsageImport, state: ImportState, now: datetime) -> None:
    ImportChunk.objects.filter(organization_id=found.organization_id, usage_import=found).delete()
    found.state, found.ended_at, found.sample = state, now, []
    found.save()


def import_advance(organization_id: int, now: datetime) -> bool:
    """Does the next chunk of one of the organization's imports; False when none is free, or the inbox is full."""
    if not _has_room(organization_id, now):
        return False
    try:
        with organization_scope(organization_id):
            found = (
                UsageImport.objects.select_for_update(of=("self",), skip_locked=True)
                .filter(organization_id=organization_id, state__in=AT_WORK)
                .order_by("id")
                .first()
            )
            if found is None:
                return False
            _advance(found, now)
    except OperationalError:
        raise
    except (DatabaseError, ArithmeticError, LookupError, ValueError, TypeError) as error:
        log.exception("import %s of organization %s failed", found and found.id, organization_id)
        if found is not None:
            _fail(found, error, now)
    return True


def _has_room(organization_id: int, now: datetime) -> bool:
    """Whether the inbox takes more. Live usage goes first: an import waits where it stands."""
    try:
        refuse_when_overloaded(organization_id=organization_id, now=now, headers={})
    except Problem:
        return False
    return True


def _advance(found: UsageImport, now: datetime) -> None:
    chunk = (
        ImportChunk.objects.filter(organization_id=found.organization_id, usage_import=found, first__gt=found.done)
        .order_by("first")
        .first()
    )
    if chunk is not None:
        result = take_rows(
            organization_id=found.organization_id, rules=_rules(found), first=chunk.first, rows=chunk.rows, now=now,
            dry_run=found.state == ImportState.CHECKING,
        )  # fmt: skip
        _add(found, result)
    if found.done < found.rows:
        found.save(update_fields=_COUNTS)
    elif found.state == ImportState.CHECKING:
        found.state = ImportState.CHECKED
        found.save(update_fields=["state", *_COUNTS])
    else:
        _end(found, ImportState.DONE, now)
        _audit(found, None, "finished", now)


def _add(found: UsageImport, result: Result) -> None:
    found.done += result.rows
    found.accepted += result.accepted
    found.duplicates += result.duplicates
    found.refused += len(result.faults)
    found.conflicts += result.conflicts
    room = FAULTS_KEPT - len(found.faults)
    found.faults += [[fault.number, fault.column, fault.reason] for fault in result.faults[:room]]


def _fail(found: UsageImport, error: Exception, now: datetime) -> None:
    with organization_scope(found.organization_id):
        kept = UsageImport.objects.select_for_update(of=("self",)).get(
            organization_id=found.organization_id, id=found.id
        )
        kept.failure = f"{type(error).__name__}: {error}"[:500]
        _end(kept, ImportState.FAILED, now)


def _rules(found: UsageImport) -> Rules:
    if found.virtual_key_id is None:
        raise LookupError("an import at work has a key")
    return Rules(
        header=Header(tuple(found.fields), ()) if found.columns else None,
        columns=tuple(found.columns),
        defaults=Defaults(found.provider or None, found.model or None),
        digest=found.digest,
        virtual_key_id=found.virtual_key_id,
        max_age=max_age(allow_old=found.allow_old),
        closed_until=closed_before(found.organization_id),
    )


def max_age(*, allow_old: bool) -> timedelta:
    """How far back rows may reach: never to months whose events are dropped, where a second import would go unseen."""
    if not allow_old:
        return timedelta(days=settings.EVENT_MAX_AGE_DAYS)
    kept = (settings.EVENT_RETENTION_MONTHS - 1) * SHORTEST_MONTH_DAYS if settings.EVENT_RETENTION_MONTHS else None
    days = settings.IMPORT_MAX_AGE_DAYS
    return timedelta(days=days if kept is None else max(settings.EVENT_MAX_AGE_DAYS, min(days, kept)))


def _audit(found: UsageImport, actor: User | None, verb: str, now: datetime) -> None:
    audit_record(
        organization_id=found.organization_id, actor=actor, action=f"import.{verb}", target=found, now=now,
        name=found.name, rows=str(found.rows), accepted=str(found.accepted), refused=str(found.refused),
    )  # fmt: skip
