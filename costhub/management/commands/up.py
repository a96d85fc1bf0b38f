"""`manage.py up`: the whole product in the foreground, under one supervisor."""

import os
import signal
import socket
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from costhub.embedded import EmbeddedError, Home
from costhub.embedded.servers import READY_SECONDS, prepare
from costhub.healthcheck import HOST, is_healthy
from costhub.processes import Program, die_with_parent
from costhub.run_record import end_recorded
from costhub.supervisor import GivenUpError, StopRequested, Supervisor

WEB_READY_SECONDS = 60.0
# How long leftovers of a killed run may take to stop by themselves.
LEFTOVER_SECONDS = 6.0
# Those who use the servers first, all at once; then the servers.
STOP_ORDER = (("web", "beat", "worker"), ("redis",), ("postgres",))
COLOURS = {"web": 36, "worker": 35, "beat": 34, "prepare": 33, "postgres": 32, "redis": 32, "costhub": 1}
CELERY = ("-m", "celery", "--app", "costhub", "--quiet")
REFUSED = 2


class Command(BaseCommand):
    help = "Run the whole product in the foreground; Ctrl-C stops all of it."
    requires_system_checks: list[str] = []
    _muted = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=_port, default=8000, help="where the pages and the API listen (8000)")
        parser.add_argument("--no-demo", action="store_true", help="make no demo organization")
        parser.add_argument(
            "--stop-with-parent", action="store_true", help="stop when the process that started it ends"
        )

    def handle(self, *args: Any, port: int, no_demo: bool, stop_with_parent: bool, **options: Any) -> None:
        if stop_with_parent:
            die_with_parent(signal.SIGTERM)
        home = Home.at(settings.COSTHUB_HOME)
        supervisor = Supervisor(record=home.children, write=self.show)
        try:
            with supervisor.listening(), home.lock():
                if end_recorded(home.children, LEFTOVER_SECONDS):
                    self.say("Parts of a killed earlier run were still there; they were stopped first.")
                _refuse_if_taken(port)
                sys.exit(self._supervise(supervisor, home, port, demo=not no_demo))
        except EmbeddedError as error:
            self._complain(str(error))
            sys.exit(REFUSED)
        except OSError as error:
            self._complain(f"CostHub cannot start: {error}")
            sys.exit(1)

    def _supervise(self, supervisor: Supervisor, home: Home, port: int, *, demo: bool) -> int:
        try:
            self._start_all(supervisor, home, port, demo=demo)
            supervisor.watch()
        except StopRequested:
            self.say("Stopping …")
        except GivenUpError as error:
            self._complain(str(error))
            return 1
        finally:
            supervisor.stop(STOP_ORDER)
        return 0

    def _start_all(self, supervisor: Supervisor, home: Home, port: int, *, demo: bool) -> None:
        self._start_servers(supervisor, home)
        environment = _environment(home, port)
        told = supervisor.run_to_end(
            _python("prepare", environment, "manage.py", "prepare", *([] if demo else ["--no-demo"]))
        )
        base_url = environment["BASE_URL"]
        supervisor.keep_running(_web(environment))
        # The others start once pages are there: all at once would be slower for the one who waits.
        supervisor.wait_until(
            lambda: is_healthy(port, base_url), WEB_READY_SECONDS, f"The web server did not answer on port {port}."
        )
        supervisor.keep_running(_worker(environment))
        supervisor.keep_running(_beat(environment))
        self._announce(base_url, told)

    def _start_servers(self, supervisor: Supervisor, home: Home) -> None:
        """The embedded ones, as far as the environment names no others."""
        programs = prepare(
            home, say=self.say, postgres=settings.EMBEDDED, redis=not os.environ.get("REDIS_URL", "").strip()
        )
        for program in programs:
            supervisor.keep_running(program)
        for program in programs:
            supervisor.wait_until(
                program.is_ready, READY_SECONDS, f"{program.name} did not answer in time; see {program.log}."
            )

    def _announce(self, base_url: str, told: str) -> None:
        mail_host = urlsplit(settings.EMAIL_URL).hostname
        mails = f"Mails go out through {mail_host}." if mail_host else f"Mails are written to {settings.MAIL_FOLDER}."
        for line in ("", f"CostHub is running at {base_url}", mails, *told.splitlines(), "Ctrl-C stops it.", ""):
            self.say(line)

    def say(self, line: str) -> None:
        self.show("costhub", line)

    def show(self, name: str, line: str) -> None:
        """Write one line; when nobody can read it any more, everything is asked to stop."""
        if self._muted:
            return
        label = f"{name:8} |"
        if self.stdout.isatty():
            label = f"\x1b[{COLOURS.get(name, 0)}m{label}\x1b[0m"
        try:
            self.stdout.write(f"{label} {line}".rstrip())
            self.stdout.flush()
        except OSError:
            self._muted = True
            signal.raise_signal(signal.SIGTERM)

    def _complain(self, sentence: str) -> None:
        self.stderr.write(sentence)


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65_535):
        raise ArgumentTypeError("must be a whole number from 1 to 65535")
    return int(value)


def _refuse_if_taken(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise EmbeddedError(
                f"Port {port} cannot be used ({error.strerror}); stop what uses it,"
                " or choose another, such as: make run PORT=9000."
            ) from error


def _environment(home: Home, port: int) -> dict[str, str]:
    return {
        "BASE_URL": f"http://{HOST}:{port}",
        **os.environ,
        "COSTHUB_HOME": str(home.path),
        "COSTHUB_BIND": f"{HOST}:{port}",
        "PYTHONUNBUFFERED": "1",
    }


def _web(environment: dict[str, str]) -> Program:
    return _python("web", environment, "-m", "gunicorn", "--config", "python:costhub.gunicorn_config")


def _worker(environment: dict[str, str]) -> Program:
    # Root is who runs it in many a container; Celery's eight lines about that would hide what matters.
    quiet = {**environment, "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}
    concurrency = environment.get("WORKER_CONCURRENCY", "2")
    options = ("--loglevel", "WARNING", "--concurrency", concurrency, "--without-gossip", "--without-mingle")
    return _python("worker", quiet, *CELERY, "worker", *options)


def _beat(environment: dict[str, str]) -> Program:
    # An empty pidfile: the supervisor knows whether it runs, and a stale file would keep it from starting.
    return _python("beat", environment, *CELERY, "beat", "--loglevel", "WARNING", "--pidfile", "")


def _python(name: str, environment: dict[str, str], *arguments: str) -> Program:
    return Program(
        name=name,
        argv=(sys.executable, *arguments),
        env=environment,
        folder=Path(settings.BASE_DIR),
        needs=("postgres",),
        # A worker that is still busy after the polite signal is told to drop its task: the truth is in Postgres.
        stop_steps=((signal.SIGTERM, 5.5), (signal.SIGQUIT, 0.5)),
    )
