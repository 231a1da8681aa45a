"""`edgeseg export`: a run becomes one ONNX file, proven before it takes its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from edgeseg.core.console import PATH, SIZE, note, say, setting_option
from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import FITS, Crop, Size
from edgeseg.core.option_types import number
from edgeseg.export.settings import ExportSettings


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command one option for each setting that explains itself."""
    for each in reversed([each for each in fields(ExportSettings) if "help" in each.metadata]):
        command = setting_option(each)(command)
    return command


@click.command()
@click.argument("run", type=PATH)
@click.option(
    "--onnx", "target", required=True, type=PATH, help="The file to write; <file>.spec.json, .card.md come beside it."
)
@click.option("--camera-size", type=SIZE, help="Of the frames that the graph takes.  [default: network size]")
@click.option("--crop", metavar="X,Y,W,H", help="Use only this part of the frame, in its pixels.  [default: the run's]")
@click.option(
    "--fit",
    type=click.Choice(FITS),
    help="How the frame's shape meets the network's: stretch, crop or pad.  [default: the run's]",
)
@click.option("--check", metavar="FORMAT:PATH", help="Frames for the proof.  [default: the run's data]")
@click.option("--calibrate", metavar="FORMAT:PATH", help="Frames for int8's calibration.  [default: the run's data]")
@click.option(
    "--equal-pixels",
    type=number(0, 1),
    help="Least share of pixels as the model's.  [default: 0.9999 for fp32, 0.999 for fp16, 0.97 for int8]",
)
@click.option(
    "--logit-error",
    type=number(0, 1e6),
    help="Greatest error of a logit, of their range.  [default: 0.01 for fp32, 0.05 for fp16, none for int8]",
)
@click.option(
    "--keep-float",
    multiple=True,
    metavar="LAYER",
    help="Leave this layer in float32 with fp16, in float with int8; may be given several times.",
)
@click.option(
    "--tensorrt-check/--no-tensorrt-check",
    default=None,
    help="Build an engine with NVIDIA's library.  [default: where tensorrt or tensorrt_rtx is installed]",
)
@click.option(
    "--scores",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Figures for the model card, of edgeseg evaluate --json; may be repeated.  [default: the training's, of val]",
)
@click.option("--report", type=PATH, help="Write the report as JSON, and a picture of the worst frame beside it.")
@click.option("--engine", type=PATH, metavar="FILE", help="Also build a TensorRT engine of it: edgeseg engine build.")
@_settings
def export(
    run: Path, target: Path, crop: str | None, camera_size: Size | None, engine: Path | None, **options: Any
) -> None:
    """Export RUN (a run directory or a .keras file) as one ONNX file, compared with the model before it is written.

    The file takes camera frames (uint8, BGR) and gives class maps (uint8); resize, normalisation and argmax are inside.
    """
    if crop and not camera_size:
        raise UsageError(
            f"--crop {crop} is in pixels of the camera's frame; give its size by --camera-size WIDTHxHEIGHT"
        )
    cut = Crop.parse(crop, camera_size) if crop and camera_size else None

    from edgeseg.export.exporter import export as run_export

    settings = ExportSettings(camera_size=camera_size, crop=cut, **options)
    report = run_export(run, target, settings, _progress)
    for line in report.lines():
        say(line)
    if engine:
        from edgeseg.runtime.commands.engine import build_and_say

        build_and_say(target, engine)


def _progress(text: str) -> None:
    """Say what goes on, or a remark, which has a colon."""
    note(text if ": " in text else f"{text} ...")
