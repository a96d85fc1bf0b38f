"""`python -m costhub.embedded run [--home DIR] [--no-fsync] -- COMMAND …`: a command beside both servers.

Without --home the servers get a folder of their own that is removed afterwards. Exits with the command's code.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from costhub.embedded.home import RUNTIME_ROOT, EmbeddedError, Home, secrets, urls
from costhub.embedded.postgres import Postgres
from costhub.embedded.redis import Redis
from costhub.embedded.servers import prepare, running
from costhub.processes import die_with_parent

THROW_AWAY_PREFIX = "costhub-run-"
ABANDONED_AFTER_S = 60
NOT_FOUND = 127


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        _say("no command was given; write it after --")
        return 2
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    try:
        with _home(options.home) as home, home.lock():
            programs = prepare(home, say=_say, fsync=options.fsync)
            with running(programs):
                return _run(command, home, fsync=options.fsync)
    except EmbeddedError as error:
        _say(str(error))
    except OSError as error:
        _say(f"the embedded servers cannot run: {error}")
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m costhub.embedded", description=__doc__)
    run = parser.add_subparsers(required=True, metavar="run").add_parser(
        "run", help="run a command beside both servers"
    )
    run.add_argument("--home", type=Path, help="keep the data here (default: a folder that is removed afterwards)")
    run.add_argument(
        "--no-fsync", dest="fsync", action="store_false", help="faster, for data nobody needs after a crash"
    )
    run.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _run(command: list[str], home: Home, *, fsync: bool) -> int:
    """Run the command in our own process group, so that Ctrl-C and the terminal are its own."""
    servers = urls(home.path)
    environment = {
        **secrets(home.path),
        **os.environ,
        "COSTHUB_HOME": str(home.path),
        "DATABASE_URL": servers.database_url,
        "DATABASE_OWNER_URL": servers.database_owner_url,
        "REDIS_URL": servers.redis_url,
        **({} if fsync else {"ALLOW_UNSAFE_DATABASE": "1"}),
    }
    try:
        process = subprocess.Popen(command, env=environment, preexec_fn=lambda: die_with_parent(signal.SIGTERM))
    except OSError as error:
        _say(f"cannot run {command[0]}: {error.strerror}")
        return NOT_FOUND
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: process.send_signal(received))
    code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _home(path: Path | None) -> Iterator[Home]:
    if path is not None:
        yield Home.at(path)
        return
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=THROW_AWAY_PREFIX, dir=RUNTIME_ROOT))
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    home = Home.at(folder)
    try:
        yield home
    finally:
        _remove(home)


def _remove_abandoned() -> None:
    """Clear away throw-away homes whose run was killed: ours, and no longer held by anybody."""
    for folder in RUNTIME_ROOT.glob(f"{THROW_AWAY_PREFIX}*"):
        try:
            found = folder.lstat()
            if found.st_uid != os.geteuid() or time.time() - found.st_mtime < ABANDONED_AFTER_S:
                continue
            home = Home.at(folder)
            with home.lock():
                Postgres.of(home).end_leftovers()
                Redis(home).end_leftovers()
                _remove(home)
        except (EmbeddedError, OSError):
            continue


def _remove(home: Home) -> None:
    for folder in (home.path, home.shared_postgres.parent, home.runtime):
        shutil.rmtree(folder, ignore_errors=True)


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _say(sentence: str) -> None:
    print(f"costhub: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
