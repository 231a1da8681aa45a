"""All that is asked of an NVIDIA GPU, in one command and eight minutes at most: `make test-gpu`.

    python benchmarks/on_gpu.py [MODEL...] [--out FILE] [--minutes 7.5] [--steps engines,peak] [--rehearse]

Engines with their masks against the CPU's, ms by engine and precision, CUDA graph on and off, two frames in flight,
forms of the transposed convolution, operations a second against the GPU's peak, then the tests that need a GPU. The
model is the one that comes with edgeseg, in fp32, fp16 and int8, unless ONNX files are named.

Each step is a process of its own, which a crash or a hang ends alone; the file is written anew after each. What this
computer lacks (TensorRT, a GPU that TensorRT-RTX knows) is named in the row that it would have been. Exit code: 0 if
all went well, 1 if an engine or a test failed, a step was cut short, or there is no GPU. --rehearse tries the steps
where there is none, on the CPU's engines.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from on_gpu_steps import REHEARSAL, STEPS

from edgeseg.core.errors import one_line
from edgeseg.core.files import write_whole
from edgeseg.runtime.machine.gpu import find_gpu, no_gpu
from edgeseg.runtime.measure.environment import environment

RESULTS = Path(__file__).resolve().parent / "results"
LIMITS_S = {"engines": 120, "tests": 150, "cuda_graph": 45, "in_flight": 30, "peak": 60, "deconvolutions": 60}
"""What a step may take, and never more than what is left of the whole."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, help="the result  [default: benchmarks/results/DATE-gpu-NAME.md]")
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--rehearse", action="store_true")
    arguments = parser.parse_args()
    steps = arguments.steps.split(",")
    unknown = [each for each in steps if each not in STEPS]
    if unknown:
        parser.error(f"--steps {unknown[0]}; expected some of {','.join(STEPS)}")
    reason = None if arguments.rehearse else no_gpu()
    if reason:
        sys.exit(f"make test-gpu needs an NVIDIA GPU: {reason}")
    end = time.monotonic() + 60 * arguments.minutes
    if arguments.rehearse:
        os.environ[REHEARSAL] = "1"
    name = "rehearsal" if arguments.rehearse else re.sub(r"[^a-z0-9]+", "-", find_gpu().name.lower()).strip("-")
    out = arguments.out or RESULTS / f"{date.today()}-gpu-{name}.md"
    models = [path.resolve() for path in arguments.models]
    with tempfile.TemporaryDirectory(prefix="edgeseg-gpu-") as folder:
        good = run(steps, out, Path(folder), models, end)
    print(f"result: {out}")
    sys.exit(0 if good else 1)


def run(steps: list[str], out: Path, folder: Path, models: list[Path], end: float) -> bool:
    """Run the steps and write the file after each; return whether all went well."""
    parts, good = [heading()], True
    for step in steps:
        started = time.monotonic()
        limit = min(LIMITS_S[step], end - started)
        print(f"{step}: {limit:.0f} s at most", flush=True)
        text, went_well = run_step(step, folder, models, limit)
        good = good and went_well
        command = f"`python benchmarks/on_gpu.py --steps {step}`, {time.monotonic() - started:.0f} s"
        parts.append(f"## {step.replace('_', ' ')}\n\n{(STEPS[step].__doc__ or '').strip()} {command}\n\n{text}\n")
        write_whole(out, "\n".join(parts))
        print(text, flush=True)
    return good


def run_step(step: str, folder: Path, models: list[Path], limit: float) -> tuple[str, bool]:
    """Run a step in a process; return what it printed, also before it was ended, and whether it went well."""
    if limit <= 0:
        return "Not run: no time was left.", False
    command = [sys.executable, str(Path(__file__).with_name("on_gpu_steps.py")), step, str(folder), *map(str, models)]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=said, stderr=errors, start_new_session=True)
        try:
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what it has started: the GPU is the next step's
            process.wait()
        said.seek(0)
        errors.seek(0)
        text, complaint = said.read().strip(), errors.read().strip()
    if code is None:
        return f"{text}\n\nCut short after {limit:.0f} s.", False
    if code not in (0, 1) or (code and not text):
        last = one_line((complaint.splitlines() or ["nothing was said"])[-1], 200)
        return f"{text}\n\nIt ended with code {code}: {last}", False
    return text, code == 0


def heading() -> str:
    """Return the head of the file: what a reader must know of the machine to compare."""
    found = environment()
    gpus = "; ".join(f"{each['name']}, driver {each['driver']}, {each['memory_mib']} MiB" for each in found["gpus"])
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines = [
        f"# {date.today()}, {gpus or 'no GPU'}",
        "",
        f"{found['device']}, {found['cores']} cores, {found['memory_mib']} MiB, {found['system']}, {found['kernel']}"
        + (f", JetPack {found['jetpack']} (L4T {found['l4t']})" if found["jetpack"] else "")
        + (f", power mode {found['power_mode']}" if found["power_mode"] else "")
        + ("; GPU clock locked" if found["gpu_clock_locked"] else "")
        + ".",
        f"CUDA of the driver {found['cuda_driver'] or 'none'}, TensorRT {found['tensorrt'] or 'none'}, Python "
        f"{found['python']}; {versions}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
