"""Training: one explicit loop, read from top to bottom.

    settings = TrainSettings(data="camvid:../data/camvid", size=Size(352, 480), epochs=3)
    result = train(settings, Path("RUN"))

Import this module only inside the command that trains: TensorFlow takes seconds.
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import edgeseg
from edgeseg.core.labels import IGNORE_INDEX
from edgeseg.core.signals import StopRequest
from edgeseg.core.spec import ModelSpec
from edgeseg.data.base import Dataset, Sample
from edgeseg.data.feeding.checks import check_labelled, start_warnings
from edgeseg.data.feeding.class_balance import class_weights
from edgeseg.data.feeding.fit import PixelColour
from edgeseg.data.feeding.label_counts import SplitCount
from edgeseg.data.feeding.pipeline import FittedSamples, TrainingBatches
from edgeseg.data.parallel import OnProgress
from edgeseg.data.wrappers import MIB, remembered
from edgeseg.evaluation.predictors import load_predictor
from edgeseg.models.inputs import padding_colour
from edgeseg.models.options import NetworkOptions
from edgeseg.models.transfer import initialise
from edgeseg.models.weights_package import weights_origin
from edgeseg.tf import keras, tf
from edgeseg.training.cluster import Cluster
from edgeseg.training.distribution import Distribution, check_gpu
from edgeseg.training.epoch_end import EpochEnd
from edgeseg.training.loop import Stopped, TrainingLoop, translate_resource_errors
from edgeseg.training.losses import SegmentationLoss
from edgeseg.training.optimiser import LossScale, copy_weights, make_models, make_optimizer
from edgeseg.training.progress import TrainingProgress
from edgeseg.training.report import write_run_report
from edgeseg.training.schedule import Schedule
from edgeseg.training.settings import TrainSettings
from edgeseg.training.start import Start, start
from edgeseg.training.state import DataMark, TrainingState
from edgeseg.training.step import TrainStep
from edgeseg.training.teacher import Teacher
from edgeseg.training.tensorboard import BoardWriter


@dataclass(frozen=True)
class TrainResult:
    """How a training ended.

    Attributes:
        miou: the best validation mean IoU; -1 if no epoch was completed.
        steps: optimiser steps done since the run began, earlier parts of a resumed run included.
        epochs: completed and validated ones.
        stopped: by Ctrl-C or SIGTERM before its end; it can be resumed if anything was written.
        seconds: wall time of this call.
    """

    miou: float
    steps: int
    epochs: int
    stopped: bool
    seconds: float


def train(
    settings: TrainSettings,
    out: Path,
    resume: bool = False,
    console: Console | None = None,
    *,
    started: Start | None = None,
    cluster: Cluster | None = None,
    devices: Sequence[str] = (),
    require_gpu: bool = False,
    strict: bool = False,
) -> TrainResult:
    """Train a network and leave a run directory with the model that was best on the val split.

    Args:
        settings: what to train, on what and how.
        out: the run directory: new or empty, or with `resume` one of the same settings, which then goes on from its
            last checkpoint and ends with the same number of steps.
        console: where progress is shown; standard output by default.
        started: what edgeseg.training.start.start gave for the same settings, out and resume, if it was called before.
        cluster: the hosts that train this run together, each in a call of its own with the same settings, data and
            `out`; only the first one writes there and validates.
        devices: TensorFlow's names of this machine's devices to train on; all GPUs, or else the CPU, by default.
        require_gpu: refuse to train without one.
        strict: what the data is warned of at the start is an error.

    Raises:
        UsageError: settings that do not go together, a directory that cannot be used or that another training is
            writing, no GPU though one is required,
            or data other than the resumed run's: nothing was written. Later: the disk is full or gone, or the memory
            does not suffice.
        DataError: the data cannot be used; all of val, and labels of train for the classes' shares, are read before
            the start.
        ModelError: the loss or a gradient is no longer a number, the best model and the last checkpoint before are
            kept; or the model or the checkpoints of the resumed run cannot be read, or are of other classes.
        EngineError: another of the hosts is gone, or never came.
    """
    started = started or start(settings, out, resume)
    if require_gpu:
        check_gpu()
    is_chief = cluster is None or cluster.is_chief
    with started.run.writing() if is_chief else contextlib.nullcontext():
        return _train(settings, started, resume, console, Distribution.open(cluster, devices), strict)


def _train(
    settings: TrainSettings,
    started: Start,
    resume: bool,
    console: Console | None,
    distribution: Distribution,
    strict: bool,
) -> TrainResult:
    began = time.monotonic()
    run, dataset, network = started
    spec = _spec(settings, dataset, network)
    samples, validation = _kept_samples(settings, dataset, padding_colour(spec), settings.cache_mb * MIB)
    batches = TrainingBatches(samples, settings.batch, settings.seed, settings.augmentation, settings.window)
    distribution.check_settings(settings)

    model, kept = make_models(settings, len(dataset.classes), distribution, network)
    optimizer, scale = make_optimizer(settings, model, distribution), LossScale(settings.precision)
    teacher = _teacher(settings, distribution)
    mark = DataMark.of(samples.samples, validation)
    average = kept if settings.ema else None
    state = TrainingState(model, optimizer, run.checkpoints, mark, average, scale, distribution.is_chief)
    damaged = state.restore() if resume else []
    started_from = _start(model, network, settings, state.step, dataset)
    if average and state.step == 0:
        copy_weights(model, average)
    history = run.read_history(until_step=state.step)
    state.spent_at_least(sum(epoch.seconds for epoch in history))
    if history:
        load_predictor(run.path).close()  # the best model so far is shown at the end: better to know now

    end_epoch = EpochEnd(run, model, kept, average is not None, spec, validation, history)
    schedule = Schedule(settings, batches.steps_per_epoch)
    progress = TrainingProgress(schedule.total_steps, batches.steps_per_epoch, state.step, console)
    board = BoardWriter(run.tensorboard, progress.say)
    stopped = False
    with StopRequest() as stop, progress, board, translate_resource_errors(settings, run.path, distribution):
        for line in [*(f"{each}: going on from step {state.step}" for each in damaged), *started_from]:
            progress.say(line)
        watch = _watch(stop, progress)
        try:
            seen = SplitCount()
            weights, end_epoch.train_shares = _class_weights(settings, samples, len(dataset.classes), watch, seen)
            val = check_labelled(validation, settings.size, settings.fit, settings.crop, watch("reading val"))
            splits = {"train": (samples.samples, seen), "val": (validation, val)}
            for line in start_warnings(dataset, splits, strict):
                progress.say(f"warning: {line}")
            for line in dataset.remarks.notes():
                progress.say(f"note: {line}")
            distribution.check_same(_marks(settings, mark, state.step, len(history)))
            if distribution.is_chief:
                run.begin(settings, spec)
            loss = SegmentationLoss(settings.losses, weights, IGNORE_INDEX, settings.focal_gamma, settings.hard_pixels)
            step = TrainStep(
                model, kept, optimizer, loss, scale, distribution, spec, settings,
                teacher=teacher,
            )  # fmt: skip
            TrainingLoop(
                settings, batches, step, state, end_epoch, schedule, distribution, progress, board, watch,
                lambda: stop.requested,
            ).run()  # fmt: skip
        except Stopped:
            stopped = True
            state.save()
            go_on = f"go on with --resume --out {run.path}" if run.config.exists() else "nothing was written"
            progress.say(f"stopped at step {state.step}{progress.of_total}; {go_on}")
    if history and distribution.is_chief:
        write_run_report(run, history, validation)
    epochs = history[-1].epoch if history else 0
    return TrainResult(end_epoch.best, state.step, epochs, stopped, time.monotonic() - began)


def _watch(stop: StopRequest, progress: TrainingProgress) -> Callable[[str], OnProgress]:
    """Return a function from what is done to an `on_progress` that shows it and ends it when a stop is asked for."""

    def watch(what: str) -> OnProgress:
        def on_progress(done: int) -> None:
            if stop.requested:
                raise Stopped
            progress.doing(f"{what} {done}")

        on_progress(0)
        return on_progress

    return watch


def _class_weights(
    settings: TrainSettings,
    samples: FittedSamples,
    classes: int,
    watch: Callable[[str], OnProgress],
    seen: SplitCount,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return a weight for each class and its share of the labels, for the report; refuse masks without any label."""
    counts = samples.class_counts(classes, watch("reading the labels"), seen)
    return class_weights(counts, settings.class_balance), counts.shares


