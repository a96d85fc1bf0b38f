"""`manage.py issue_key`: a virtual key for scripts, its secret alone on the last line."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tenants.access import organization_scope
from tenants.models import Team, VirtualKey
from tenants.selectors import organization_of_slug
from tenants.services import virtual_key_issue


class Command(BaseCommand):
    help = "Issue a virtual key to a team. The secret is printed once, alone on the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--team", required=True, metavar="SLUG")
        parser.add_argument("--name", required=True)
        parser.add_argument("--json", action="store_true", help="print all of it as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = organization_of_slug(options["organization"])
        if organization is None:
            raise CommandError("There is no organization of this slug.")
        with organization_scope(organization.id):
            team = Team.objects.filter(organization=organization, slug=options["team"]).first()
            if team is None:
                raise CommandError(f"{organization.slug} has no team of this slug.")
            try:
                key, secret = virtual_key_issue(team=team, name=options["name"], actor=None, now=timezone.now())
            except ValidationError as error:
                raise CommandError(f"The key was not issued: {' '.join(error.messages)}") from error
        slugs = organization.slug, team.slug
        self.stdout.write(_as_json(key, *slugs, secret) if options["json"] else _as_text(key, *slugs, secret))


def _as_json(key: VirtualKey, organization: str, team: str, secret: str) -> str:
    return json.dumps(
        {
            "id": str(key.id),
            "name": key.name,
            "organization": organization,
            "team": team,
            "hint": key.hint,
            "secret": secret,
        }
    )


def _as_text(key: VirtualKey, organization: str, team: str, secret: str) -> str:
    return f"Key {key.name} of {team} in {organization}, shown once:\n{secret}"
