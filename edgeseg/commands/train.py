"""`edgeseg train` and `edgeseg report`: a run, and its page drawn anew."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from edgeseg.commands.options import CLASSES
from edgeseg.core.console import PATH, given, say, setting_options
from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Crop
from edgeseg.core.option_types import number
from edgeseg.data.argument import data_of_model, open_dataset, with_classes
from edgeseg.data.base import Dataset
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.training.cluster import find_cluster
from edgeseg.training.presets import DECIDED, DEFAULT, OWN_NETWORK, PRESETS, chosen_among, picture_size, with_preset
from edgeseg.training.run_directory import RunDirectory
from edgeseg.training.settings import TrainSettings


@click.command()
@click.option("--out", required=True, type=PATH, help="Run directory: new, or with --resume the one to go on with.")
@click.option("--resume", is_flag=True, help="Go on from the run directory's last checkpoint.")
@click.option("--crop", metavar="X,Y,W,H", help="Use only this part of the pictures, in their pixels.")
@CLASSES
@click.option("--require-gpu", is_flag=True, help="Fail where TensorFlow finds no GPU.")
@click.option("--strict", is_flag=True, help="What the data is warned of at the start is an error.")
@click.option("--hosts", metavar="A:PORT,B:PORT", help="Train on these hosts together; or set TF_CONFIG.")
@click.option(
    "--index",
    type=number(0, 1023, whole=True),
    help="This host's place among --hosts, from 0; the first one writes --out.",
)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default=DEFAULT,
    help="Network and training's length, docs/recipes.md.",
)
@setting_options(TrainSettings, leave_out=("crop", "augmentation"), decided=DECIDED, by="by --preset")
@setting_options(Augmentation)
def train(
    out: Path,
    resume: bool,
    crop: str | None,
    classes: str | None,
    require_gpu: bool,
    strict: bool,
    hosts: str | None,
    index: int | None,
    preset: str,
    **options: Any,
) -> int:
    """Train a model on labelled pictures; leaves a run directory.

    What is not given is as in the --preset: a network, at the shape of the data's pictures, and how long it trains. One
    of --model, --encoder, --weights and --init takes the place of the whole network, one of --epochs, --steps and
    --minutes that of the length.

    All GPUs of the machine are used. With --resume the run's own settings hold; an option that is given must agree with
    them.
    """
    if resume and given({"preset": preset}):
        raise UsageError("--preset with --resume; leave it out: a run that goes on has its settings")
    if resume and classes:
        raise UsageError("--classes with --resume; leave it out: a run that goes on has its classes")
    options["data"] = with_classes(options["data"], classes)
    if find_spec("tensorflow") is None:  # else what is read before its import would name a smaller extra
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
    cluster = find_cluster(hosts, index, os.environ)
    typed = given(options)
    if resume:
        settings, dataset = _resumed(out, typed, crop), None
    else:
        settings, dataset = _fresh(preset, {**typed, "data": options["data"]}, crop)

    from edgeseg.training.start import start

    started = start(settings, out, resume, dataset)  # before TensorFlow's import, which takes seconds

    from edgeseg.training.train import train as run_training

    result = run_training(
        settings, out, resume, started=started, cluster=cluster, require_gpu=require_gpu, strict=strict
    )
    if result.epochs and (cluster is None or cluster.is_chief):
        say(f"mean IoU {result.miou:.3f} on val, the best of {result.epochs} epochs, {result.seconds:.0f} s: {out}")
    return 130 if result.stopped else 0


def _fresh(preset: str, options: dict[str, Any], crop: str | None) -> tuple[TrainSettings, Dataset]:
    """Return the settings of a new run from the options that were typed, and its data."""
    named = chosen_among(OWN_NETWORK, options)
    if named and given({"preset": preset}):
        raise UsageError(f"--preset {preset} and --{named[0]} both choose a network; leave one of them out")
    dataset = open_dataset(options["data"])
    picture = None if "size" in options and crop is None else picture_size(dataset)
    shares = Crop.parse(crop, picture) if picture and crop is not None else None
    chosen = with_preset(preset, options, picture, shares)
    return replace(_with_options(TrainSettings(), chosen), crop=shares), dataset


def _resumed(out: Path, options: dict[str, Any], crop: str | None) -> TrainSettings:
    settings = RunDirectory(out).settings()
    data_of_model(options.get("data"), settings.data, "--data")  # refuses a class that the run alone names
    settings = _with_options(settings, options)
    if crop is None:
        return settings
    return replace(settings, crop=Crop.parse(crop, picture_size(open_dataset(settings.data))))


def _with_options(settings: TrainSettings, options: dict[str, Any]) -> TrainSettings:
    augmentation = {each.name: options[each.name] for each in fields(Augmentation) if each.name in options}
    changes: dict[str, Any] = {name: value for name, value in options.items() if name not in augmentation}
    changes["augmentation"] = replace(settings.augmentation, **augmentation)
    return replace(settings, **changes)


@click.command()
@click.argument("run", type=PATH)
@click.option("--data", help="Its data, where that is a Python class, whose code runs; else the run's own.")
def report(run: Path, data: str | None) -> None:
    """Draw the pictures and report.html of RUN anew, also of a run that is under way or was killed."""
    directory = RunDirectory(run)
    data = data_of_model(data, directory.settings().data, "--data")
    history = directory.read_history()
    if not history:
        raise ModelError(f"{run}: no epoch in its history; expected a run that has ended one: train on with --resume")
    samples = open_dataset(data).split("val")

    from edgeseg.training.report import write_run_report

    write_run_report(directory, history, samples)
    say(f"see {directory.report}")
