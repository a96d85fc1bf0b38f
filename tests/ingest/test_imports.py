"""Imports: every row is accounted for, once, whatever happens to whoever takes them in."""

import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection

from ingest import pipeline, pressure
from ingest.files.columns import Defaults, RowError, recognized
from ingest.files.reading import read_table
from ingest.imports import services
from ingest.imports.services import (
    import_advance,
    import_cancel,
    import_check,
    import_start,
    import_upload,
)
from ingest.models import ImportChunk, ImportState, InboxBatch, UsageImport
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tests.factories import Tenant
from tests.ingest.files import HEADER, line, usage_csv
from usage.models import ClosedMonth, UsageEvent
from usage.selectors import SpendQuery, total

OLD = timedelta(days=100)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "CHUNK_ROWS", 2)


@pytest.fixture
def inside(tenant: Tenant) -> Iterator[Tenant]:
    with organization_scope(tenant.id):
        yield tenant


def upload(tenant: Tenant, content: bytes, now: datetime) -> UsageImport:
    return import_upload(
        organization=tenant.organization, name="usage.csv", file=io.BytesIO(content), actor=tenant.owner, now=now
    )


def check(tenant: Tenant, made: UsageImport, now: datetime, **changes: Any) -> UsageImport:
    options: dict[str, Any] = {"fields": made.fields, "defaults": Defaults(), "allow_old": False}
    return import_check(usage_import=made, virtual_key=tenant.key, actor=tenant.owner, now=now, **(options | changes))


def run(tenant: Tenant, now: datetime) -> UsageImport:
    while import_advance(tenant.id, now):
        pass
    return UsageImport.objects.latest("id")


def imported(tenant: Tenant, content: bytes, now: datetime, **changes: Any) -> UsageImport:
    made = upload(tenant, content, now)
    check(tenant, made, now, **changes)
    run(tenant, now)
    import_start(usage_import=made, actor=tenant.owner, now=now)
    return run(tenant, now)


def counts(found: UsageImport) -> tuple[int, int, int, int]:
    return found.accepted, found.duplicates, found.refused, found.conflicts


def test_a_file_is_checked_then_imported_then_all_duplicates(
    inside: Tenant, prices: None, now: datetime, small_chunks: None
) -> None:
    made = upload(inside, usage_csv(now, 5), now)
    assert (made.rows, made.columns, made.fields) == (5, HEADER.split(","), HEADER.split(","))
    check(inside, made, now)
    checked = run(inside, now)
    assert (checked.state, *counts(checked)) == (ImportState.CHECKED, 5, 0, 0, 0)
    assert not InboxBatch.objects.exists()
    import_start(usage_import=made, actor=inside.owner, now=now)
    done = run(inside, now)
    assert (done.state, *counts(done)) == (ImportState.DONE, 5, 0, 0, 0)
    assert not ImportChunk.objects.exists()
    pipeline.settle_waiting(now)
    events = UsageEvent.objects.filter(organization_id=inside.id)
    assert set(events.values_list("source", "customer", "virtual_key_id")) == {("import", "acme", inside.key.id)}
    again = imported(inside, usage_csv(now, 5), now)
    assert counts(again) == (0, 5, 0, 0)
    actions = AuditEntry.objects.filter(action__startswith="import.").order_by("id").values_list("action", flat=True)
    assert list(actions[:4]) == ["import.uploaded", "import.checked", "import.started", "import.finished"]


