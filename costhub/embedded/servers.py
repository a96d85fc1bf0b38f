"""Both embedded servers together: prepared, started, waited for, stopped."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from costhub.embedded.home import EmbeddedError, Home
from costhub.embedded.postgres import Postgres
from costhub.embedded.redis import Redis
from costhub.processes import Program, has_ended, last_words, start, stop

# Crash recovery replays at most max_wal_size of log.
READY_SECONDS = 120.0
LOG_LIMIT_BYTES = 10_000_000

Say = Callable[[str], None]


def prepare(home: Home, *, say: Say, postgres: bool = True, redis: bool = True, fsync: bool = True) -> list[Program]:
    """Make the home ready; the programs to run, in the order to start them. The caller holds the home's lock."""
    home.create_runtime()
    wanted: list[Postgres | Redis] = []
    if postgres:
        wanted.append(Postgres.of(home, fsync=fsync))
    if redis:
        wanted.append(Redis(home))
    for server in wanted:
        for sentence in server.prepare():
            say(sentence)
    programs = [server.program() for server in wanted]
    for program in programs:
        _start_log_afresh(program)
    return programs


@contextmanager
def running(programs: list[Program]) -> Iterator[None]:
    """Both servers up and answering; stopped in reverse order on the way out."""
    with ExitStack() as stopping:
        started = []
        for program in programs:
            process = start(program)
            stopping.callback(stop, process, program.stop_steps)
            started.append(process)
        for program, process in zip(programs, started, strict=True):
            _wait_until_ready(program, process)
        yield


def _wait_until_ready(program: Program, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not program.is_ready():
        if has_ended(process):
            words = last_words(program.log) if program.log else "it said nothing"
            raise EmbeddedError(f"{program.name} did not start: {words} (log: {program.log})")
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{program.name} did not answer within {READY_SECONDS:.0f} s (log: {program.log})")
        time.sleep(0.02)


def _start_log_afresh(program: Program) -> None:
    if program.log and program.log.exists() and program.log.stat().st_size > LOG_LIMIT_BYTES:
        program.log.replace(program.log.with_suffix(".log.1"))
