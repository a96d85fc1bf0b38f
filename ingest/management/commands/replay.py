"""`manage.py replay`: recorded usage through the REST API, with proof that it arrived as what it was."""

import os
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from ingest.replay.client import ReplayError, Target
from ingest.replay.columns import Defaults, RowError
from ingest.replay.report import Progress, report
from ingest.replay.run import Outcome, Plan, agrees, replay, wait_until_settled
from ingest.replay.shift import auto_shift, parse_shift
from ingest.replay.source import Source, open_source
from ingest.replay.totals import Account
from pricing.book import PriceBook
from pricing.models import PriceCatalog
from pricing.resolve import price_book

KEY_VARIABLE = "COSTHUB_KEY"
INTERRUPTED = 130
MAX_WORKERS = 32


class Command(BaseCommand):
    help = (
        "Send a file of recorded usage through the REST API: a CSV with a header (columns as in the API, or those of"
        " public traces such as TIMESTAMP,ContextTokens,GeneratedTokens) or JSON Lines of events. The ids follow from"
        " the file, so that a second replay is all duplicates."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--url", default=settings.BASE_URL, help="where CostHub runs (%(default)s)")
        parser.add_argument("--key", help=f"a virtual key; better given as {KEY_VARIABLE} in the environment")
        parser.add_argument("--provider", help="for files that name none")
        parser.add_argument("--model", help="for files that name none")
        parser.add_argument(
            "--speed", type=_speed, metavar="N|max", help="times the recorded pace; max (default): all at once"
        )
        parser.add_argument("--batch", type=_count(settings.EVENT_BATCH_LIMIT), default=100, help="events per request")
        parser.add_argument("--workers", type=_count(MAX_WORKERS), default=4, help="connections at the same time")
        parser.add_argument("--gzip", action="store_true", help="compress the requests")
        parser.add_argument(
            "--shift-days",
            type=_shift,
            metavar="auto|none|N",
            help="move all times by whole days; auto (default): into the last 24 hours, where the server would refuse"
            " them otherwise",
        )

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            source = open_source(file, Defaults(options["provider"], options["model"]))
            plan = _plan(source, options)
        except (ReplayError, RowError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        if source.header and source.header.unused:
            self.stderr.write(f"Columns that are not sent: {', '.join(source.header.unused)}")
        book, catalog = _catalog()
        outcome = self._run(source, plan, Account(book))
        for line in report(source, plan, outcome, catalog):
            self.stdout.write(line)
        if outcome.stopped:
            sys.exit(INTERRUPTED)
        if outcome.trouble or outcome.tally.refused or not agrees(outcome):
            sys.exit(1)

    def _run(self, source: Source, plan: Plan, account: Account) -> Outcome:
        progress = Progress(sys.stderr, source.rows)
        outcome = replay(source, plan, account, progress)
        progress.clear()
        if not (outcome.stopped or outcome.trouble):
            try:
                wait_until_settled(plan, outcome)
            except ReplayError as error:
                outcome.trouble = str(error)
            except KeyboardInterrupt:
                outcome.stopped = True
        return outcome


def _plan(source: Source, options: dict[str, Any]) -> Plan:
    key = options["key"] or os.environ.get(KEY_VARIABLE, "")
    if not key:
        raise ReplayError(f"Give a virtual key with --key or in {KEY_VARIABLE}.")
    shift: int | None = options["shift_days"]
    if shift is None and source.first and source.last:
        window = timedelta(days=settings.EVENT_MAX_AGE_DAYS), timedelta(seconds=settings.EVENT_MAX_AHEAD_SECONDS)
        shift = auto_shift(source.first, source.last, timezone.now(), window)
    return Plan(
        target=Target(options["url"].rstrip("/"), key),
        shift_days=shift or 0,
        batch=options["batch"],
        workers=options["workers"],
        speed=options["speed"],
        compress=options["gzip"],
    )


def _shift(text: str) -> int | None:
    try:
        return parse_shift(text)
    except ValueError as error:
        raise ArgumentTypeError("must be auto, none or a whole number of days") from error


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ArgumentTypeError("must be max or a number above 0")
    return speed


def _count(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise ArgumentTypeError(f"must be a whole number from 1 to {most}")
        return int(text)

    return parse


def _catalog() -> tuple[PriceBook | None, str]:
    """The prices of this installation, where its database can be reached and has any."""
    # A client far from any database is nothing to warn of: the report says that there were no prices.
    try:
        loaded = PriceCatalog.objects.filter(pk=1).first()
        book = price_book() if loaded else None
    except DatabaseError:
        return None, ""
    return (book, f"{loaded.source} {loaded.source_version}") if loaded and book else (None, "")
