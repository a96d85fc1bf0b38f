"""The whole database into one file and back: tables, rights, row security, functions. Uses PostgreSQL's own programs.

Row-level security binds every role of CostHub, so a backup is made by a role that it does not bind: the embedded
server's superuser, or whom DATABASE_BACKUP_URL names.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from common.tenant_tables import DOOR_ROLE
from costhub import embedded, env
from costhub.embedded import Home
from costhub.embedded.postgres import Postgres
from costhub.embedded.servers import Say, prepare, running


class BackupError(Exception):
    """Why there is no backup, or nothing was restored, in one sentence for a person."""


@contextmanager
def server(say: Say, *, alone: bool) -> Iterator[None]:
    """The embedded server up; it is started where it is not. `alone`: EmbeddedError when CostHub is running on it."""
    home = Home.at(settings.COSTHUB_HOME)
    if not settings.EMBEDDED or (not alone and Postgres.of(home).is_ready()):
        yield
        return
    with home.lock(), running(prepare(home, say=say, redis=False)):
        yield


def connection_parameters() -> dict[str, str]:
    """Django's names of what the role that backs up connects with. BackupError when nobody was named."""
    if settings.EMBEDDED:
        url = embedded.urls(settings.COSTHUB_HOME).database_owner_url.replace("costhub_owner@", "postgres@")
    else:
        url = env.text("DATABASE_BACKUP_URL", "")
    if not url:
        raise BackupError("DATABASE_BACKUP_URL must name a superuser, since row-level security binds every other role.")
    try:
        return env.postgres("DATABASE_BACKUP_URL", url)
    except ImproperlyConfigured as error:
        raise BackupError(str(error)) from error


def backup(file: Path, parameters: Mapping[str, str]) -> None:
    """Writes `file`, complete or not at all, readable by its owner only: one consistent moment of the database."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _run(parameters, "pg_dump", "--format=custom", f"--file={part}")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def restore(file: Path, parameters: Mapping[str, str]) -> None:
    """Fills an empty database from `file`, all or nothing. BackupError when the database holds anything."""
    if not file.is_file():
        raise BackupError(f"{file} is not there.")
    with _connected(parameters) as connection:
        _refuse_unless_empty(connection)
        # Roles belong to the server and are in no dump of a database; the others were made with the server.
        connection.execute(
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{DOOR_ROLE}') THEN"
            f" CREATE ROLE {DOOR_ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE; END IF;"
            f" EXECUTE format('GRANT {DOOR_ROLE} TO %I', (SELECT pg_get_userbyid(datdba) FROM pg_database"
            " WHERE datname = current_database())); END $$"
        )
    _run(
        parameters, "pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={parameters['NAME']}", str(file)
    )
    with _connected(parameters) as connection:
        connection.execute("ANALYZE")


def _refuse_unless_empty(connection: psycopg.Connection) -> None:
    found = connection.execute(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"
    ).fetchone()
    if found is None or found[0]:
        raise BackupError("The database is not empty; restore into a new one, or an empty COSTHUB_HOME.")


def _connected(parameters: Mapping[str, str]) -> psycopg.Connection:
    try:
        return psycopg.connect(
            host=parameters["HOST"], port=parameters["PORT"] or None, user=parameters["USER"] or None,
            password=parameters["PASSWORD"] or None, dbname=parameters["NAME"], autocommit=True, connect_timeout=5,
        )  # fmt: skip
    except psycopg.OperationalError as error:
        raise BackupError(f"The database is not reachable: {error}") from error


def _run(parameters: Mapping[str, str], program: str, *arguments: str) -> None:
    """Runs one of PostgreSQL's programs; the password goes through the environment, where `ps` does not show it."""
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    connection = {name: parameters[key] for name, key in names.items() if parameters.get(key)}
    if "sslmode" in parameters:
        connection["PGSSLMODE"] = parameters["sslmode"]
    ran = subprocess.run(
        [_program(program), *arguments],
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **connection},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        words = ran.stderr.strip().splitlines() or ["no output"]
        raise BackupError(f"{program} failed: {words[-1]}")


def _program(name: str) -> str:
    """The one that came with the embedded server, whose version fits; for a server of your own the one on PATH."""
    found = str(Postgres.of(Home.at(settings.COSTHUB_HOME)).bin / name) if settings.EMBEDDED else shutil.which(name)
    if not found:
        raise BackupError(f"{name} was not found; install PostgreSQL's client programs, of the server's version.")
    return found
