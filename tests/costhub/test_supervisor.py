"""The supervisor with programs made for the purpose: deaths, restarts, giving up, stopping in order, being killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from costhub import supervisor as module
from costhub.processes import Program, wait_until
from costhub.run_record import end_recorded
from costhub.supervisor import GivenUpError, StopRequested, Supervisor
from tests.costhub.conftest import CHECKOUT, environment

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
WITH_A_CHILD = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid)
{SLEEP}
"""
POLITE = f"""
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("bye"), sys.exit()))
{SLEEP}
"""


class Bench:
    """A supervisor, what it wrote, and programs to give it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[tuple[str, str]] = []
        self.record = folder / "children.json"
        self.supervisor = Supervisor(record=self.record, write=lambda name, line: self.lines.append((name, line)))

    def program(self, name: str, code: str, *, stop_seconds: float = 3.0) -> Program:
        argv = (sys.executable, "-u", "-c", code)
        return Program(name, argv, environment(), self.folder, stop_steps=((signal.SIGTERM, stop_seconds),))

    def said(self, name: str) -> list[str]:
        return [line for who, line in self.lines if who == name]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        self.supervisor.wait_until(condition, 10, f"it never came true: {self.lines}")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    with bench.supervisor.listening():
        yield bench
        bench.supervisor.stop([])


def processes_of(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_output_is_shown_line_by_line_under_the_programs_name(bench: Bench) -> None:
    code = "import sys, time; sys.stdout.write('a\\nb'); sys.stderr.write('c\\n\\n'); print('d\\xff'); time.sleep(60)"
    bench.supervisor.keep_running(bench.program("talker", code))
    bench.wait_for(lambda: len(bench.said("talker")) == 3)
    assert bench.said("talker") == ["a", "bc", "dÿ"]


def test_a_killed_program_is_started_again(bench: Bench) -> None:
    bench.supervisor.keep_running(bench.program("web", SLEEP))
    bench.wait_for(lambda: bench.said("web") == ["up"])
    [first] = processes_of(bench.folder)
    first.send_signal(signal.SIGKILL)
    bench.wait_for(lambda: bench.said("web") == ["up", "up"])
    [second] = processes_of(bench.folder)
    assert second.pid != first.pid
    assert bench.said("costhub") == ["web ended (SIGKILL); starting it again in 0.2 s"]


def test_what_a_dead_program_left_behind_ends_with_it(bench: Bench) -> None:
    bench.supervisor.keep_running(bench.program("worker", WITH_A_CHILD))
    bench.wait_for(lambda: "up" in bench.said("worker"))
    grandchild = psutil.Process(int(bench.said("worker")[0]))
    psutil.Process(grandchild.ppid()).send_signal(signal.SIGKILL)
    bench.wait_for(lambda: bench.said("worker").count("up") == 2)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_program_that_dies_for_good_ends_everything_with_one_sentence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0.01)
    bench.supervisor.keep_running(bench.program("web", SLEEP))
    bench.supervisor.keep_running(bench.program("worker", "print('no such broker'); raise SystemExit(3)"))
    with pytest.raises(GivenUpError) as given_up:
        bench.supervisor.watch()
    assert str(given_up.value) == (
        "worker ended 5 times within 60 s (last: exit code 3), so CostHub stopped: no such broker"
    )
    bench.supervisor.stop([["web"]])
    assert processes_of(bench.folder) == []


def test_deaths_of_long_ago_are_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(module, "DEATHS_WINDOW_S", 0.1)
    bench.supervisor.keep_running(bench.program("beat", "import time; time.sleep(0.2)"))
    bench.wait_for(lambda: len(bench.said("costhub")) == 7)
    assert all("starting it again" in line for line in bench.said("costhub"))


def test_a_program_that_worked_for_a_while_is_never_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORKED_S", 0.1)
    bench.supervisor.keep_running(bench.program("web", "import time; time.sleep(0.15)"))
    bench.wait_for(lambda: len(bench.said("costhub")) == 7)
    assert set(bench.said("costhub")) == {"web ended (exit code 0); starting it again in 0.2 s"}


def test_a_program_waits_for_what_it_needs(bench: Bench) -> None:
    """A worker that dies with its database is not started again, and again, before the database is back."""
    answers = False
    database = replace(bench.program("postgres", SLEEP), is_ready=lambda: answers)
    bench.supervisor.keep_running(database)
    bench.supervisor.keep_running(replace(bench.program("worker", "print('up')"), needs=("postgres",)))
    bench.wait_for(lambda: bench.said("costhub") != [])
    began = time.monotonic()
    bench.wait_for(lambda: time.monotonic() - began > 1)
    assert bench.said("worker") == ["up"]
    answers = True
    bench.wait_for(lambda: bench.said("worker") == ["up", "up"])


def test_a_program_that_is_stuck_is_started_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(module, "STUCK_S", 0.2)
    seen: list[int] = []

    def is_stuck(pid: int) -> bool:
        """The first one is, and whatever comes after it is not."""
        seen.append(pid)
        return pid == seen[0]

    bench.supervisor.keep_running(replace(bench.program("postgres", SLEEP), is_stuck=is_stuck))
    bench.wait_for(lambda: len(set(seen)) == 2)
    killed, restarted = bench.said("costhub")
    assert killed == "postgres was stuck for 0 s and is killed"
    assert restarted.startswith("postgres ended (SIGKILL)")


def test_a_task_gives_its_output_and_shows_its_errors(bench: Bench) -> None:
    code = "import sys; print('key'); print('half', file=sys.stderr); print('login')"
    assert bench.supervisor.run_to_end(bench.program("prepare", code)) == "key\nlogin"
    assert bench.said("prepare") == ["half"]


def test_a_task_that_fails_ends_everything_with_its_last_words(bench: Bench) -> None:
    with pytest.raises(GivenUpError, match=r"^prepare failed \(exit code 1\), so CostHub stopped: no rights$"):
        bench.supervisor.run_to_end(bench.program("prepare", "import sys; sys.exit('no rights')"))


def test_a_signal_ends_a_long_task(bench: Bench) -> None:
    bench.supervisor.keep_running(bench.program("redis", SLEEP))
    bench.wait_for(lambda: bench.said("redis") == ["up"])
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(StopRequested):
        bench.supervisor.run_to_end(bench.program("prepare", SLEEP))
    bench.supervisor.stop([["redis"]])
    assert processes_of(bench.folder) == []
    assert not bench.record.exists()


def test_groups_stop_in_order(bench: Bench) -> None:
    for name in ("postgres", "redis", "worker", "web"):
        bench.supervisor.keep_running(bench.program(name, POLITE))
    bench.wait_for(lambda: len(bench.lines) == 4)
    bench.supervisor.stop([["web", "worker"], ["redis"], ["postgres"]])
    order = [name for name, line in bench.lines if line == "bye"]
    assert set(order[:2]) == {"web", "worker"}
    assert order[2:] == ["redis", "postgres"]


def test_the_deaf_are_killed_when_their_time_is_up(bench: Bench) -> None:
    bench.supervisor.keep_running(bench.program("web", STUBBORN, stop_seconds=0.3))
    bench.wait_for(lambda: bench.said("web") == ["up"])
    began = time.monotonic()
    bench.supervisor.stop([["web"]])
    assert 0.3 <= time.monotonic() - began < 2
    assert processes_of(bench.folder) == []
    assert bench.said("costhub") == ["web did not stop in time and is killed"]


@pytest.mark.parametrize(("after", "waited"), [(0.05, 2.0), (1.2, 1.2)])
def test_a_second_signal_cuts_the_wait_short_unless_it_is_the_first_ones_echo(
    bench: Bench, after: float, waited: float
) -> None:
    bench.supervisor.keep_running(bench.program("web", STUBBORN, stop_seconds=2))
    bench.wait_for(lambda: bench.said("web") == ["up"])
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, after)
    began = time.monotonic()
    bench.supervisor.stop([["web"]])
    signal.signal(signal.SIGALRM, before)
    assert waited <= time.monotonic() - began < waited + 0.7
    assert processes_of(bench.folder) == []


DRIVER = """
import pathlib, sys
from tests.costhub.test_supervisor import Bench, SLEEP, STUBBORN
bench = Bench(pathlib.Path(sys.argv[1]))
with bench.supervisor.listening():
    for name, code in (("web", SLEEP), ("worker", STUBBORN)):
        bench.supervisor.keep_running(bench.program(name, code))
    bench.wait_for(lambda: len(bench.lines) == 2)
    print("up", flush=True)
    bench.supervisor.watch()
"""


def test_a_killed_supervisor_leaves_nobody_for_long(tmp_path: Path) -> None:
    """The kernel tells the children; who is deaf to that is found by the next start."""
    killed = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)], cwd=CHECKOUT, env=os.environ, stdout=subprocess.PIPE
    )
    assert killed.stdout
    assert killed.stdout.readline() == b"up\n"
    killed.stdout.close()
    assert len(processes_of(tmp_path)) == 2
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    expected = 1 if sys.platform == "linux" else 2
    assert wait_until(lambda: len(processes_of(tmp_path)) == expected, 5)
    assert end_recorded(tmp_path / "children.json", 0.2) == expected
    assert wait_until(lambda: processes_of(tmp_path) == [], 5)


def test_a_recorded_pid_that_is_another_process_now_is_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.DEVNULL, process_group=0)
    record = tmp_path / "children.json"
    record.write_text(f'[{{"pid": {bystander.pid}, "started": 1700000000.0}}]')
    assert end_recorded(record, 1) == 0
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize("content", ["", "nonsense", "[]"])
def test_a_damaged_record_stops_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "children.json").write_text(content)
    assert end_recorded(tmp_path / "children.json", 1) == 0
