"""The task of imports: what is to be done stands in Postgres, a message only says that there is something."""

import logging

from celery import shared_task
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from ingest.imports.services import import_advance

log = logging.getLogger(__name__)


@shared_task(name="ingest.run_imports", ignore_result=True)
def run_imports() -> None:
    """A chunk of every organization's import in turn, until none is left that this worker may take."""
    while organizations := _waiting():
        advanced = [import_advance(organization_id, timezone.now()) for organization_id in organizations]
        if not any(advanced):
            return


def _waiting() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM ingest_importing_organizations()")
        return [organization_id for (organization_id,) in cursor.fetchall()]


def after_commit() -> None:
    """Wakes a worker once the current transaction has committed; beat finds what no hint was sent for."""
    transaction.on_commit(_wake)


def _wake() -> None:
    try:
        run_imports.delay()
    except OperationalError as error:
        log.warning("no worker could be woken (%s); the next sweep will find the import", error)
