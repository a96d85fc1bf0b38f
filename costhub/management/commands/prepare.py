"""`manage.py prepare`: what has to be done before the product can run; quick when there is nothing to do."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from usage.verify import make_missing_sums


class Command(BaseCommand):
    help = "Bring the database up to date: migrations, list prices and the demo organization."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="make no demo organization")

    def handle(self, *args: Any, no_demo: bool, **options: Any) -> None:
        """What the demo prints (login, key) goes to stdout, progress to stderr."""
        executor = MigrationExecutor(connections["owner"])
        pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        if pending:
            self.stderr.write(f"Applying {pending} migrations …")
            call_command("migrate", database="owner", interactive=False, verbosity=0)
            made = make_missing_sums()
            if made:
                self.stderr.write(f"Added up the stored usage of {made} organizations.")
        call_command("load_prices", stdout=self.stderr, stderr=self.stderr)
        if not no_demo:
            call_command("demo", stdout=self.stdout, stderr=self.stderr)
