"""Signals at any moment, and standard files that are closed or full."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from functools import partial

from tests.faults.process import Case, Running
from tests.faults.working_camera import (
    BEFORE_EDGESEG,
    ENDS_BY_ITSELF,
    FINE,
    WORK,
    after_masks,
    sends,
    work,
    write_model,
)


def signal_faults() -> Iterator[Case]:
    yield from _signals()
    yield from _standard_files()


def _signals() -> Iterator[Case]:
    early = {signal.SIGTERM: {0, -15, 143}, signal.SIGINT: {0, -2, 130}, signal.SIGHUP: {0, -1, 129}}
    for number, codes in early.items():
        for after_s in (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3):
            yield Case(
                f"{number.name} after {after_s:g} s",
                (*WORK, "--quiet"),
                frozenset(codes),
                prepare=write_model,
                excuse=BEFORE_EDGESEG,
                act=sends(number, after_s=after_s),
            )
        for times in (1, 2):
            late = FINE if times == 1 else frozenset(codes)
            yield Case(
                f"{number.name} at work, {times} of them",
                (*WORK, "--quiet"),
                late,
                prepare=write_model,
                act=after_masks(sends(number, times)),
            )
    for output in ("o.mkv", "masks/", "record://drive", "unix://s"):
        yield Case(
            f"SIGKILL while it writes {output}",
            (*WORK, "--output", output),
            frozenset({-9}),
            prepare=write_model,
            keeps_partial=True,
            act=after_masks(sends(signal.SIGKILL)),
        )
        yield Case(
            f"SIGTERM while it writes {output}",
            (*WORK, "--output", output),
            FINE,
            prepare=write_model,
            act=after_masks(sends(signal.SIGTERM)),
        )
    for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGQUIT):
        yield Case(
            f"{number.name} at work",
            (*WORK, "--quiet"),
            frozenset({0, -number}),
            prepare=write_model,
            act=after_masks(sends(number)),
        )
    for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGINT):
        yield work(
            f"{number.name} to its capture process",
            after_masks(partial(_signal_others, number)),
            codes=frozenset({0, 3}),
        )
    yield work("stopped and continued", after_masks(_stop_and_continue))


def _signal_others(number: int, running: Running) -> None:
    for pid in running.others():
        with contextlib.suppress(OSError):
            os.kill(pid, number)
    time.sleep(0.5)


def _stop_and_continue(running: Running) -> None:
    running.send(signal.SIGSTOP)
    time.sleep(1.0)
    running.send(signal.SIGCONT)
    running.masks(10)


def _standard_files() -> Iterator[Case]:
    full = os.open("/dev/full", os.O_WRONLY)
    reader, broken = os.pipe()
    os.close(reader)
    short, either = (*WORK, "--frames", "6"), frozenset({0, 2})
    for name, options in (("full", {"stdout": full}), ("a pipe that nobody reads", {"stdout": broken})):
        yield Case(f"standard output is {name}", short, either, prepare=write_model, options=options)
        yield Case(f"--help while standard output is {name}", ("--help",), either, options=options)
        yield Case(f"--list while standard output is {name}", ("--list",), either, options=options)
        yield Case(f"--version while standard output is {name}", ("--version",), either, options=options)
    for name, error in (("full", full), ("a pipe that nobody reads", broken)):
        yield Case(f"standard error is {name}", short, FINE, prepare=write_model, options={"stderr": error})
        yield Case(
            f"standard error is {name}, JSON",
            (*short, "--log-json"),
            FINE,
            prepare=write_model,
            options={"stderr": error},
        )
        yield Case(
            f"an error while standard error is {name}", ("nothing.mp4",), frozenset({2, 3}), options={"stderr": error}
        )
    for closed in ((0,), (1,), (2,), (1, 2), (0, 1, 2)):
        files = " and ".join(("input", "output", "error")[number] for number in closed)
        yield Case(f"{files} closed", short, either, prepare=write_model, closed=closed)
        yield Case(f"{files} closed, JSON", (*short, "--log-json"), either, prepare=write_model, closed=closed)
        yield Case(f"--help with {files} closed", ("--help",), either, closed=closed)
        yield Case(f"an error with {files} closed", ("nothing.mp4",), frozenset({2, 3}), closed=closed)
    yield Case(
        "--summary /dev/full", (*ENDS_BY_ITSELF[:-2], "--summary", "/dev/full"), frozenset({2}), prepare=write_model
    )
    yield Case("--stats /dev/full", (*ENDS_BY_ITSELF[:-2], "--stats", "/dev/full"), frozenset({2}), prepare=write_model)
