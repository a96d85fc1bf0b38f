"""Keeps a set of programs running in the foreground, and stops all of them when asked or when one dies for good."""

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

from costhub.processes import Program, has_ended, kill, last_words, start
from costhub.run_record import write_record

# A program that ends this often within this many seconds is given up, unless it worked for a while in between. What
# ends while a program that it needs is down ended for that reason, and does not count.
DEATHS_ALLOWED = 5
DEATHS_WINDOW_S = 60.0
WORKED_S = 10.0
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
# A program that has been stuck for so long is killed, and so started again.
STUCK_S = 10.0
LOOK_EVERY_S = 2.0
TURN_S = 0.05
IMPATIENT_AFTER_S = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):
    """A signal asked for the end."""


class GivenUpError(Exception):
    """Why everything stops, in one sentence for a person."""


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    started: float
    deaths: deque[float] = field(default_factory=deque)
    restart_at: float | None = None
    look_at: float = 0.0
    stuck_since: float | None = None
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
        self._asked_to_stop = False
        self._impatient = False
        self._impatient_from = float("inf")

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
        child = _Child(program, start(program), time.monotonic())
        self._children.append(child)
        self._follow(child)
        self._remember()

    def run_to_end(self, program: Program) -> str:
        """Run it once, showing its stderr; its stdout. GivenUpError when it fails."""
        child = _Child(program, start(program, errors_apart=True), time.monotonic(), once=True)
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
        """Stop the programs group by group, each group at once. A further signal cuts the wait for a group short."""
        named = {name for group in groups for name in group}
        others = [child for child in self._children if child.program.name not in named]
        chosen = [[child for child in self._children if child.program.name in group] for group in groups]
        for children in (others, *chosen):
            self._stop_together([child for child in children if child.restart_at is None])
        self._children.clear()
        self._record.unlink(missing_ok=True)

    def _stop_together(self, children: list[_Child]) -> None:
        # One `kill` often arrives twice, by way of make and of the process group; a person's second comes later.
        self._impatient_from = time.monotonic() + IMPATIENT_AFTER_S
        self._impatient = False
        for step in range(max((len(child.program.stop_steps) for child in children), default=0)):
            seconds = 0.0
            for child in children:
                steps = child.program.stop_steps
                if step < len(steps) and not has_ended(child.process):
                    child.process.send_signal(steps[step][0])
                    seconds = max(seconds, steps[step][1])
            deadline = time.monotonic() + seconds
            while (
                time.monotonic() < deadline and not self._impatient and not all(has_ended(c.process) for c in children)
            ):
                self._show_output(TURN_S)
        for child in children:
            if not has_ended(child.process):
                how = "is not waited for" if self._impatient else "did not stop in time"
                self._write("costhub", f"{child.program.name} {how} and is killed")
                kill(child.process)
        self._show_output(0)

    def _turn(self, timeout: float = TURN_S) -> None:
        self._show_output(min(timeout, self._until_restart()))
        if self._asked_to_stop:
            raise StopRequested
        for child in self._children:
            if child.restart_at is not None:
                self._restart_when_due(child)
            elif not child.once and has_ended(child.process):
                self._plan_restart(child)
            elif time.monotonic() >= child.look_at:
                self._kill_when_stuck(child)

    def _kill_when_stuck(self, child: _Child) -> None:
        now = time.monotonic()
        child.look_at = now + LOOK_EVERY_S
        if not child.program.is_stuck(child.process.pid):
            child.stuck_since = None
        elif child.stuck_since is None:
            child.stuck_since = now
        elif now - child.stuck_since >= STUCK_S:
            self._write("costhub", f"{child.program.name} was stuck for {now - child.stuck_since:.0f} s and is killed")
            child.stuck_since = None
            kill(child.process)

    def _until_restart(self) -> float:
        due = [child.restart_at for child in self._children if child.restart_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else float("inf")

    def _plan_restart(self, child: _Child) -> None:
        now = time.monotonic()
        if now - child.started >= WORKED_S:
            child.deaths.clear()
        if all(self._is_ready(name) for name in child.program.needs):
            child.deaths.append(now)
        while child.deaths and child.deaths[0] < now - DEATHS_WINDOW_S:
            child.deaths.popleft()
        name, ending = child.program.name, _ending(child.process)
        if len(child.deaths) >= DEATHS_ALLOWED:
            raise GivenUpError(
                f"{name} ended {len(child.deaths)} times within {DEATHS_WINDOW_S:.0f} s (last: {ending}),"
                f" so CostHub stopped: {self._last_words(child)}"
            )
        wait = min(FIRST_BACKOFF_S * 2 ** max(0, len(child.deaths) - 1), LONGEST_BACKOFF_S)
        child.restart_at = now + wait
        self._write("costhub", f"{name} ended ({ending}); starting it again in {wait:.1f} s")

    def _restart_when_due(self, child: _Child) -> None:
        if child.restart_at is None or time.monotonic() < child.restart_at:
            return
        if not all(self._is_ready(name) for name in child.program.needs):
            # Without what it needs it would only die again.
            child.restart_at = time.monotonic() + FIRST_BACKOFF_S
            return
        child.process = start(child.program)
        child.started = time.monotonic()
        child.restart_at = None
        self._follow(child)
        self._remember()

    def _is_ready(self, name: str) -> bool:
        """Whether the program runs and says that it is ready; one that is not ours to run is taken to be."""
        return all(
            child.restart_at is None and not has_ended(child.process) and child.program.is_ready()
            for child in self._children
            if child.program.name == name
        )

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
            self._asked_to_stop = True
            self._impatient = time.monotonic() > self._impatient_from

    def _remember(self) -> None:
        write_record(self._record, [child.process.pid for child in self._children if child.restart_at is None])


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
