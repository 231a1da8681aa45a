"""Training: one explicit loop, read from top to bottom.

    settings = TrainSettings(data="camvid:../data/camvid", size=Size(352, 480), epochs=3)
    result = train(settings, Path("RUN"))

Import this module only inside the command that trains: TensorFlow takes seconds.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import edgeseg
from edgeseg.data import Dataset, Sample, open_dataset
from edgeseg.data.fit import PixelColour
from edgeseg.data.memory import MIB, OnProgress, check_labelled, remembered
from edgeseg.data.pipeline import FittedSamples, TrainingBatches
from edgeseg.errors import ModelError, UsageError
from edgeseg.evaluate import evaluate
from edgeseg.files import replace_whole
from edgeseg.geometry import Size
from edgeseg.labels import IGNORE_INDEX
from edgeseg.losses import class_weights
from edgeseg.metrics import Scores
from edgeseg.models import NetworkOptions, check_input_size
from edgeseg.models.inputs import padding_colour
from edgeseg.models.transfer import initialise
from edgeseg.optimisation import copy_weights, make_models, make_optimizer, make_train_step
from edgeseg.overlay import enlarge
from edgeseg.plots import draw_curves, draw_preview
from edgeseg.predictors import KerasPredictor, Predictor, load_predictor
from edgeseg.progress import TrainingProgress
from edgeseg.run_directory import Epoch, RunDirectory
from edgeseg.settings import TrainSettings
from edgeseg.signals import StopRequest
from edgeseg.spec import ModelSpec
from edgeseg.tensorboard import ScalarWriter
from edgeseg.tf import keras, tf
from edgeseg.training_state import DataMark, TrainingState

PREVIEW_PICTURES = 4


@dataclass(frozen=True)
class TrainResult:
    """How a training ended.

    Attributes:
        miou: the best validation mean IoU; -1 if no epoch was completed.
        steps: optimiser steps done since the run began, earlier parts of a resumed run included.
        epochs: completed ones.
        stopped: by Ctrl-C or SIGTERM before its end; it can be resumed if anything was written.
        seconds: wall time of this call.
    """

    miou: float
    steps: int
    epochs: int
    stopped: bool
    seconds: float


class _Stopped(Exception):  # noqa: N818  (no error)
    """A stop was asked for; what is under way is given up."""


def train(settings: TrainSettings, out: Path, resume: bool = False, console: Console | None = None) -> TrainResult:
    """Train a network and leave a run directory with the model that was best on the val split.

    Args:
        settings: what to train, on what and how.
        out: the run directory: new or empty, or with `resume` one of the same settings, which then goes on from its
            last checkpoint and ends with the same number of steps.
        console: where progress is shown; standard output by default.

    Raises:
        UsageError: settings that do not go together, a directory that cannot be used, or data other than the resumed
            run's: nothing was written. Later: the disk is full or gone, or the memory does not suffice.
        DataError: the data cannot be used; all of val, and what class weights need of train, is read before the start.
        ModelError: the loss or a gradient is no longer a number, the best model so far is kept; or the model or the
            checkpoints of the resumed run cannot be read.
    """
    started = time.monotonic()
    network = _network(settings, out, resume)
    check_input_size(network, settings.size)
    run = RunDirectory.prepare(out, settings, resume)
    dataset = open_dataset(settings.data)
    spec = _spec(settings, dataset, network)
    samples, validation = _kept_samples(settings, dataset, padding_colour(spec), settings.cache_mb * MIB)
    batches = TrainingBatches(samples, settings.batch, settings.seed, settings.augmentation)
    total_steps = settings.epochs * batches.steps_per_epoch

    model, kept = make_models(settings, len(dataset.classes), network)
    optimizer = make_optimizer(settings, model, total_steps)
    state = TrainingState(model, optimizer, run.checkpoints, DataMark.of(samples.samples, validation))
    damaged = state.restore() if resume else []
    started_from = _start(model, network, settings, state.step, dataset)
    history = run.read_history(until_step=state.step)
    if history:
        load_predictor(run.path).close()  # the best model so far is shown at the end: better to know now

    predictor = KerasPredictor(kept, spec)
    progress = TrainingProgress(settings.epochs, batches.steps_per_epoch, state.step, console)
    board = ScalarWriter(run.tensorboard, progress.say)
    stopped = False
    with StopRequest() as stop, progress, board, _memory_limits_said(settings, network):
        for line in [*(f"{each}: going on from step {state.step}" for each in damaged), *started_from]:
            progress.say(line)
        watch = _watch(stop, progress)
        try:
            weights = class_weights(_shares(settings, samples, len(dataset.classes), watch), settings.class_balance)
            check_labelled(validation, settings.size, settings.fit, settings.crop, watch("reading val"))
            run.begin(settings, spec)
            train_step = make_train_step(model, optimizer, spec, weights)
            stream = batches.iterate(first_step=state.step)

            epoch_started = time.monotonic()
            while True:
                epoch_ends = state.step > 0 and state.step % batches.steps_per_epoch == 0
                if epoch_ends and not (history and history[-1].step == state.step):
                    state.save()  # first: whatever goes wrong in validation does not cost the epoch
                    copy_weights(model, kept)
                    scores = evaluate(predictor, validation, dataset.classes, watch("validating"))
                    epoch = _epoch(state, batches.steps_per_epoch, scores, optimizer, time.monotonic() - epoch_started)
                    is_best = not history or epoch.miou > max(earlier.miou for earlier in history)
                    history.append(epoch)
                    if is_best:
                        replace_whole(run.model, kept.save)
                        run.write_spec(_with_metrics(spec, scores, epoch))
                    run.write_history(history)
                    board.write(_scalars(epoch), epoch.step)
                    progress.epoch(epoch, is_best)
                    epoch_started = time.monotonic()
                if state.step == total_steps:
                    break
                watch("")(0)
                opens_epoch = state.step % batches.steps_per_epoch == 0
                loss = float(train_step(*next(stream)))
                if not math.isfinite(loss):
                    raise ModelError(_not_finite(loss, state.step, settings, run))
                state.add_loss(loss, opens_epoch)
                progress.step(state.step, loss)
        except _Stopped:
            stopped = True
            state.save()
            go_on = f"go on with --resume --out {out}" if run.config.exists() else "nothing was written"
            progress.say(f"stopped at step {state.step} of {total_steps}; {go_on}")
    if history:
        _draw(run, history, validation)
    best = max((epoch.miou for epoch in history), default=-1.0)
    return TrainResult(best, state.step, len(history), stopped, time.monotonic() - started)


def _watch(stop: StopRequest, progress: TrainingProgress) -> Callable[[str], OnProgress]:
    """Return a function from what is done to an `on_progress` that shows it and ends it when a stop is asked for."""

    def watch(what: str) -> OnProgress:
        def on_progress(done: int) -> None:
            if stop.requested:
                raise _Stopped
            if what:
                progress.doing(f"{what} {done}")

        on_progress(0)
        return on_progress

    return watch


def _shares(
    settings: TrainSettings, samples: FittedSamples, classes: int, watch: Callable[[str], OnProgress]
) -> NDArray[np.float64]:
    """Return the class shares, or zeros where nothing is balanced by them; masks without any label are refused."""
    reading = watch("reading the labels")
    if settings.class_balance != "none":
        return samples.class_shares(classes, reading)
    samples.check_labelled(reading)
    return np.zeros(classes)


@contextmanager
def _memory_limits_said(settings: TrainSettings, network: NetworkOptions) -> Iterator[None]:
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise UsageError(
            f"the memory does not suffice for batch {settings.batch} at {settings.size} and width {network.width:g}; "
            f"use a lower --batch, in a new run with another --out"
        ) from error


def _kept_samples(
    settings: TrainSettings, dataset: Dataset, padding: PixelColour, budget: int
) -> tuple[FittedSamples, list[Sample]]:
    """Return train at the network's size and val; val may keep in memory what train leaves of the budget of bytes."""
    training = FittedSamples(dataset.split("train"), settings.size, settings.fit, settings.crop, padding, budget)
    return training, remembered(dataset.split("val"), budget - training.kept_bytes)


