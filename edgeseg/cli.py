"""The `edgeseg` command. Each command parses, calls and prints; what it needs is imported when it runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from edgeseg.console import option, run_command, say
from edgeseg.data.augment import Augmentation
from edgeseg.data_commands import data
from edgeseg.export_commands import export
from edgeseg.run_directory import RunDirectory
from edgeseg.settings import TrainSettings

PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="edgeseg", message="%(package)s %(version)s")
def cli() -> None:
    """Semantic segmentation on embedded NVIDIA GPUs: train, evaluate, export, benchmark.

    Data sets are named FORMAT:PATH; sizes are WIDTHxHEIGHT. In the vehicle, edgeseg-camera streams a camera.
    """


def _training_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command one option for each training setting, named, typed and explained by the setting itself."""
    for each in reversed([*fields(TrainSettings), *fields(Augmentation)]):
        if each.name not in ("crop", "augmentation"):
            command = option(each)(command)
    return command


@cli.command()
@click.option("--out", required=True, type=PATH, help="Run directory: new, or with --resume the one to go on with.")
@click.option("--resume", is_flag=True, help="Go on from the run directory's last checkpoint.")
@click.option("--crop", metavar="X,Y,W,H", help="Use only this part of the pictures, in their pixels.")
@_training_options
def train(out: Path, resume: bool, crop: str | None, **options: Any) -> int:
    """Train a model on labelled pictures; leaves a run directory.

    With --resume the run's own settings hold; an option that is given must agree with them.
    """
    settings = _with_options(RunDirectory(out).settings(), _given(options), crop) if resume else None
    settings = settings or _with_options(TrainSettings(), options, crop)

    from edgeseg.train import train as run_training

    result = run_training(settings, out, resume)
    if result.epochs:
        say(f"mean IoU {result.miou:.3f} on val, the best of {result.epochs} epochs, {result.seconds:.0f} s: {out}")
    return 130 if result.stopped else 0


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the user has typed, without those at their defaults."""
    source = click.get_current_context().get_parameter_source
    return {name: value for name, value in options.items() if source(name) is not ParameterSource.DEFAULT}


def _with_options(settings: TrainSettings, options: Mapping[str, Any], crop: str | None) -> TrainSettings:
    augmentation = {each.name: options[each.name] for each in fields(Augmentation) if each.name in options}
    changes: dict[str, Any] = {name: value for name, value in options.items() if name not in augmentation}
    changes["augmentation"] = replace(settings.augmentation, **augmentation)
    settings = replace(settings, **changes)
    return settings if crop is None else replace(settings, crop=_crop_of_data(crop, settings.data))


def _crop_of_data(text: str, data: str) -> Any:
    """Turn a crop in pixels of the data set's pictures into shares of them."""
    from edgeseg.data import open_dataset
    from edgeseg.geometry import Crop, Size

    first = open_dataset(data).split("train")[0].read_image()
    return Crop.parse(text, Size(*first.shape[:2]))


@cli.command()
@click.argument("model", type=PATH)
@click.option("--data", required=True, metavar="FORMAT:PATH", help="Labelled pictures.")
@click.option("--split", default="val", help="Of the data set.")
@click.option("--json", "json_path", type=PATH, help="Write the scores as JSON.")
@click.option("--backend", default="auto", help="Engine for an ONNX file.")
def evaluate(model: Path, data: str, split: str, json_path: Path | None, backend: str) -> None:
    """Measure mean IoU of MODEL: a run directory, a .keras file or an .onnx file."""
    from edgeseg.data import open_dataset
    from edgeseg.evaluate import evaluate as measure
    from edgeseg.evaluate import load_predictor
    from edgeseg.files import check_writable, write_whole
    from edgeseg.progress import evaluation_progress

    if json_path:
        check_writable(json_path)
    dataset = open_dataset(data)
    samples = dataset.split(split)
    with load_predictor(model, backend) as predictor, evaluation_progress(len(samples)) as show:
        scores = measure(predictor, samples, dataset.classes, show)
    say(f"mean IoU {scores.miou:.4f}, pixel accuracy {scores.pixel_accuracy:.4f}, {scores.images} images")
    for name, value in scores.iou.items():
        say(f"  {name:<20} {'does not occur' if value is None else f'{value:.4f}'}")
    if json_path:
        write_whole(json_path, json.dumps(asdict(scores), indent=1) + "\n")


cli.add_command(data)


cli.add_command(export)


@cli.command()
@click.argument("model", type=PATH)
@click.option("--source", default="scenes://", help="A video file, a folder of images, or scenes://.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=10.0, help="How long to measure.")
@click.option("--backend", default="auto", help="auto or onnxruntime-cpu.")
@click.option("--threads", type=click.IntRange(1), help="Host threads for the network.  [default: engine's choice]")
@click.option("--json", "json_path", type=PATH, help="Write the result as JSON.")
def benchmark(model: Path, source: str, json_path: Path | None, **options: Any) -> int:
    """Measure ms/frame of MODEL (an ONNX file) on every frame of a source, over and over, after a warm-up."""
    from edgeseg.files import check_writable, write_whole
    from edgeseg.runtime.benchmark import BenchmarkSettings, result_document
    from edgeseg.runtime.benchmark import benchmark as measure
    from edgeseg.runtime.report import StatusLine, table
    from edgeseg.runtime.sources import parse_source
    from edgeseg.signals import StopRequest

    if json_path:
        check_writable(json_path)
    settings = BenchmarkSettings(**options)
    status = StatusLine()
    with StopRequest() as stop:
        outcome = measure(
            model, parse_source(source), settings, stop.event, status, lambda text: click.echo(text, err=True)
        )
    status.clear()
    if json_path and not stop.requested:
        write_whole(json_path, json.dumps(result_document(outcome, settings), indent=1) + "\n")
    say(table(outcome.summary))
    if stop.requested:
        click.echo("stopped before its time; no result was written", err=True)
        return 130
    return 0


@cli.command()
@click.option("--out", type=PATH, default="demo", help="Folder for all that it makes; made anew by each demo.")
def demo(out: Path) -> None:
    """Train on drawn scenes, export, stream a drive, benchmark: the whole chain in a few minutes, nothing needed."""
    from edgeseg.demo import run_demo

    run_demo(out)


def main() -> None:
    """Run the command as a program."""
    run_command(cli, "edgeseg")
