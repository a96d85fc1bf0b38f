"""`manage.py demo`: the demo organization, made once and kept up to date."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from costhub.demo.company import HISTORY_DAYS
from costhub.demo.credentials import demo_password, playground_key
from costhub.demo.services import Demo, DemoError, demo_fill, demo_find, demo_make


class Command(BaseCommand):
    help = (
        f"Make the demo organization with {HISTORY_DAYS} days of usage; if it is there, add its usage up to now."
        " Prints how to log in and a virtual key."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Login and key go to stdout, progress to stderr."""
        try:
            demo = self._demo()
        except DemoError as error:
            raise CommandError(str(error)) from error
        password = demo_password()
        if not demo.owner.check_password(password):
            password = "the one that was set since"  # noqa: S105 - says where the password is, and is none
        self.stdout.write(f"Demo login: {demo.owner.email}  password: {password}")
        self.stdout.write(f"Demo virtual key: {playground_key(demo, timezone.now())}")

    def _demo(self) -> Demo:
        found, started = demo_find(), time.monotonic()
        if found is None:
            self.stderr.write(f"Making the demo organization with {HISTORY_DAYS} days of usage (half a minute, once) …")
            demo = demo_make(password=demo_password(), now=timezone.now())
            self.stderr.write(f"The demo organization took {time.monotonic() - started:.0f} s.")
            return demo
        return demo_fill(demo=found, now=timezone.now())
