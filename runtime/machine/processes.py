"""What a process and its children hold, by proc(5): memory, file handles, threads, processor time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_UTIME, _STIME = 11, 12  # places in /proc/PID/stat behind the name, which may hold blanks


@dataclass(frozen=True)
class ProcessState:
    """A process and all that it has started.

    Attributes:
        own_mb: anonymous and shared memory of the process itself in MB, swapped out or not. Pages of files are left
            out: they come and go as others need room. Shared pages are split between those that share them.
        children_mb: of its children.
        handles, threads: open files, and threads, of all.
        cpu_seconds: that all have used since they began.
    """

    own_mb: float
    children_mb: float
    handles: int
    threads: int
    cpu_seconds: float

    @property
    def memory_mb(self) -> float:
        return self.own_mb + self.children_mb


def process_state(pid: int) -> ProcessState | None:
    """Read /proc of a process and its children; None once it is ending."""
    try:
        own = _memory_mb(pid)
        tasks = [pid, *descendants(pid)]
        children_mb = sum(_memory_mb_or_none(each) for each in tasks[1:])
        handles, threads = (sum(_entries(each, kind) for each in tasks) for kind in ("fd", "task"))
    except (OSError, KeyError):  # KeyError: a process that has no memory any more
        return None
    return ProcessState(own, children_mb, handles, threads, sum(cpu_seconds(each) for each in tasks))


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    except OSError:  # it has ended meanwhile
        pass
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time of one process; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kibibytes = {name: int(amount) for name, amount, *_ in lines}
    return (kibibytes["Pss_Anon:"] + kibibytes["Pss_Shmem:"] + kibibytes["SwapPss:"]) * 1024 / 1e6


def _memory_mb_or_none(pid: int) -> float:
    try:
        return _memory_mb(pid)
    except (OSError, KeyError):  # a child that has just ended
        return 0.0


def _entries(pid: int, kind: str) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/{kind}"))
    except OSError:
        return 0
