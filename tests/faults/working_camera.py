"""A camera at work, to which something happens."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.process import Case, Running
from tests.helpers.colour_model import write_colour_model

FINE = frozenset({0})
BEFORE_EDGESEG = "init_import_site|initializing the interpreter"
"""What Python says of a signal, or of no descriptor left, before the first line of edgeseg's."""
WORK = (
    "scenes://?size=128x72&fps=50", "--model", "m.onnx", "--backend", "onnxruntime-cpu", "--threads", "1",
    "--stats", "stats.jsonl", "--summary", "summary.json",
)  # fmt: skip
ENDS_BY_ITSELF = (*WORK, "--frames", "6", "--quiet")


def write_model(folder: Path) -> None:
    write_colour_model(folder / "m.onnx")


def sends(number: int, times: int = 1, after_s: float = 0.0) -> Callable[[Running], None]:
    """Return what sends a signal."""

    def act(running: Running) -> None:
        time.sleep(after_s)
        for _ in range(times):
            running.send(number)

    return act


def with_file(name: str, content: bytes) -> Callable[[Path], None]:
    """Return what makes the model and a file beside it."""

    def prepare(folder: Path) -> None:
        write_model(folder)
        (folder / name).write_bytes(content)

    return prepare


def with_pipe(folder: Path) -> None:
    """Make the model and a named pipe, `fifo`, that nobody reads or writes."""
    write_model(folder)
    os.mkfifo(folder / "fifo")


def work(
    name: str, act: Callable[[Running], object], *more: str, codes: frozenset[int] = FINE, **details: object
) -> Case:
    """Return a case of a camera that is stopped after what `act` does to it."""

    def until_stopped(running: Running) -> None:
        act(running)
        running.send(signal.SIGTERM)

    details.setdefault("prepare", write_model)
    return Case(name, (*WORK, "--quiet", *more), codes, act=until_stopped, **details)  # type: ignore[arg-type]


def after_masks(act: Callable[[Running], object]) -> Callable[[Running], None]:
    def wait_and_act(running: Running) -> None:
        running.masks()
        act(running)

    return wait_and_act
