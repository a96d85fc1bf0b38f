"""`manage.py verify_rollups`: rollups and ledgers equal to the sums of the events, to the last nano-dollar."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from budgets import verify as ledger
from tenants.access import organization_scope
from tenants.models import Organization
from tenants.selectors import organization_ids
from usage import verify as rollups

SHOWN = 20


class Command(BaseCommand):
    help = "Compare every organization's rollups and budget ledgers with its events; exit code 1 when they differ."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="make what differs anew from the events")

    def handle(self, *args: Any, repair: bool, **options: Any) -> None:
        wrong = [organization_id for organization_id in organization_ids() if not self._verify(organization_id, repair)]
        if wrong and not repair:
            sys.exit(1)

    def _verify(self, organization_id: int, repair: bool) -> bool:
        """Whether all was equal. One transaction per organization; nothing is settled for it meanwhile."""
        with organization_scope(organization_id):
            slug = Organization.objects.get(id=organization_id).slug
            sums, entries = rollups.differences(organization_id), ledger.differences(organization_id)
            found = [*sums, *map(str, entries)]
            if not found:
                self.stdout.write(f"{slug}: rollups and ledgers equal the events.")
                return True
            self.stdout.write(f"{slug}: differs from the events.")
            for line in found[:SHOWN]:
                self.stdout.write(f"  {line}")
            if len(found) > SHOWN:
                self.stdout.write(f"  … and {len(found) - SHOWN} more")
            if repair:
                if sums:
                    rollups.rebuild(organization_id)
                ledger.rebuild(entries, timezone.now())
                self.stdout.write(f"{slug}: made anew from the events.")
            return False
