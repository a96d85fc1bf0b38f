"""Which processes a supervisor runs, written down so that the next start finds what a killed one left."""

import json
from collections.abc import Iterable
from pathlib import Path

import psutil

from costhub.processes import end_group, is_alive

# The kernel tells start times to a hundredth of a second; a pid does not come round again within this.
SAME_START_S = 0.5


def write_record(record: Path, pids: Iterable[int]) -> None:
    record.write_text(json.dumps([{"pid": pid, "started": _start_time(pid)} for pid in pids]))


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
