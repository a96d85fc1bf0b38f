"""Homes for the tests of the embedded servers: short-lived, and left with nothing running."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from costhub.embedded import Home
from costhub.embedded.postgres import Postgres
from costhub.embedded.redis import Redis

CHECKOUT = Path(__file__).resolve().parents[2]
WRITE = """
import os, psycopg, redis
with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as connection:
    connection.execute("CREATE TABLE kept (n int)")
    connection.execute("INSERT INTO kept VALUES (42)")
redis.Redis.from_url(os.environ["REDIS_URL"]).set("kept", 42)
"""
READ = """
import os, psycopg, redis
with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as connection:
    print(connection.execute("SELECT n FROM kept").fetchone()[0], end=" ")
print(redis.Redis.from_url(os.environ["REDIS_URL"]).get("kept").decode())
"""
OURS = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "COSTHUB_HOME", "BASE_URL")


@contextmanager
def new_home() -> Iterator[Home]:
    """A home that PostgreSQL's account can reach (pytest's own folders are closed to it)."""
    folder = Path(tempfile.mkdtemp(prefix="costhub-test-", dir="/tmp"))
    folder.chmod(0o755)
    home = Home.at(folder / "home")
    yield home
    if home.path.exists():
        Postgres.of(home).end_leftovers()
        Redis(home).end_leftovers()
    for path in (folder, home.runtime, home.shared_postgres.parent):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Home]:
    """A home where nothing was ever started."""
    with new_home() as home:
        yield home


@pytest.fixture(scope="session")
def written_once() -> Iterator[Home]:
    with new_home() as home:
        subprocess.run(command(home, *python(WRITE)), cwd=CHECKOUT, env=environment(), check=True, timeout=60)
        yield home


@pytest.fixture
def written(home: Home, written_once: Home) -> Home:
    """`home` after a first run in which WRITE put 42 into both servers; copied, since making it takes seconds."""
    home.create()
    for folder in (written_once.redis, written_once.postgres):
        subprocess.run(["cp", "-a", folder, home.path], check=True)
    return home


def python(code: str) -> tuple[str, str, str]:
    return (sys.executable, "-c", code)


def environment(**more: str) -> dict[str, str]:
    """Ours without what names the servers and the home of the test run itself."""
    return {name: value for name, value in os.environ.items() if name not in OURS} | more


def command(home: Home | None, *arguments: str) -> list[str]:
    """`python -m costhub.embedded run` of `arguments`."""
    where = [] if home is None else ["--home", str(home.path)]
    return [sys.executable, "-m", "costhub.embedded", "run", "--no-fsync", *where, "--", *arguments]


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(home: Home) -> Run:
    """Run a command beside the servers of `home` to its end."""

    def to_end(*arguments: str, home: Home | None = home) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(home, *arguments),
            cwd=CHECKOUT,
            env=environment(),
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return to_end


@pytest.fixture
def spawn() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start something with its output on a pipe; what still runs afterwards is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(arguments: list[str], **more: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            arguments,
            cwd=CHECKOUT,
            env=environment(**more),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout:
            process.stdout.close()


def servers_of(home: Home) -> list[psutil.Process]:
    """Servers of `home` that run now, each with its helpers."""
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] in {"postgres", "redis-server", "valkey-server"}:
            try:
                folder = Path(process.cwd())
            except psutil.Error:
                continue
            if folder in {home.redis, Postgres.of(home).data}:
                found.append(process)
    return found
