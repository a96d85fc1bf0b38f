"""Keeps a set of programs running in the foreground, and stops all of them when asked or when one dies for good."""

import json
import selectors
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from costhub.processes import Program, end_group, has_ended, is_alive, kill, last_words, start

# A program that ends this often within this many seconds is given up.
DEATHS_ALLOWED = 5
DEATHS_WINDOW_S = 60.0
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
TURN_S = 0.05
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# The kernel tells start times to a hundredth of a second; a pid does not come round again within this.
SAME_START_S = 0.5


class StopRequested(Exception):
    """A signal asked for the end."""


class GivenUpError(Exception):
    """Why everything stops, in one sentence for a person."""


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    deaths: deque[float] = field(default_factory=deque)
    restart_at: float | None = None
    # Runs once and is not started again.
    once: bool = False
    last_line: str = ""


@dataclass(slots=True)
class _Stream:
    child: _Child
    file: IO[bytes]
    write: Callable[[str], None]
    rest: bytes = b""


class Supervisor:
    """One thread, one loop: output, deaths and signals are all taken care of in `_turn`."""

    def __init__(self, *, record: Path, write: Callable[[str, str], None]) -> None:
        """`record` remembers the processes for the next start; `write(name, line)` shows a line of a program."""
        self._record = record
        self._write = write
        self._children: list[_Child] = []
        self._selector = selectors.DefaultSelector()
        self._signals = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals end the loop from here on; on the way out they mean what they meant before."""
        wake_up, woken = socket.socketpair()
        for end in (wake_up, woken):
            end.setblocking(False)
        self._selector.register(woken, selectors.EVENT_READ, None)
        # nohup has hang-ups ignored; that stays.
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        heard = [number for number in STOP_SIGNALS if number != signal.SIGHUP or not ignored]
        before = {number: signal.signal(number, self._on_signal) for number in (*heard, signal.SIGCHLD)}
        old_fd = signal.set_wakeup_fd(wake_up.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            wake_up.close()
            woken.close()

    def keep_running(self, program: Program) -> None:
        child = _Child(program, start(program))
        self._children.append(child)
        self._follow(child)
        self._remember()

    def run_to_end(self, program: Program) -> str:
        """Run it once, showing its stderr; its stdout. GivenUpError when it fails."""
        child = _Child(program, start(program, errors_apart=True), once=True)
        self._children.append(child)
        lines: list[str] = []
        self._follow(child, lines.append)
        self._remember()
        while not has_ended(child.process) or self._followed(child):
            self._turn()
        self._children.remove(child)
        self._remember()
        if child.process.returncode != 0:
            raise GivenUpError(
                f"{program.name} failed ({_ending(child.process)}), so CostHub stopped: {child.last_line}"
            )
        return "\n".join(lines)

    def wait_until(self, condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
        """Go on until `condition` holds; GivenUpError with the sentence `otherwise` after `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise GivenUpError(otherwise)
            next_look = time.monotonic() + TURN_S
            while time.monotonic() < next_look:
                self._turn()

    def watch(self) -> None:
        """Until StopRequested or GivenUpError ends it."""
        while True:
            self._turn(1.0)

    def stop(self, groups: Sequence[Sequence[str]]) -> None:
        """Stop the programs group by group, each group at once. One more signal while it takes long: at once."""
        self._signals = 0
        named = {name for group in groups for name in group}
        others = [child for child in self._children if child.program.name not in named]
        chosen = [[child for child in self._children if child.program.name in group] for group in groups]
        for children in (others, *chosen):
            self._stop_together([child for child in children if child.restart_at is None])
        self._children.clear()
        self._record.unlink(missing_ok=True)

    def _stop_together(self, children: list[_Child]) -> None:
        for step in range(max((len(child.program.stop_steps) for child in children), default=0)):
            seconds = 0.0
            for child in children:
                steps = child.program.stop_steps
                if step < len(steps) and not has_ended(child.process):
                    child.process.send_signal(steps[step][0])
                    seconds = max(seconds, steps[step][1])
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and not self._signals and not all(has_ended(c.process) for c in children):
                self._show_output(TURN_S)
        for child in children:
            if not has_ended(child.process):
                self._write("costhub", f"{child.program.name} did not stop in time and is killed")
                kill(child.process)
        self._show_output(0)

    def _turn(self, timeout: float = TURN_S) -> None:
        self._show_output(min(timeout, self._until_restart()))
        if self._signals:
            raise StopRequested
        for child in self._children:
            if child.restart_at is not None:
                self._restart_when_due(child)
            elif not child.once and has_ended(child.process):
                self._plan_restart(child)

    def _until_restart(self) -> float:
        due = [child.restart_at for child in self._children if child.restart_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else float("inf")

    def _plan_restart(self, child: _Child) -> None:
        now = time.monotonic()
        child.deaths.append(now)
        while child.deaths[0] < now - DEATHS_WINDOW_S:
            child.deaths.popleft()
        name, ending = child.program.name, _ending(child.process)
        if len(child.deaths) >= DEATHS_ALLOWED:
            raise GivenUpError(
                f"{name} ended {len(child.deaths)} times within {DEATHS_WINDOW_S:.0f} s (last: {ending}),"
                f" so CostHub stopped: {self._last_words(child)}"
            )
        wait = min(FIRST_BACKOFF_S * 2 ** (len(child.deaths) - 1), LONGEST_BACKOFF_S)
        child.restart_at = now + wait
        self._write("costhub", f"{name} ended ({ending}); starting it again in {wait:.1f} s")

    def _restart_when_due(self, child: _Child) -> None:
        if child.restart_at is None or time.monotonic() < child.restart_at:
            return
        child.process = start(child.program)
        child.restart_at = None
        self._follow(child)
        self._remember()

    def _last_words(self, child: _Child) -> str:
        log = child.program.log
        return f"{last_words(log)} (log: {log})" if log else child.last_line or "it said nothing"

    def _follow(self, child: _Child, collect: Callable[[str], None] | None = None) -> None:
        def show(line: str) -> None:
            child.last_line = line
            self._write(child.program.name, line)

        process = child.process
        for file, write in ((process.stdout, collect or show), (process.stderr, show)):
            if file is not None:
                self._selector.register(file, selectors.EVENT_READ, _Stream(child, file, write))

    def _followed(self, child: _Child) -> bool:
        streams = (key.data for key in self._selector.get_map().values())
        return any(isinstance(stream, _Stream) and stream.child is child for stream in streams)

    def _show_output(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, _Stream):
                self._read(key.data)
            elif isinstance(key.fileobj, socket.socket):
                key.fileobj.recv(4096)

    def _read(self, stream: _Stream) -> None:
        # Readable, so read1 returns at once with what is there; nothing means the other end is closed.
        chunk = stream.file.read1(65536)  # type: ignore[attr-defined]
        *lines, stream.rest = (stream.rest + chunk).split(b"\n")
        if not chunk:
            self._selector.unregister(stream.file)
            stream.file.close()
            lines = [stream.rest] if stream.rest else []
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                stream.write(text)

    def _on_signal(self, number: int, _: object) -> None:
        if number in STOP_SIGNALS:
            self._signals += 1

    def _remember(self) -> None:
        running = [
            {"pid": child.process.pid, "started": _start_time(child.process.pid)}
            for child in self._children
            if child.restart_at is None
        ]
        self._record.write_text(json.dumps(running))


def end_recorded(record: Path, seconds: float) -> int:
    """End what a killed supervisor left running, known by process id and start time; how many that were."""
    try:
        noted = json.loads(record.read_bytes())
    except (FileNotFoundError, ValueError):
        return 0
    left = [process for entry in noted if (process := _same_process(entry["pid"], entry["started"]))]
    for process in left:
        end_group(process, seconds)
    record.unlink(missing_ok=True)
    return len(left)


def _same_process(pid: int, started: float) -> psutil.Process | None:
    """The process of that id, unless it ended and another one has its id now."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < SAME_START_S
    except psutil.NoSuchProcess:
        return None
    return process if same and is_alive(process) else None


def _start_time(pid: int) -> float:
    """Seconds since 1970; 0 when there is no such process."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
