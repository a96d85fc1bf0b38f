"""`manage.py backup FILE`: the whole database of one moment in one file, while everything runs."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from costhub.backup import BackupError, backup, connection_parameters, server
from costhub.embedded import EmbeddedError


class Command(BaseCommand):
    help = "Write the whole database to FILE. The secrets are not in it: keep them too (docs/backup.md)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            with server(self.stderr.write, alone=False):
                backup(file, connection_parameters())
        except (BackupError, EmbeddedError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: {file.stat().st_size:,} bytes. Keep the secrets as well, apart from it.")
