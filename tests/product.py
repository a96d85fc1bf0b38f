"""The whole product as a user starts it: `manage.py up` in a home of its own, on a port of its own."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from costhub.embedded import Home
from costhub.embedded.postgres import Postgres
from costhub.embedded.redis import Redis

CHECKOUT = Path(__file__).resolve().parents[1]
# What would tie it to the servers of the test run itself.
TIED = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "COSTHUB_HOME",
    "BASE_URL",
    "EMAIL_URL",
    "ALLOW_UNSAFE_DATABASE",
)
READY_S = 90.0
STOP_S = 30.0


@dataclass
class Product:
    """A running product; `run` executes a command of the checkout against the same home."""

    home: Home
    port: int
    process: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str) -> str:
        """Standard output of `python ARGUMENTS`; AssertionError with its stderr when it fails."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=CHECKOUT, env=self.environment, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def run_json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments).splitlines()[-1])

    def programs(self) -> list[psutil.Process]:
        """What the supervisor runs: web, worker, beat, Postgres, Redis."""
        return psutil.Process(self.process.pid).children()


@contextmanager
def running_product(**environment: str) -> Iterator[Product]:
    """Starts it without demo data, waits until it answers, and leaves nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="costhub-test-", dir="/tmp"))
    folder.chmod(0o755)
    home, port = Home.at(folder / "home"), free_port()
    kept = {name: value for name, value in os.environ.items() if name not in TIED}
    own = kept | {"COSTHUB_HOME": str(home.path), "BASE_URL": f"http://127.0.0.1:{port}"} | environment
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port), "--no-demo"],
            cwd=CHECKOUT, env=own, stdout=output, stderr=output, process_group=0,
        )  # fmt: skip
    product = Product(home, port, process, own, log)
    try:
        _wait_until_healthy(product)
        yield product
    finally:
        _end(product)
        for path in (folder, home.runtime, home.shared_postgres.parent):
            shutil.rmtree(path, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(product: Product) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        assert product.process.poll() is None, product.log.read_text()[-3000:]
        try:
            connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=2)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(product.log.read_text()[-3000:])


def _end(product: Product) -> None:
    if product.process.poll() is None:
        product.process.send_signal(signal.SIGTERM)
        try:
            product.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(product.process.pid, signal.SIGKILL)
            product.process.wait()
    Postgres.of(product.home).end_leftovers()
    Redis(product.home).end_leftovers()
