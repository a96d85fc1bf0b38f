"""Hot paths speak to Postgres with server-side binding, which Django's own cursors do not use.

Parameters then travel in the protocol, binary where their type has it, instead of being written into the statement.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection


@contextmanager
def server_cursor() -> Iterator["psycopg.Cursor[tuple[Any, ...]]"]:
    """A cursor inside Django's current connection and transaction; database errors come out as Django's."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
