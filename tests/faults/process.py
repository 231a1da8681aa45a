"""One command as a process, with a fault: watched while it runs, and looked after when it has ended."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.verdict import CODE, HUNG, LEAK, SECRET, Finding, holds_secret, judge_output

ROOT = Path(__file__).resolve().parents[2]
_MEMORY_BYTES = 8 * 2**30  # of address space, where a case says nothing: this machine is to outlive it
_LONGEST_S = 90.0  # on a busy machine
_GRACE_S = 3.0  # for what ends with its parent
_HALF_WRITTEN = re.compile(r"\.partial|\.probe$|\.new$|\.old$")
_SEGMENTS = re.compile(r"^(psm_|sem\.|edgeseg-frames)")  # of /dev/shm, which others use too


@dataclass
class Running:
    """A command at work.

    Attributes:
        process: its own.
        folder: its working folder, which is also where it writes.
    """

    process: subprocess.Popen[bytes]
    folder: Path

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Wait until something is so; False if the process ended before, or it never was."""
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def masks(self, count: int = 3) -> bool:
        """Wait for so many masks, by the lines of its --stats file, stats.jsonl."""
        stats = self.folder / "stats.jsonl"
        return self.wait_for(lambda: stats.exists() and stats.read_bytes().count(b"\n") >= count)

    def others(self) -> list[int]:
        """Return the processes that it started."""
        return [pid for pid in session(self.process.pid) if pid != self.process.pid]


@dataclass(frozen=True)
class Case:
    """A fault of one process.

    Attributes:
        name: what is wrong.
        arguments: of the command; `{folder}` is its working folder.
        codes: the exit codes that are right; negative for a signal.
        program: the module that is run.
        prepare: makes what must be in the folder.
        act: what happens while it runs.
        secret: what nothing may tell but the command line that the user typed.
        environment: beside the usual.
        lines: how many lines standard error may have at most; None for any number.
        keeps_partial: a kill leaves what was being written, under a name of its own.
        options: of `subprocess.Popen`.
        limits: of resources, by `resource.RLIMIT_...`.
        closed: descriptors that are closed before it starts.
        excuse: a pattern of what others say, before or below edgeseg, where the case cannot be judged.
        by_script: start it as its console script does, which leaves the current folder out.
    """

    name: str
    arguments: Sequence[str]
    codes: frozenset[int]
    program: str = "edgeseg.runtime"
    prepare: Callable[[Path], object] | None = None
    act: Callable[[Running], object] | None = None
    secret: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    lines: int | None = None
    keeps_partial: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[int, int] = field(default_factory=dict)
    closed: Sequence[int] = ()
    by_script: bool = False
    excuse: str = ""


def run_case(case: Case) -> list[Finding]:
    """Run a case to its end; return what must not be."""
    with tempfile.TemporaryDirectory(prefix="faults-") as temporary:
        folder, scratch = Path(temporary, "work"), Path(temporary, "tmp")
        folder.mkdir()
        scratch.mkdir()
        if case.prepare:
            case.prepare(folder)
        segments = _segments()
        with open(scratch.parent / "out", "w+b") as out, open(scratch.parent / "err", "w+b") as err:
            running = Running(_start(case, folder, scratch, out, err), folder)
            findings = list(_follow(case, running))
            findings += _left_behind(case, running, scratch, segments)
            said = b"\n".join(_content(file) for file in (out, err)).decode(errors="replace")
            lines = _content(err).count(b"\n")
        written = "\n".join(path.read_bytes().decode(errors="replace") for path in _texts(folder))
    if case.excuse and re.search(case.excuse, said):
        return [finding for finding in findings if finding.kind in (SECRET, LEAK, HUNG)]
    findings += judge_output(case.name, f"{said}\n{written}", case.secret)
    if case.lines is not None and lines > case.lines:
        findings.append(Finding(CODE, case.name, f"{lines} lines for {case.lines}: {said[-300:]}"))
    if running.process.returncode not in case.codes:
        expected = "/".join(map(str, sorted(case.codes)))
        findings.append(Finding(CODE, case.name, f"{running.process.returncode} for {expected}: {said[-300:]}"))
    return findings


def _start(case: Case, folder: Path, scratch: Path, out: Any, err: Any) -> subprocess.Popen[bytes]:
    arguments = [each.replace("{folder}", str(folder)) for each in case.arguments]
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT), **case.environment}
    options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, **case.options}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number, value in {resource.RLIMIT_AS: _MEMORY_BYTES, **case.limits}.items():
            resource.setrlimit(number, (value, value))
        for descriptor in case.closed:
            os.close(descriptor)

    script = Path(sys.executable).with_name(
        "edgeseg-camera" if case.program.startswith("edgeseg.runtime") else "edgeseg"
    )
    return subprocess.Popen(
        [sys.executable, script, *arguments] if case.by_script else [sys.executable, "-m", case.program, *arguments],
        cwd=folder,
        env=environment,
        start_new_session=True,
        preexec_fn=limit,
        **options,
    )


def _follow(case: Case, running: Running) -> Iterator[Finding]:
    """Do what the case does, and wait for the end."""
    process = running.process
    if case.act:
        case.act(running)
    end, is_told = time.monotonic() + _LONGEST_S, False
    while process.poll() is None and time.monotonic() < end:
        if case.secret and not is_told and (where := _told_to_children(running, case.secret)):
            is_told = True
            yield Finding(SECRET, case.name, where)
        time.sleep(0.02)
    if process.poll() is None:
        yield Finding(HUNG, case.name, f"still running after {_LONGEST_S:g} s")
        process.kill()
        process.wait()


def _told_to_children(running: Running, secret: str) -> str | None:
    """Return where the processes that it started show a secret to whoever asks the system."""
    for pid in running.others():
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                if holds_secret(Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace"), secret):
                    return f"{name} of a process that it started"
    return None


def session(leader: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            with contextlib.suppress(OSError):
                state, _, _, owner = (each / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(owner) == leader and state != "Z":
                    found.append(int(each.name))
    return found


def _left_behind(case: Case, running: Running, scratch: Path, segments: set[str]) -> Iterator[Finding]:
    leader, end = running.process.pid, time.monotonic() + _GRACE_S
    while session(leader) and time.monotonic() < end:
        time.sleep(0.02)
    for pid in session(leader):
        with contextlib.suppress(OSError):
            name = Path(f"/proc/{pid}/cmdline").read_bytes()[:100]
            os.kill(pid, signal.SIGKILL)
            yield Finding(LEAK, case.name, f"a process: {name!r}")
    if left := _segments() - segments:
        yield Finding(LEAK, case.name, f"shared memory: {left}")
    files = [path.name for path in scratch.rglob("*") if path.is_file()]
    if not case.keeps_partial:
        files += [path.name for path in running.folder.rglob("*") if _HALF_WRITTEN.search(path.name)]
    if files:
        yield Finding(LEAK, case.name, f"temporary files: {files[:5]}")


def _segments() -> set[str]:
    with contextlib.suppress(OSError):
        return {name for name in os.listdir("/dev/shm") if _SEGMENTS.match(name)}
    return set()


def _content(file: Any) -> bytes:
    file.flush()
    return os.pread(file.fileno(), 2**20, 0)


def _texts(folder: Path) -> list[Path]:
    suffixes = (".json", ".jsonl", ".txt", ".log")
    return [path for path in folder.rglob("*") if path.suffix in suffixes and path.is_file()]
