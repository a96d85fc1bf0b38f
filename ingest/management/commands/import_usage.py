"""`manage.py import_usage`: a file of usage straight into the inbox, row by row accounted for."""

import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from common.ids import parse_id
from common.problems import Problem
from ingest.files.columns import Defaults, RowError
from ingest.imports.direct import Plan, Report, import_file, row_count
from ingest.imports.services import max_age
from ingest.replay.report import Progress
from tenants.access import organization_scope
from tenants.models import VirtualKey
from tenants.selectors import organization_of_slug

INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Import a file of usage: a CSV with a header or JSON Lines of events. Rows without an id get one that follows"
        " from the file, so that importing it again is all duplicates. Refused rows are left out and listed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--key", required=True, metavar="ID|NAME", help="the virtual key the usage is booked on")
        parser.add_argument(
            "--map", action="append", default=[], type=_pair, metavar="OURS=THEIRS",
            help="what a column means, such as input_tokens=TokensIn; may be repeated",
        )  # fmt: skip
        parser.add_argument("--provider", help="for files that name none")
        parser.add_argument("--model", help="for files that name none")
        parser.add_argument("--dry-run", action="store_true", help="store nothing, say what would happen")
        parser.add_argument(
            "--allow-old", action="store_true",
            help=f"take rows of the last {max_age(allow_old=True).days} days, not only of the last"
            f" {max_age(allow_old=False).days}",
        )  # fmt: skip

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        plan = Plan(
            path=file,
            virtual_key=_key(options["organization"], options["key"]),
            mapping={theirs: ours for ours, theirs in options["map"]},
            defaults=Defaults(options["provider"], options["model"]),
            max_age=max_age(allow_old=options["allow_old"]),
            dry_run=options["dry_run"],
        )
        try:
            report, stopped = self._run(plan)
        except RowError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        self._tell(plan, report)
        if stopped:
            self.stderr.write("Stopped. What is listed was taken in; importing the file again goes on from there.")
            sys.exit(INTERRUPTED)
        if report.refused:
            sys.exit(1)

    def _run(self, plan: Plan) -> tuple[Report, bool]:
        progress = Progress(sys.stderr, row_count(plan.path))
        report = Report()
        try:
            for report in import_file(plan, clock=timezone.now):
                progress(report)
        except KeyboardInterrupt:
            return report, True
        except Problem as problem:
            self.stderr.write(problem.detail)
            return report, True
        finally:
            progress.clear()
        return report, False

    def _tell(self, plan: Plan, report: Report) -> None:
        if report.unused:
            self.stderr.write(f"Columns that are left out: {', '.join(report.unused)}")
        verb = "Check" if plan.dry_run else "Import"
        self.stdout.write(f"{verb} of {plan.path.name} on key {plan.virtual_key.name}")
        counts = ("done", "rows"), ("accepted", "accepted"), ("duplicates", "duplicates"), ("refused", "refused")
        for name, spoken in (*counts, ("conflicts", "  conflicts")):
            self.stdout.write(f"  {spoken:<12}{getattr(report, name):>12,}")
        for fault in report.faults:
            self.stdout.write(f"  row {fault.number:,}, {fault.column or 'whole row'}: {fault.reason}")
        if report.refused > len(report.faults):
            self.stdout.write(f"  and {report.refused - len(report.faults):,} more")


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise ArgumentTypeError("must look like input_tokens=TokensIn")
    return ours.strip(), theirs


def _key(slug: str, wanted: str) -> VirtualKey:
    organization = organization_of_slug(slug)
    if organization is None:
        raise CommandError(f"There is no organization called {slug}.")
    with organization_scope(organization.id):
        keys = VirtualKey.objects.filter(organization_id=organization.id)
        key_id = parse_id(wanted)
        found: list[VirtualKey] = list(keys.filter(name=wanted)[:2]) or (list(keys.filter(id=key_id)) if key_id else [])
    if len(found) != 1:
        raise CommandError(f"{slug} has {'several keys' if found else 'no key'} called {wanted}; give the key's id.")
    return found[0]
