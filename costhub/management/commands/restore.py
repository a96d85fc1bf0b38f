"""`manage.py restore FILE`: fills an empty database with what `manage.py backup` wrote."""

from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from costhub.backup import BackupError, connection_parameters, restore, server
from costhub.embedded import EmbeddedError


class Command(BaseCommand):
    help = "Fill an empty database from FILE, all or nothing, and bring it up to date."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            with server(self.stderr.write, alone=True):
                restore(file, connection_parameters())
                call_command("migrate", database="owner", interactive=False, verbosity=0)
        except (BackupError, EmbeddedError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Restored. `manage.py verify_rollups` proves the figures.")
