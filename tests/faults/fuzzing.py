"""Fuzzed inputs in a process of their own: a crash of it is a finding too, and its input is known by its seed.

python -m tests.faults.fuzzing spec 1 1000      # the inputs 0 to 999 of seed 1, as JSON of what was found
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, ClassVar, TypeVar

from edgeseg.core.errors import EdgesegError
from tests.faults.verdict import CODE, HUNG, LEAK, TRACEBACK, Finding, Row, judge_error, judge_output

Input = TypeVar("Input")

FUZZERS = {
    "spec": "tests.faults.fuzzers.spec:SpecFuzzer",
    "toml": "tests.faults.fuzzers.toml:TomlFuzzer",
    "onnx": "tests.faults.fuzzers.onnx:OnnxFuzzer",
    "recording": "tests.faults.fuzzers.recording:RecordingFuzzer",
    "manifest": "tests.faults.fuzzers.manifest:ManifestFuzzer",
    "addresses": "tests.faults.fuzzers.addresses:AddressFuzzer",
}
LONGEST_S = 20.0  # of processor time, for one input
_BLOCK = 250  # inputs of one process


class WrongError(Exception):
    """What was taken, though it must not be, or means something else than it says."""


class Fuzzer(ABC):
    """One sort of input: how it is made, and what is done with it.

    Attributes:
        codes: the exit codes of the errors that a user may be told.
        secret: must be in nothing that is said.
    """

    codes: ClassVar[frozenset[int]]
    secret = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def make(self, draw: Random) -> Any:
        """Return an input."""

    @abstractmethod
    def use(self, made: Any) -> str:
        """Take the input as edgeseg takes it; return what a user would be shown of it.

        Raises:
            EdgesegError: it was refused.
            WrongError: it was not, though it should have been.
        """


def fuzz(kind: str, seed: int, first: int, count: int) -> Row:
    """Throw the inputs `first` to `first + count - 1` of a seed, in this process."""
    row = Row(kind, is_fuzzed=True)
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = _fuzzer(kind, Path(folder))
        _throw(fuzzer, row, kind, seed, first)  # what is loaded and cached once is no leak
        before, files = _held(), set(os.listdir(folder))
        for index in range(first + 1, first + count):
            _throw(fuzzer, row, kind, seed, index)
        left = sorted(set(os.listdir(folder)) - files)
        if (after := _held()) > before or left:
            seen = f"descriptors, threads: {before} before, {after} after; files: {left}"
            row.findings.append(Finding(LEAK, f"{kind} seed {seed}, inputs {first} to {first + count - 1}", seen))
    return row


def _fuzzer(kind: str, folder: Path) -> Fuzzer:
    module, _, name = FUZZERS[kind].partition(":")
    fuzzer: Fuzzer = getattr(importlib.import_module(module), name)(folder)
    return fuzzer


def _throw(fuzzer: Fuzzer, row: Row, kind: str, seed: int, index: int) -> None:
    fault = f"{kind} seed {seed}, input {index}"
    _note_progress(index)
    made = fuzzer.make(Random(f"{kind} {seed} {index}"))
    row.thrown += 1
    try:
        with _time_limit():
            shown = fuzzer.use(made)
        row.findings += judge_output(fault, shown, fuzzer.secret)
    except WrongError as error:
        row.findings.append(Finding(CODE, fault, f"taken: {error}"[:200]))
    except _TooLongError:
        row.findings.append(Finding(HUNG, fault, f"more than {LONGEST_S:g} s"))
    except EdgesegError as error:
        row.refused += 1
        row.findings += judge_error(fault, error, fuzzer.codes, fuzzer.secret)
    except Exception as error:  # what would have been a traceback
        row.findings += judge_error(fault, error, fuzzer.codes, fuzzer.secret)


class _TooLongError(BaseException):
    pass


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise _TooLongError

    signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _held() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def _note_progress(index: int) -> None:
    """Leave word for the parent of which input is at work: this process may not live to tell."""
    with contextlib.suppress(KeyError):
        os.pwrite(int(os.environ["EDGESEG_FUZZ_PROGRESS"]), b"%12d" % index, 0)


def fuzz_apart(kind: str, seed: int, count: int, block: int = _BLOCK) -> Row:
    """Throw `count` inputs in processes of `block` each; one that crashes costs its input alone."""
    row = Row(kind, is_fuzzed=True)
    first = 0
    while first < count:
        part, first = _in_child(kind, seed, first, min(block, count - first))
        row.add(part)
    return row


def _in_child(kind: str, seed: int, first: int, count: int) -> tuple[Row, int]:
    """Return what a process found, and with which input the next one begins."""
    progress = os.memfd_create("edgeseg-fuzz")
    arguments = [sys.executable, "-m", "tests.faults.fuzz", kind, str(seed), str(first), str(count)]
    environment = {**os.environ, "EDGESEG_FUZZ_PROGRESS": str(progress)}
    environment |= {"OPENCV_FFMPEG_LOGLEVEL": "-8", "OPENCV_LOG_LEVEL": "SILENT"}
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            pass_fds=[progress],
            timeout=60 + LONGEST_S * 3 + count,
        )
        ended = f"code {done.returncode}: {done.stderr[-200:]}"
        code, text = done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        code, text, ended = -1, "", "not within its time"
    at = int(os.pread(progress, 12, 0) or first)
    os.close(progress)
    if code == 0:
        values = json.loads(text.splitlines()[-1])
        findings = [Finding(**each) for each in values.pop("findings")]
        return Row(**values, findings=findings), first + count
    crash = Finding(TRACEBACK if code != -1 else HUNG, f"{kind} seed {seed}, input {at}", ended)
    return Row(kind, at - first + 1, findings=[crash], is_fuzzed=True), at + 1
