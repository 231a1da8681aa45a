"""Throw everything and judge it: `python -m tests.faults`; exit code 1 if anything was found that must not be.

--write FILE puts the table into a document. --fuzz N throws N inputs of each sort in place of the usual number, and
--only NAME what has this in its name: with both, a long run of fuzzing. --beside N throws N sorts at a time, but for
the first one, which counts what this process holds.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults import bad_commands, camera_faults
from tests.faults.fuzzing import FUZZERS, fuzz_apart
from tests.faults.process import run_case
from tests.faults.signal_faults import signal_faults
from tests.faults.surroundings import surroundings
from tests.faults.table import table, write_into
from tests.faults.throw import AT_ONCE, throw
from tests.faults.verdict import Row

_INPUTS = {"spec": 3000, "toml": 3000, "onnx": 1500, "recording": 2000, "manifest": 2000, "addresses": 3000}
_HURTS = 70
_LIE_SEEDS = 3


def main() -> int:
    options = _options()
    for ignored in (signal.SIGINT, signal.SIGQUIT):  # by what a shell starts in the background, and by its children
        signal.signal(ignored, signal.default_int_handler if ignored == signal.SIGINT else signal.SIG_DFL)
    os.environ |= {"OPENCV_FFMPEG_LOGLEVEL": "-8", "OPENCV_LOG_LEVEL": "SILENT"}
    began = time.monotonic()

    def made(sort: tuple[str, Callable[[], Row]]) -> Row:
        row = sort[1]()
        _tell(sort[0], row, time.monotonic() - began)
        return row

    sorts = [sort for sort in _everything(options.seed, options.fuzz).items() if options.only in sort[0]]
    with ThreadPoolExecutor(options.beside) as pool:
        rows = [*map(made, sorts[:1]), *pool.map(made, sorts[1:])]
    text = table(rows, options.seed, (time.monotonic() - began) / 60)
    print(text)
    found = [finding for row in rows for finding in row.findings]
    if options.write and not found:
        write_into(options.write, text)
    return int(bool(found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fuzz", type=int)
    parser.add_argument("--only", default="")
    parser.add_argument("--beside", type=int, default=1)
    parser.add_argument("--write", type=Path)
    return parser.parse_args()


def _everything(seed: int, inputs: int | None) -> dict[str, Callable[[], Row]]:
    def fuzzed(kind: str) -> Callable[[], Row]:
        return lambda: _fuzz_beside(kind, seed, inputs or _INPUTS[kind])

    return {
        "a camera that is hurt": lambda: camera_faults.hurt_a_camera(_HURTS),
        "bad commands": lambda: throw("bad commands", bad_commands.bad_commands(), run_case),
        "signals and standard files": lambda: throw("signals and standard files", signal_faults(), run_case),
        "surroundings": lambda: throw("limits, places, clients, environments", surroundings(), run_case),
        "cameras that lie": lambda: throw("cameras that lie", camera_faults.lies(_LIE_SEEDS), camera_faults.run_lie, 4),
        **{f"fuzzed {kind}": fuzzed(kind) for kind in FUZZERS},
    }


def _fuzz_beside(kind: str, seed: int, count: int) -> Row:
    """Two processes at a time, each with a seed of its own."""
    row = Row(f"fuzzed {kind}", is_fuzzed=True)
    shares = [count // AT_ONCE + (number < count % AT_ONCE) for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for part in pool.map(lambda each: fuzz_apart(kind, seed + each[0] * 1000, each[1]), enumerate(shares)):
            row.add(part)
    return row


def _tell(name: str, row: Row, seconds: float) -> None:
    print(f"{seconds:6.0f} s  {name}: {row.thrown} thrown, {len(row.findings)} findings", file=sys.stderr, flush=True)
    for finding in row.findings:
        print(f"  {finding}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
