"""Hot paths speak to Postgres with server-side binding, which Django's own cursors do not use.

Parameters then travel in the protocol, binary where their type has it, instead of being written into the statement.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError, connection

from common.problems import Problem

# SQLSTATE class of a server that has run out of something, such as room on its disk.
_NO_RESOURCES = "53"


@contextmanager
def server_cursor() -> Iterator["psycopg.Cursor[tuple[Any, ...]]"]:
    """A cursor inside Django's current connection and transaction; database errors come out as Django's."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor


def outage(error: BaseException | None) -> Problem | None:
    """A database that is away or full is not our bug but a state: Problem 503, and when to come back. Else None."""
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    state = getattr(error.__cause__, "sqlstate", None) or ""
    if state.startswith(_NO_RESOURCES):
        return Problem(
            "unavailable", "The database has no room for more; nothing was stored.", headers={"Retry-After": "30"}
        )
    return Problem("unavailable", "The database is not reachable.", headers={"Retry-After": "2"})