def _teacher(settings: TrainSettings, distribution: Distribution) -> Teacher | None:
    if not settings.teacher:
        return None
    with distribution.scope():
        return Teacher(Path(settings.teacher), settings.window, settings.precision)


def _marks(settings: TrainSettings, data: DataMark, step: int, epochs: int) -> dict[str, int]:
    """What all hosts of a run must have alike."""
    return {
        "settings": zlib.crc32(settings.to_toml().encode()),
        "data": data.names,
        "checkpoint": step,
        "history": epochs,
    }


def _kept_samples(
    settings: TrainSettings, dataset: Dataset, padding: PixelColour, budget: int
) -> tuple[FittedSamples, list[Sample]]:
    """Return train at the network's size and val; val may keep in memory what train leaves of the budget of bytes."""
    training = FittedSamples(dataset.split("train"), settings.size, settings.fit, settings.crop, padding, budget)
    return training, remembered(dataset.split("val"), budget - training.kept_bytes)


def _start(model: Any, network: NetworkOptions, settings: TrainSettings, step: int, dataset: Dataset) -> list[str]:
    """Give the model its first weights, unless a checkpoint has given it later ones; return what is to be said."""
    return [] if step else initialise(model, network, settings.weights, settings.init, dataset.classes)


def _spec(settings: TrainSettings, dataset: Dataset, network: NetworkOptions | None = None) -> ModelSpec:
    network = network or settings.network()
    pixels = network.preprocessing
    return ModelSpec(
        name=network.name,
        architecture=network.architecture,
        encoder=network.encoder,
        input_size=settings.size,
        colour_order=pixels.colour_order,
        mean=pixels.mean,
        scale=pixels.scale,
        classes=dataset.classes,
        fit=settings.fit,
        crop=settings.crop,
        options=network.to_document(),
        trained_on=settings.data,
        versions={
            "edgeseg": edgeseg.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            **weights_origin(network.encoder, settings.weights),
        },
    )
