"""Hot paths speak to Postgres with server-side binding, which Django's own cursors do not use.

Parameters then travel in the protocol, binary where their type has it, instead of being written into the statement.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Lookup
from django.db.models.sql.compiler import SQLCompiler

from common.problems import Problem

# SQLSTATE class of a server that has run out of something, such as room on its disk.
_NO_RESOURCES = "53"


@contextmanager
def server_cursor() -> Iterator["psycopg.Cursor[tuple[Any, ...]]"]:
    """A cursor inside Django's current connection and transaction; database errors come out as Django's."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor


class AnyOf(Lookup):
    """Whether a column of text is one of these: a condition that takes thousands of them as one parameter, and an index
    on the column where `IN` of a query would take none."""

    prepare_rhs = False
    output_field = BooleanField()

    def __init__(self, column: F, texts: Collection[str]) -> None:
        super().__init__(column, sorted(texts))

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s::text[])", (*parameters, self.rhs)


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
