"""`manage.py issue_token`: an access token for scripts, its secret alone on the last line."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tenants.access import organization_scope
from tenants.models import AccessToken
from tenants.roles import SCOPES
from tenants.selectors import organization_of_slug
from tenants.services import access_token_issue


class Command(BaseCommand):
    help = "Issue an access token to an organization. The secret is printed once, alone on the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--scopes", required=True, metavar="A,B", help=", ".join(sorted(SCOPES)))
        parser.add_argument("--name", default="issued by command")
        parser.add_argument("--json", action="store_true", help="print all of it as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = frozenset(scope.strip() for scope in options["scopes"].split(",") if scope.strip())
        if not scopes or scopes - SCOPES:
            unknown = f"Not a scope: {', '.join(sorted(scopes - SCOPES))}." if scopes else "No scope is given."
            raise CommandError(f"{unknown} Choose from {', '.join(sorted(SCOPES))}.")
        organization = organization_of_slug(options["organization"])
        if organization is None:
            raise CommandError("There is no organization of this slug.")
        with organization_scope(organization.id):
            try:
                token, secret = access_token_issue(
                    organization=organization, name=options["name"], scopes=scopes, actor=None, now=timezone.now()
                )
            except ValidationError as error:
                raise CommandError(f"The token was not issued: {' '.join(error.messages)}") from error
        slug = organization.slug
        self.stdout.write(_as_json(token, slug, secret) if options["json"] else _as_text(token, slug, secret))


def _as_json(token: AccessToken, slug: str, secret: str) -> str:
    return json.dumps(
        {
            "id": str(token.id),
            "name": token.name,
            "organization": slug,
            "scopes": token.scopes,
            "hint": token.hint,
            "secret": secret,
        }
    )


def _as_text(token: AccessToken, slug: str, secret: str) -> str:
    return f"Access token {token.name} of {slug}, shown once:\n{secret}"
