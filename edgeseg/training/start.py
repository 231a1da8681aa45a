"""What of a training can be checked before TensorFlow is loaded: most mistakes show here, within a second."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Dataset
from edgeseg.data.feeding.checks import check_batch
from edgeseg.models.initial_network import run_spec
from edgeseg.models.options import NetworkOptions, check_input_size
from edgeseg.models.weights_package import check_installed
from edgeseg.training.run_directory import RunDirectory
from edgeseg.training.settings import TrainSettings


class Start(NamedTuple):
    """A run that may begin, or go on."""

    run: RunDirectory
    dataset: Dataset
    network: NetworkOptions


def start(settings: TrainSettings, out: Path, resume: bool, dataset: Dataset | None = None) -> Start:
    """Check settings, run directory and data, which may have been opened already; nothing is written.

    Raises:
        UsageError: settings that do not go together, a batch larger than the data, or a directory that cannot be used.
        DataError: there is no such data set, or it lacks the split train or val.
        ModelError: the run that is to go on, or the teacher, has other classes than the data.
    """
    run = RunDirectory.prepare(out, settings, resume)
    network = _network(settings, out, resume)
    if not resume:
        check_installed(network.encoder, settings.weights)
    for size in (settings.size, settings.window):
        check_input_size(network, size)
    dataset = dataset or open_dataset(settings.data)
    if settings.teacher:
        _check_teacher(Path(settings.teacher), settings.window, dataset.classes)
    dataset.check_crop(settings.crop)
    for split in ("train", "val"):
        dataset.split(split)
    check_batch(settings.batch, len(dataset.split("train")))
    if resume and run.spec.exists():
        _check_classes(run, ModelSpec.read(run.spec).classes, dataset.classes)
    return Start(run, dataset, network)


def _network(settings: TrainSettings, out: Path, resume: bool) -> NetworkOptions:
    """Return the network to build; a run that goes on has its own, also where what it started from is gone."""
    spec = RunDirectory(out).spec
    return NetworkOptions.from_spec(ModelSpec.read(spec)) if resume and spec.exists() else settings.network()


def _check_teacher(run: Path, window: Size, classes: ClassMap) -> None:
    spec = run_spec(run)
    if spec.classes.names != classes.names:
        raise ModelError(
            f"teacher {run} knows {len(spec.classes)} classes ({', '.join(spec.classes.names)}), the data has "
            f"{len(classes)} ({', '.join(classes.names)}); expected the same ones in the same order"
        )
    check_input_size(NetworkOptions.from_spec(spec), window)


def _check_classes(run: RunDirectory, before: ClassMap, now: ClassMap) -> None:
    if before.names != now.names:
        raise ModelError(
            f"{run.path} was trained on {len(before)} classes ({', '.join(before.names)}), the data now has {len(now)} "
            f"({', '.join(now.names)}); restore the data's classes, or start a new run with another --out"
        )
