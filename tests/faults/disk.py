"""A disk that is full under the inbox: Postgres answers as it does then, until it is freed.

The error is Postgres' own for it (SQLSTATE 53100), raised where the inbox would grow. A file system of its own that
really is full would need rights that a container does not give.
"""

import psycopg

from costhub.embedded import Home, urls

FULL = (
    "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$",
    "CREATE OR REPLACE TRIGGER no_room BEFORE INSERT ON ingest_inbox FOR EACH ROW EXECUTE FUNCTION no_room()",
)
FREE = ("DROP TRIGGER IF EXISTS no_room ON ingest_inbox", "DROP FUNCTION IF EXISTS no_room()")


def fill(home: Home) -> None:
    _run(home, FULL)


def free(home: Home) -> None:
    _run(home, FREE)


def _run(home: Home, statements: tuple[str, str]) -> None:
    with psycopg.connect(urls(home.path).database_owner_url, connect_timeout=5) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]
