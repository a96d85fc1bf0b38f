"""Child processes that end in order, and do not outlive their parent when it is killed."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

# What to send and how many seconds to wait after it, in order; SIGKILL always comes last.
StopSteps = tuple[tuple[signal.Signals, float], ...]


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system account that a program runs as."""

    name: str
    uid: int
    gid: int


def _always() -> bool:
    return True


def _never(_: int) -> bool:
    return False


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Program:
    """A command that is kept running: how it is started, known to be ready, and stopped."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    stop_steps: StopSteps = ((signal.SIGTERM, 5.0),)
    account: Account | None = None
    # Where its output goes; None: through a pipe to whoever started it.
    log: Path | None = None
    # Sent by the kernel when the parent dies without stopping it (Linux only).
    orphan_signal: signal.Signals = signal.SIGTERM
    # Programs that must be ready before it is started again.
    needs: tuple[str, ...] = ()
    before_start: Callable[[], None] = _nothing
    is_ready: Callable[[], bool] = _always
    # Whether the process of this pid runs and will never answer again.
    is_stuck: Callable[[int], bool] = _never


def die_with_parent(orphan_signal: signal.Signals) -> None:
    """Ask the kernel for a signal when this process's parent ends; only Linux can."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)


def start(program: Program, *, errors_apart: bool = False) -> subprocess.Popen[bytes]:
    """Start it in a process group of its own. Call from the main thread: the death signal follows the calling thread.

    With `errors_apart` its stderr gets a pipe of its own. Raises OSError when it cannot be started.
    """
    program.before_start()
    parent = os.getpid()

    def in_child() -> None:
        die_with_parent(program.orphan_signal)
        if os.getppid() != parent:
            os._exit(1)

    account = program.account
    output = (
        subprocess.PIPE if program.log is None else os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    )
    try:
        return subprocess.Popen(
            program.argv,
            env=dict(program.env),
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE if errors_apart else subprocess.STDOUT,
            process_group=0,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=in_child,
        )
    finally:
        if program.log is not None:
            os.close(output)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ended. What it left in its process group is killed before its id can be given to another process."""
    if process.returncode is not None:
        return True
    try:
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        ended = None
    else:
        if ended is None:
            return False
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()
    return True


def stop(process: subprocess.Popen[bytes], steps: StopSteps) -> None:
    """Send each signal, wait its seconds, and kill the whole process group in the end."""
    for number, seconds in steps:
        if has_ended(process):
            return
        process.send_signal(number)
        wait_until(lambda: has_ended(process), seconds)
    if not has_ended(process):
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a child and what is in its process group, at once."""
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(condition: Callable[[], bool], seconds: float, *, every: float = 0.02) -> bool:
    """Whether `condition` came true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True


def running_in(folder: Path, names: frozenset[str]) -> Iterator[psutil.Process]:
    """Processes called one of `names` whose working folder is `folder`: servers work inside their data folder."""
    # A folder that was removed under a running server is shown as deleted.
    places = {str(folder.resolve()), f"{folder.resolve()} (deleted)"}
    for process in psutil.process_iter(["name"]):
        if process.info["name"] not in names:
            continue
        try:
            working_folder = process.cwd()
        except psutil.Error:
            continue
        if working_folder in places:
            yield process


def end_leftovers(folder: Path, names: frozenset[str], steps: StopSteps) -> int:
    """End what a killed run left working in `folder`; how many processes that were. One that just ends is no error."""
    leftovers = list(running_in(folder, names))
    for number, seconds in (*steps, (signal.SIGKILL, 5.0)):
        alive = [process for process in leftovers if is_alive(process)]
        # A server tells its own helpers; they read the same signals differently.
        helped = {process.pid for process in alive} if number != signal.SIGKILL else set()
        for process in alive:
            _send(process, number, unless_child_of=helped)
        wait_until(lambda: not any(is_alive(process) for process in leftovers), seconds)
    return len(leftovers)


def last_words(log: Path) -> str:
    """The last telling line of a program's log, for a sentence to a person."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 8_000))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "ERROR", "rror:", "Can't"))]
    return (telling or lines or ["it said nothing"])[-1]


def end_group(leader: psutil.Process, seconds: float) -> None:
    """End another run's process group: politely, then for certain."""
    _signal_group(leader.pid, signal.SIGTERM)
    wait_until(lambda: not is_alive(leader), seconds)
    _signal_group(leader.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(leader), 5.0)


def is_alive(process: psutil.Process) -> bool:
    """Whether it still does something: where nobody collects the dead, they stay listed as zombies for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: signal.Signals, *, unless_child_of: set[int]) -> None:
    try:
        if process.ppid() not in unless_child_of:
            process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # Nobody is left in it, or only zombies are (macOS answers with EPERM then).
        return