def test_a_chunk_that_was_cut_off_is_done_by_the_next_worker(
    inside: Tenant, now: datetime, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = upload(inside, usage_csv(now, 5), now)
    check(inside, made, now)
    run(inside, now)
    import_start(usage_import=made, actor=inside.owner, now=now)
    import_advance(inside.id, now)

    def die(found: UsageImport, result: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(services, "_add", die)
        with pytest.raises(KeyboardInterrupt):
            import_advance(inside.id, now)
    made.refresh_from_db()
    assert (made.done, InboxBatch.objects.count()) == (2, 1)
    assert counts(run(inside, now)) == (5, 0, 0, 0)
    assert sum(InboxBatch.objects.values_list("events", flat=True)) == 5


def test_refused_rows_are_named_and_the_others_go_in(inside: Tenant, now: datetime) -> None:
    rows = [
        HEADER,
        line(now),
        line(now).replace("1500", "12.5"),
        line(now).replace("openai", ""),
        line(now - OLD),
        line(now) + ",one too many",
        line(now, customer="tab\there"),
        "yesterday,openai,gpt-4.1-nano,1,2,acme",
        f"{'9' * 5000},openai,gpt-4.1-nano,1,2,acme",
        "0001-01-01T00:00:00+23:59,openai,gpt-4.1-nano,1,2,acme",
        line(now).replace("1500", "9" * 5000),
    ]
    done = imported(inside, "\n".join(rows).encode(), now)
    assert counts(done) == (1, 0, 9, 0)
    named = {number: (column, reason) for number, column, reason in done.faults}
    assert named[2] == ("input_tokens", "input_tokens is not a whole number")
    assert named[3] == ("provider", "provider is required")
    assert named[4] == ("time", "time is in the future or more than 35 days ago")
    assert named[5] == ("", "has 7 cells instead of 6")
    assert named[6] == ("customer", "customer holds characters that are not allowed")
    assert {named[7], named[8]} == {("time", "time is not a date and time")}
    assert named[9] == ("time", "time is out of range")
    assert named[10] == ("input_tokens", "input_tokens is out of range")


def test_an_id_that_is_known_with_other_content_is_a_conflict_of_that_row_alone(inside: Tenant, now: datetime) -> None:
    columns = f"id,{HEADER}"
    first = "\n".join([columns, f"a,{line(now)}"]).encode()
    second = "\n".join([columns, f"a,{line(now, 7)}", f"b,{line(now)}", f"b,{line(now)}", f"b,{line(now, 8)}"]).encode()
    assert counts(imported(inside, first, now)) == (1, 0, 0, 0)
    done = imported(inside, second, now)
    assert counts(done) == (1, 1, 2, 2)
    assert done.faults == [[1, "id", "is known with other content"], [4, "id", "is known with other content"]]


def test_old_rows_need_a_word_and_stay_exactly_once_when_claims_are_forgotten(
    inside: Tenant, prices: None, now: datetime
) -> None:
    content = usage_csv(now, 3, age=OLD)
    assert counts(imported(inside, content, now)) == (0, 0, 3, 0)
    assert counts(imported(inside, content, now, allow_old=True)) == (3, 0, 0, 0)
    pipeline.settle_waiting(now)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_claim WHERE organization_id = %s", [inside.id])
    assert counts(imported(inside, content, now, allow_old=True)) == (0, 3, 0, 0)
    assert total(SpendQuery(inside.id, now - OLD - timedelta(days=2), now)).requests == 3
    assert counts(imported(inside, usage_csv(now, 1, age=timedelta(days=401)), now, allow_old=True)) == (0, 0, 1, 0)


def test_a_closed_month_is_left_alone(inside: Tenant, now: datetime) -> None:
    at = now - OLD
    ends_at = (at.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    starts_at = (ends_at - timedelta(days=1)).replace(day=1)
    ClosedMonth.objects.create(
        organization=inside.organization, starts_at=starts_at, ends_at=ends_at, timezone="UTC", closed_at=now,
        events=0, requests=0, unpriced_requests=0, list_cost=0, cost=0,
    )  # fmt: skip
    done = imported(inside, usage_csv(now, 2, age=OLD), now, allow_old=True)
    assert counts(done) == (0, 0, 2, 0)
    assert done.faults[0][1:] == ["time", f"time lies in {at:%B %Y}, which is closed"]


def test_cancelled_in_the_middle_it_keeps_what_it_took(inside: Tenant, now: datetime, small_chunks: None) -> None:
    made = upload(inside, usage_csv(now, 5), now)
    check(inside, made, now)
    run(inside, now)
    import_start(usage_import=made, actor=inside.owner, now=now)
    import_advance(inside.id, now)
    import_cancel(usage_import=made, actor=inside.owner, now=now)
    cancelled = run(inside, now)
    assert (cancelled.state, *counts(cancelled)) == (ImportState.CANCELLED, 2, 0, 0, 0)
    assert not ImportChunk.objects.exists()
    with pytest.raises(ValidationError):
        import_start(usage_import=made, actor=inside.owner, now=now)


def test_only_so_many_faults_are_kept_and_all_are_counted(inside: Tenant, now: datetime) -> None:
    done = imported(inside, usage_csv(now, 150, age=OLD), now)
    assert (done.refused, len(done.faults)) == (150, 100)


def test_a_mapping_without_a_time_is_refused(inside: Tenant, now: datetime) -> None:
    made = upload(inside, usage_csv(now), now)
    with pytest.raises(ValidationError, match="no column for time"):
        check(inside, made, now, fields=["", *made.fields[1:]])
    made.refresh_from_db()
    assert made.state == ImportState.DRAFT


def test_json_lines(inside: Tenant, now: datetime) -> None:
    good = f'{{"time":"{now:%Y-%m-%dT%H:%M:%SZ}","provider":"openai","model":"gpt-4.1-nano",'
    good += '"usage":{"input_tokens":5}}'
    foreign = good.replace('"provider"', '"virtual_key":"1","provider"')
    lone = good.replace("gpt-4.1-nano", "\\ud800")
    content = "\n".join([good, "", "[]", good.replace("5}", '"5"}'), foreign, lone, "{" * 20]).encode()
    done = imported(inside, content, now)
    assert counts(done) == (1, 0, 5, 0)
    assert [fault[1] for fault in done.faults] == ["", "input_tokens", "virtual_key", "", ""]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"\xef\xbb\xbftime,input_tokens\n", "no rows"),
        (b"PK\x03\x04rest", "archive or a spreadsheet"),
        (b"\x1f\x8brest", "archive or a spreadsheet"),
        (b"time,model\n2026\x00,x\n", "NUL"),
        (b"time,model\n\xff,x\n", "UTF-8"),
        (",".join(f"c{n}" for n in range(30_000)).encode()[:131_000] + b"\n1\n", "columns"),
        (b"x" * 200_000, "longer than"),
        (b"time,model\r1,2\r", "not a CSV"),
    ],
)
def test_what_is_no_file_of_rows_is_refused_and_nothing_kept(
    inside: Tenant, now: datetime, content: bytes, words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        upload(inside, content, now)
    assert not UsageImport.objects.exists()
    assert not ImportChunk.objects.exists()


def test_columns_of_spreadsheets_and_exports_are_recognized() -> None:
    table = read_table(io.BytesIO(b"\xef\xbb\xbfTimestamp;Model;Prompt Tokens;completion_tokens;note\n1;2;3;4;5\n"))
    assert recognized(table.columns) == ("time", "model", "input_tokens", "output_tokens", "")
    assert list(table.rows) == [["1", "2", "3", "4", "5"]]
    assert recognized(["prompt_tokens", "input_tokens"]) == ("input_tokens", "")


def test_a_formula_is_text(inside: Tenant, prices: None, now: datetime) -> None:
    imported(inside, "\n".join([HEADER, line(now, customer="=HYPERLINK(1)")]).encode(), now)
    pipeline.settle_waiting(now)
    assert UsageEvent.objects.get(organization_id=inside.id).customer == "=HYPERLINK(1)"


def command(tmp_path: Path, content: bytes, *options: str) -> tuple[str, str]:
    path = tmp_path / "usage.csv"
    path.write_bytes(content)
    out, err = io.StringIO(), io.StringIO()
    call_command("import_usage", str(path), "--organization", "acme", *options, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_maps_checks_and_imports(tenant: Tenant, now: datetime, tmp_path: Path) -> None:
    content = usage_csv(now).replace(b"input_tokens", b"TokensIn").replace(b"customer", b"who")
    options = ("--key", "first key", "--map", "input_tokens=TokensIn")
    out, err = command(tmp_path, content, *options, "--dry-run")
    assert "Check of usage.csv" in out
    assert "who" in err
    with organization_scope(tenant.id):
        assert not InboxBatch.objects.exists()
    assert "accepted               3" in command(tmp_path, content, *options)[0]
    assert "duplicates             3" in command(tmp_path, content, "--key", str(tenant.key.id), *options[2:])[0]
    with organization_scope(tenant.id):
        assert list(InboxBatch.objects.values_list("events", "source")) == [(3, "import")]


def test_the_command_ends_badly_when_rows_are_refused(
    tenant: Tenant, now: datetime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        command(tmp_path, usage_csv(now, age=OLD), "--key", "first key")
    assert (
        "accepted               3" in command(tmp_path, usage_csv(now, age=OLD), "--key", "first key", "--allow-old")[0]
    )


@pytest.mark.parametrize(
    "options", [("--key", "nobody"), ("--key", "first key", "--map", "time=when"), ("--key", "1" * 30)]
)
def test_the_command_says_what_is_missing(tenant: Tenant, now: datetime, tmp_path: Path, options: tuple[str]) -> None:
    with pytest.raises(CommandError):
        command(tmp_path, usage_csv(now), *options)


def test_reading_stops_at_what_is_no_row() -> None:
    table = read_table(io.BytesIO(b"time,model\n1,2\n\xff\n"))
    assert next(table.rows) == ["1", "2"]
    with pytest.raises(RowError, match="UTF-8"):
        next(table.rows)


def test_an_import_waits_while_the_inbox_is_full(
    inside: Tenant, now: datetime, settings: Any, small_chunks: None, tmp_path: Path
) -> None:
    made = upload(inside, usage_csv(now, 5), now)
    check(inside, made, now)
    run(inside, now)
    import_start(usage_import=made, actor=inside.owner, now=now)
    settings.INBOX_MAX_EVENTS = 0
    pressure.inbox.look_again()
    assert not import_advance(inside.id, now)
    with pytest.raises(SystemExit, match="130"):
        command(tmp_path, usage_csv(now), "--key", "first key")
    assert not InboxBatch.objects.exists()
    settings.INBOX_MAX_EVENTS = 100
    assert counts(run(inside, now)) == (5, 0, 0, 0)


@pytest.mark.parametrize(("months", "days"), [(0, 400), (2, 35), (6, 140), (100, 400)])
def test_old_rows_reach_no_further_than_events_are_kept(settings: Any, months: int, days: int) -> None:
    settings.EVENT_RETENTION_MONTHS = months
    assert services.max_age(allow_old=True).days == days
