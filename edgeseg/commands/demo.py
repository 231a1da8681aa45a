"""`edgeseg demo`: the whole chain on drawn scenes, by the very commands a user types, then a short report."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import click

from edgeseg.core.console import PATH, say
from edgeseg.core.errors import EdgesegError, UsageError
from edgeseg.core.files import file_url
from edgeseg.core.json_text import read_json

DATA = "scenes:train=900,val=60,test=100,size=256x128"
# Tuned for two CPU cores and three minutes: a narrow network, small batches, a high learning rate, mild augmentation.
TRAINING = (
    *("--model", "fcn8", "--size", "256x128", "--width", "0.1875", "--dropout", "0", "--loss", "cross_entropy"),
    *("--epochs", "6", "--batch", "4", "--learning-rate", "0.003"),
    *("--scale-min", "1", "--scale-max", "1", "--brightness", "0.1", "--contrast", "0.1", "--saturation", "0"),
    *("--rotation", "0", "--hue", "0", "--white-balance", "0", "--blur", "0", "--ema", "0", "--weight-decay", "1e-4"),
)
CAMERA_SIZE = "1280x720"
STREAM_SECONDS, BENCHMARK_SECONDS = "10", "10"

_MARK = ".made-by-edgeseg-demo"
_MODULES = {"edgeseg": "edgeseg.__main__", "edgeseg-camera": "edgeseg.runtime.__main__"}


@click.command()
@click.option("--out", type=PATH, default="demo", help="Folder for all that it makes; made anew by each demo.")
def demo(out: Path) -> None:
    """Train on drawn scenes, export, stream a drive, benchmark: the whole chain in a few minutes, nothing needed."""
    run_demo(out)


def run_demo(out: Path) -> None:
    """Train, evaluate, export, stream and benchmark, leaving everything in `out`.

    Raises:
        UsageError: `out` holds something that no demo made, or cannot be written.
        EdgesegError: a step failed; it has said why.
    """
    _prepare(out)
    started = time.monotonic()
    run, model, video = out / "run", out / "model.onnx", out / "overlay.mkv"
    scores, streamed, measured = out / "scores.json", out / "summary.json", out / "benchmark.json"

    _call("edgeseg", "train", "--data", DATA, *TRAINING, "--out", str(run))
    _call("edgeseg", "export", str(run), "--onnx", str(model), "--camera-size", CAMERA_SIZE)
    _call("edgeseg", "evaluate", str(model), "--data", DATA, "--split", "test", "--json", str(scores))
    _call(
        "edgeseg-camera", f"scenes://?size={CAMERA_SIZE}", "--model", str(model), "--seconds", STREAM_SECONDS,
        "--output", file_url(video), "--stats", str(out / "frames.jsonl"), "--summary", str(streamed),
    )  # fmt: skip
    _call("edgeseg", "benchmark", str(model), "--seconds", BENCHMARK_SECONDS, "--json", str(measured))
    say(_report(out, _read(scores), _read(streamed), _read(measured)["summary"], time.monotonic() - started))


def _report(
    out: Path, scores: dict[str, Any], streamed: dict[str, Any], measured: dict[str, Any], seconds: float
) -> str:
    cost, age = measured["latency_ms"]["frame"], streamed["latency_ms"]["capture_to_mask"]
    return f"""
edgeseg demo, {seconds:.0f} s on {measured["device"]}
  mean IoU   {scores["miou"]:.3f} on {scores["images"]} scenes it has not seen
  ms/frame   {cost["p50"]:.1f} p50, {cost["p90"]:.1f} p90, {cost["p99"]:.1f} p99 ({measured["backend"]})
  the drive  {streamed["fps"]:.1f} fps, {age["p50"]:.1f} ms from capture to mask (p50), {age["p99"]:.1f} (p99)
  look at    {out / "run" / "preview.png"}   image, truth, prediction
             {out / "overlay.mkv"}   the drive with its classes
             {out / "model.onnx"}   the camera graph for any engine"""


def _prepare(out: Path) -> None:
    try:
        if out.exists() and not (out / _MARK).exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"{out} holds something that no demo made; choose another --out or empty it")
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        (out / _MARK).touch()
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error


def _call(command: str, *arguments: str) -> None:
    import shlex  # here, since every command's --help imports this file

    from edgeseg.runtime.machine.child import run_child

    say(f"\n$ {shlex.join([command, *arguments])}")
    finished = run_child(_MODULES[command], *arguments)
    if finished.returncode:
        error = EdgesegError(f"the demo ended at `{command} {arguments[0]}`, which said why above")
        error.exit_code = max(finished.returncode, 1)
        raise error


def _read(path: Path) -> Any:
    return read_json(path, "what the command before wrote")
