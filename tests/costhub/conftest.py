"""Homes for the tests of the embedded servers: short-lived, and left with nothing running."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from costhub.embedded import Home
from costhub.embedded.postgres import Postgres
from costhub.embedded.redis import Redis

CHECKOUT = Path(__file__).resolve().parents[2]
OURS = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "COSTHUB_HOME", "BASE_URL")


@pytest.fixture
def home() -> Iterator[Home]:
    """A new home that PostgreSQL's account can reach (pytest's own folders are closed to it)."""
    folder = Path(tempfile.mkdtemp(prefix="costhub-test-", dir="/tmp"))
    folder.chmod(0o755)
    home = Home.at(folder / "home")
    yield home
    if home.path.exists():
        Postgres.of(home).end_leftovers()
        Redis(home).end_leftovers()
    for path in (folder, home.runtime, home.shared_postgres.parent):
        shutil.rmtree(path, ignore_errors=True)


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