def _network(settings: TrainSettings, out: Path, resume: bool) -> NetworkOptions:
    """Return the network to build; a run that goes on has its own, also where what it started from is gone."""
    spec = RunDirectory(out).spec
    return NetworkOptions.from_spec(ModelSpec.read(spec)) if resume and spec.exists() else settings.network()


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
        versions={"edgeseg": edgeseg.__version__, "tensorflow": tf.__version__, "keras": keras.__version__},
    )


def _epoch(state: TrainingState, steps: int, scores: Scores, optimizer: Any, seconds: float) -> Epoch:
    return Epoch(
        epoch=state.step // steps,
        step=state.step,
        loss=state.loss_sum / steps,
        miou=scores.miou,
        pixel_accuracy=scores.pixel_accuracy,
        learning_rate=float(optimizer.learning_rate),
        seconds=round(seconds, 2),
    )


def _scalars(epoch: Epoch) -> dict[str, float]:
    return {"loss": epoch.loss, "miou": epoch.miou, "learning_rate": epoch.learning_rate}


def _with_metrics(spec: ModelSpec, scores: Scores, epoch: Epoch) -> ModelSpec:
    metrics = {"miou": scores.miou, "pixel_accuracy": scores.pixel_accuracy, "epoch": epoch.epoch}
    return dataclasses.replace(spec, metrics=metrics)


def _draw(run: RunDirectory, history: Sequence[Epoch], validation: Sequence[Sample]) -> None:
    """Draw the curves, and what the best model, read back from its file, makes of pictures from all over the split."""
    replace_whole(run.curves, lambda path: draw_curves(history, path))
    chosen = np.unique(np.linspace(0, len(validation) - 1, PREVIEW_PICTURES).astype(int))
    with load_predictor(run.path) as predictor:
        rows = [_preview_row(predictor, validation[index]) for index in chosen]
        replace_whole(run.preview, lambda path: draw_preview(rows, predictor.spec.classes, path))


def _preview_row(predictor: Predictor, sample: Sample) -> tuple[Any, Any, Any]:
    image, truth = sample.read()
    placement = predictor.placement(Size(*truth.shape))
    predicted = np.full_like(truth, IGNORE_INDEX)
    x, y, width, height = placement.source
    predicted[y : y + height, x : x + width] = enlarge(predictor.predict([image])[0], placement)
    return image, truth, predicted


def _not_finite(loss: float, step: int, settings: TrainSettings, run: RunDirectory) -> str:
    kept = f"the best model so far is {run.model}" if run.model.exists() else "no epoch was completed"
    return (
        f"the loss or a gradient is {loss} at step {step + 1}; expected a finite number: lower the learning rate "
        f"({settings.learning_rate:g}) in a new run, or check the images; {kept}"
    )
