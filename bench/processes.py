"""The product's own processes, as benchmarks run them."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def web(log: Path) -> Iterator[str]:
    """gunicorn as `manage.py up` runs it; yields its URL."""
    port = free_port()
    command = ["-m", "gunicorn", "--config", "python:costhub.gunicorn_config"]
    with _running(command, log, COSTHUB_BIND=f"127.0.0.1:{port}", LOG_LEVEL="ERROR"):
        _wait_until_healthy(port)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def worker(log: Path, **environment: str) -> Iterator[None]:
    """The Celery worker as `manage.py up` runs it: two processes that settle."""
    command = ["-m", "celery", "--app", "costhub", "--quiet", "worker", "--concurrency", "2", "--beat"]
    with _running(command, log, **environment):
        yield


@contextmanager
def _running(arguments: list[str], log: Path, **environment: str) -> Iterator[None]:
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=file, stderr=file, env={**os.environ, **environment}
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_healthy(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the web server did not come up within 30 s")
