from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from pricing.catalog import catalog_is_current, catalog_load
from pricing.price_source import SOURCE, SOURCE_VERSION, read_source


class Command(BaseCommand):
    help = f"Loads the list prices bundled with {SOURCE} into the price catalog. Needs no network; safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check-all", action="store_true", help="compare every price even if this version is loaded"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check_all"] and catalog_is_current():
            self.stdout.write(f"Prices of {SOURCE} {SOURCE_VERSION} are loaded already.")
            return
        report = catalog_load(source=read_source(), now=timezone.now())
        self.stdout.write(
            f"Prices of {SOURCE} {SOURCE_VERSION}: {report.prices_added} added, {report.prices_withdrawn} withdrawn; "
            f"models: {report.models_added} added, {report.models_changed} changed, {report.models_unlisted} unlisted."
        )
