"""`manage.py up` as a person uses it: the whole product up, hurt, stopped, and refused where it must be."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from queue import Empty, Queue
from threading import Thread

import psutil
import pytest

from costhub.embedded import Home
from costhub.healthcheck import is_healthy
from costhub.processes import wait_until
from tests.costhub.conftest import CHECKOUT, environment, servers_of

Spawn = Callable[..., "subprocess.Popen[str]"]
READY_SECONDS = 60


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


class Up:
    """A running `manage.py up` whose output is read all the time."""

    def __init__(self, process: "subprocess.Popen[str]", home: Home, port: int) -> None:
        self.process, self.home, self.port = process, home, port
        self.lines: list[str] = []
        self._new: Queue[str] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._new.put(line.rstrip())

    def wait_for(self, words: str, seconds: float = READY_SECONDS) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                line = self._new.get(timeout=0.1)
            except Empty:
                assert self.process.poll() is None, "\n".join(self.lines)
                continue
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"{words!r} did not come:\n" + "\n".join(self.lines))

    def answers(self) -> bool:
        return is_healthy(self.port, f"http://127.0.0.1:{self.port}")

    def child(self, words: str) -> psutil.Process:
        [found] = [p for p in psutil.Process(self.process.pid).children() if words in " ".join(p.cmdline())]
        return found


@pytest.fixture
def up(home: Home, port: int, spawn: Spawn) -> Callable[[], Up]:
    def begin() -> Up:
        arguments = [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port)]
        return Up(spawn(arguments, COSTHUB_HOME=str(home.path)), home, port)

    return begin


def refused(home: Home, port: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "up", "--port", str(port)],
        cwd=CHECKOUT,
        env=environment(COSTHUB_HOME=str(home.path)),
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )


def test_a_port_in_use_is_told_before_anything_starts(home: Home, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        ran = refused(home, port)
    assert ran.returncode == 2
    [sentence] = ran.stderr.splitlines()
    assert f"Port {port} cannot be used (Address already in use)" in sentence
    assert ran.stdout == ""
    assert not home.postgres.exists()


def test_the_product_comes_up_heals_and_stops(home: Home, port: int, up: Callable[[], Up]) -> None:
    running = up()
    running.wait_for(f"CostHub is running at http://127.0.0.1:{port}")
    running.wait_for(f"Mails are written to {home.mail}")
    assert running.answers()

    second = refused(home, port)
    assert second.returncode == 2
    assert f"already running on {home.path} (process {running.process.pid})" in second.stderr
    assert len(second.stderr.splitlines()) == 1

    running.child("postgres").send_signal(signal.SIGKILL)
    running.wait_for("postgres ended (SIGKILL); starting it again")
    assert wait_until(lambda: len(servers_of(home)) > 3, 15)
    running.child("gunicorn").send_signal(signal.SIGKILL)
    running.wait_for("web ended (SIGKILL); starting it again")
    assert wait_until(running.answers, 30)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz?api_key=chk_live_secret"):
        pass

    family = psutil.Process(running.process.pid).children(recursive=True)
    began = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=15) == 0
    assert time.monotonic() - began < 12
    assert wait_until(lambda: not any(process.is_running() for process in family), 3)
    assert not running.answers()
    assert "chk_live_secret" not in "\n".join(running.lines)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_killed_run_is_followed_by_a_quick_one(home: Home, port: int, up: Callable[[], Up]) -> None:
    first = up()
    first.wait_for("CostHub is running")
    family = psutil.Process(first.process.pid).children(recursive=True)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    secrets = json.loads((home.path / "secrets.json").read_text())

    again = up()
    again.wait_for("CostHub is running")
    assert not any(process.is_running() for process in family)
    assert json.loads((home.path / "secrets.json").read_text()) == secrets
    os.kill(again.process.pid, signal.SIGTERM)
    assert again.process.wait(timeout=15) == 0
