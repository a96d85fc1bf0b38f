"""`manage.py reprice`: past usage at the prices of today; a preview unless --apply is given."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from common.display import usd_exact
from common.problems import Problem
from corrections.models import RepriceRun, RunState
from corrections.runs import advance
from corrections.services import Asked, repricing_start
from tenants.access import organization_scope
from tenants.selectors import organization_of_slug


class Command(BaseCommand):
    help = "Price past usage at the prices of today. Shows what would change; with --apply it is booked as adjustments."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--from", required=True, dest="start", metavar="TIME", help="RFC 3339, included")
        parser.add_argument("--to", required=True, dest="end", metavar="TIME", help="RFC 3339, excluded")
        parser.add_argument("--provider", default="", help="as reported or as listed")
        parser.add_argument("--model", default="", help="as reported or as listed")
        parser.add_argument("--unpriced", action="store_true", help="only usage that has no price yet")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--apply", action="store_true", help="book what the preview finds")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = organization_of_slug(options["organization"])
        if organization is None:
            raise CommandError("There is no organization of this slug.")
        asked = Asked(
            start=_moment("--from", options["start"]),
            end=_moment("--to", options["end"]),
            reason=options["reason"],
            provider=options["provider"],
            model=options["model"],
            unpriced_only=options["unpriced"],
        )
        try:
            with organization_scope(organization.id):
                run = repricing_start(
                    organization=organization, asked=asked, actor=None, now=timezone.now(),
                    apply_at_once=options["apply"],
                )  # fmt: skip
        except (ValidationError, Problem) as error:
            raise CommandError(f"The repricing was not started: {error}") from error
        while advance(organization.id, run.id, timezone.now()):
            pass
        self._report(organization.id, run.id)

    def _report(self, organization_id: int, run_id: int) -> None:
        with organization_scope(organization_id):
            run = RepriceRun.objects.get(id=run_id)
        self.stdout.write(
            f"Repricing {run.id}: {run.get_state_display()}. {run.events_changed} of {run.events} events change,"
            f" {run.events_newly_priced} of them had no price; cost {usd_exact(run.cost)},"
            f" list cost {usd_exact(run.list_cost)}; {len(run.flips)} budgets flip; {run.events_booked} booked."
        )
        if run.state == RunState.FAILED:
            raise CommandError(run.error)


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{option} must be a time such as 2026-11-01T00:00:00Z") from error
    if moment.tzinfo is None:
        raise CommandError(f"{option} must have an offset: 2026-11-01T00:00:00Z")
    return moment
