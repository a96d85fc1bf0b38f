"""Running PostgreSQL for root: it refuses to run as root, so it gets an account that exists and folders it can reach.

No account is created and no existing folder's mode is changed: what the account cannot reach is put elsewhere.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from costhub.embedded.home import SHARED_ROOT, EmbeddedError, Home
from costhub.processes import Account

CANDIDATES = ("postgres", "nobody")


def server_account(data: Path) -> Account | None:
    """The account for PostgreSQL: None for our own, and for root the owner of `data` or else one that exists."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return _by_uid(data.stat().st_uid, data)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is neither a 'postgres' nor a 'nobody' account to run it as;"
        " start CostHub as an ordinary user."
    )


def _by_uid(uid: int, data: Path) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedError(
            f"{data} belongs to user id {uid}, which has no account here; chown it to 'nobody'."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def data_folder(home: Home) -> Path:
    """Where PostgreSQL's data lies: in the home, or for root where its account can reach it."""
    if os.geteuid() != 0:
        return home.postgres
    if home.shared_postgres.exists():
        return home.shared_postgres
    account = server_account(home.postgres)
    return home.postgres if account is None or _can(account, "-x", home.path) else home.shared_postgres


def binaries(installed: Path, account: Account | None) -> Path:
    """The PostgreSQL installation that `account` can run: `installed`, or a copy of it where it can be reached."""
    if account is None or _usable(installed, account):
        return installed
    made = (installed / "bin" / "postgres").stat().st_mtime_ns
    copy = SHARED_ROOT / f"postgresql-{hashlib.sha256(f'{installed}:{made}'.encode()).hexdigest()[:12]}"
    if not copy.exists():
        _copy_readable(installed, copy)
    if not _usable(copy, account):
        raise EmbeddedError(f"The account '{account.name}' cannot run {copy}; start CostHub as an ordinary user.")
    return copy


def _copy_readable(installed: Path, copy: Path) -> None:
    """Copy what a server needs (30 MB), readable by everyone, complete or not at all."""
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = copy.with_name(f"{copy.name}.new-{os.getpid()}")
    for part in ("bin", "lib", "share"):
        shutil.copytree(installed / part, temporary / part, symlinks=True, ignore=shutil.ignore_patterns("*.a"))
    for folder, _, files in os.walk(temporary):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.parent.name == "bin" else 0o644)
    try:
        temporary.rename(copy)
    except OSError:
        # Another start of CostHub was quicker; its copy is as good.
        shutil.rmtree(temporary)


def _usable(installation: Path, account: Account) -> bool:
    return _can(account, "-x", installation / "bin" / "postgres") and _can(
        account, "-r", installation / "share" / "postgresql" / "postgres.bki"
    )


def _can(account: Account, right: str, path: Path) -> bool:
    """Asked of the kernel as that account, since modes alone do not tell (ACLs, mount options)."""
    try:
        answer = subprocess.run(
            ["/bin/sh", "-c", f'test {right} "$1"', "sh", str(path)],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise EmbeddedError(f"CostHub cannot run programs as '{account.name}': {error.strerror}.") from error
    return answer.returncode == 0
