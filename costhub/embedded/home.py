"""The data folder: where everything lies, who holds it, and the secrets made at first start."""

import base64
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# Not tempfile.gettempdir(): the path must be short (a socket's is limited to 107 bytes) and the same for every process
# of this home, whatever its TMPDIR says.
RUNTIME_ROOT = Path("/tmp")
# Where root's PostgreSQL data goes when the account it runs as cannot reach the home.
SHARED_ROOT = Path("/var/lib/costhub")
# Bytes of randomness in each secret.
SECRET_BYTES = {"SECRET_KEY": 48, "COSTHUB_KEY_PEPPER": 32, "COSTHUB_SEAL_KEY": 32}


class EmbeddedError(Exception):
    """Why the embedded servers cannot run, in one sentence for a person."""


@dataclass(frozen=True, slots=True)
class ServerUrls:
    database_url: str
    database_owner_url: str
    redis_url: str


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one data folder; nothing is made until `create`."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> "Home":
        return cls(path.resolve())

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{os.geteuid()}:{self.path}".encode()).hexdigest()[:12]

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def shared_postgres(self) -> Path:
        return SHARED_ROOT / self.digest / "postgres"

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    @property
    def logs(self) -> Path:
        return self.path / "log"

    @property
    def mail(self) -> Path:
        return self.path / "mail"

    @property
    def static(self) -> Path:
        return self.path / "static"

    @property
    def children(self) -> Path:
        """Which processes the last supervisor started, for the next one to clear away."""
        return self.path / "children.json"

    @property
    def runtime(self) -> Path:
        return RUNTIME_ROOT / f"costhub-{self.digest}"

    @property
    def postgres_sockets(self) -> Path:
        return self.runtime / "pg"

    @property
    def redis_socket(self) -> Path:
        return self.runtime / "redis.sock"

    def create(self) -> None:
        """Make the folders that are missing; modes of folders that exist stay as they are."""
        # Root's PostgreSQL runs as another account and has to pass through; everything inside is closed to it.
        _make_folder(self.path, 0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.redis, self.logs, self.mail, self.static):
            _make_folder(folder, 0o700)

    def create_runtime(self) -> None:
        """Make the folder of the sockets, in a place where anybody could have made it before us."""
        _make_folder(self.runtime, 0o711)
        found = self.runtime.lstat()
        if (
            not self.runtime.is_dir()
            or self.runtime.is_symlink()
            or found.st_uid != os.geteuid()
            or found.st_mode & 0o022
        ):
            raise EmbeddedError(
                f"{self.runtime} belongs to somebody else; remove it or set COSTHUB_HOME to another folder."
            )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the home; EmbeddedError when another process holds it. The kernel lets go when the holder dies."""
        self.create()
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
                raise EmbeddedError(
                    f"CostHub is already running on {self.path} (process {holder}); stop it first,"
                    " or set COSTHUB_HOME to another folder."
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def urls(home: Path) -> ServerUrls:
    """Where the servers of `home` listen once they run. Starts nothing and touches nothing."""
    layout = Home.at(home)
    sockets = quote(str(layout.postgres_sockets), safe="/")
    return ServerUrls(
        database_url=f"postgresql://costhub_app@/costhub?host={sockets}",
        database_owner_url=f"postgresql://costhub_owner@/costhub?host={sockets}",
        redis_url=f"unix://{layout.redis_socket}",
    )


def secrets(home: Path) -> dict[str, str]:
    """The secrets of `home`, made at first use; processes that start together agree on them."""
    layout = Home.at(home)
    layout.create()
    path = layout.path / "secrets.json"
    try:
        found = _read_secrets(path)
        if found.keys() >= SECRET_BYTES.keys():
            return found
        with _exclusive(layout.path / "secrets.lock"):
            found = _new_secrets() | _read_secrets(path)
            _write_atomically(path, json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise EmbeddedError(f"CostHub cannot read or write {path}: {error.strerror}.") from error
    return found


def _new_secrets() -> dict[str, str]:
    return {name: base64.b64encode(os.urandom(length)).decode() for name, length in SECRET_BYTES.items()}


def _read_secrets(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) and value for value in found.values()):
        raise EmbeddedError(f"{path} is damaged; restore it from a backup, since keys and sealed secrets depend on it.")
    return found


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_folder(path: Path, mode: int) -> None:
    """Make `path` with exactly `mode`, whatever the umask; leave it alone when it is there already."""
    if path.is_dir():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=mode)
        path.chmod(mode)
    except FileExistsError:
        if not path.is_dir():
            raise EmbeddedError(f"{path} must be a folder; move what is there away.") from None
    except OSError as error:
        raise EmbeddedError(f"CostHub cannot make the folder {path}: {error.strerror}.") from error
