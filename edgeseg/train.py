"""Training: one explicit loop, read from top to bottom.

    settings = TrainSettings(data="camvid:../data/camvid", size=Size(352, 480), epochs=3)
    result = train(settings, Path("RUN"))

Import this module only inside the command that trains: TensorFlow takes seconds.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import edgeseg
from edgeseg.data import Dataset, Sample, open_dataset
from edgeseg.data.memory import remembered
from edgeseg.data.pipeline import MIB, FittedSamples, TrainingBatches
from edgeseg.errors import ModelError
from edgeseg.evaluate import evaluate
from edgeseg.files import replace_whole
from edgeseg.geometry import Size
from edgeseg.labels import IGNORE_INDEX
from edgeseg.losses import class_weights, cross_entropy
from edgeseg.metrics import Scores
from edgeseg.models import ARCHITECTURES, build_model, check_input_size, preprocessing
from edgeseg.models.inputs import network_input, padding_colour
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
from edgeseg.training_state import TrainingState

PREVIEW_PICTURES = 4
ADAM_BETA_2 = 0.99  # the default 0.999 averages over more steps than a short training has


@dataclass(frozen=True)
class TrainResult:
    """How a training ended.

    Attributes:
        miou: the best validation mean IoU; -1 if no epoch was completed.
        steps: optimiser steps done since the run began, earlier parts of a resumed run included.
        epochs: completed ones.
        stopped: by Ctrl-C or SIGTERM before its end; it can be resumed.
        seconds: wall time of this call.
    """

    miou: float
    steps: int
    epochs: int
    stopped: bool
    seconds: float


def train(settings: TrainSettings, out: Path, resume: bool = False, console: Console | None = None) -> TrainResult:
    """Train a network and leave a run directory with the model that was best on the val split.

    Args:
        settings: what to train, on what and how.
        out: the run directory: new or empty, or with `resume` one of the same settings, which then goes on from its
            last checkpoint and ends with the same number of steps.
        console: where progress is shown; standard output by default.

    Raises:
        UsageError: settings that do not go together, or a directory that cannot be used; nothing was written.
        DataError: the data cannot be used.
        ModelError: the loss is no longer a number; the best model so far is kept.
    """
    started = time.monotonic()
    check_input_size(settings.model, settings.size)
    run = RunDirectory.prepare(out, settings, resume)
    dataset = open_dataset(settings.data)
    batches, validation = _data(settings, dataset)
    total_steps = settings.epochs * batches.steps_per_epoch

    spec = _spec(settings, dataset)
    model, kept = _models(settings, len(dataset.classes))
    optimizer = _optimizer(settings, model, total_steps)
    run.begin(settings, spec)
    state = TrainingState(model, optimizer, run.checkpoints)
    if resume:
        state.restore()
    history = run.read_history(until_step=state.step)

    predictor = KerasPredictor(kept, spec)
    progress = TrainingProgress(settings.epochs, batches.steps_per_epoch, state.step, console)
    with StopRequest() as stop, progress, ScalarWriter(run.tensorboard) as board:
        progress.doing("reading the labels")
        shares = batches.samples.class_shares(len(dataset.classes))
        train_step = _train_step(model, optimizer, spec, class_weights(shares, settings.class_balance))
        stream = batches.iterate(first_step=state.step)

        epoch_started = time.monotonic()
        while state.step < total_steps and not stop.requested:
            loss = float(train_step(*next(stream)))
            if not math.isfinite(loss):
                raise ModelError(_not_finite(loss, state.step, settings, run))
            state.add_loss(loss)
            progress.step(state.step, loss)
            if state.step % batches.steps_per_epoch:
                continue

            progress.doing("validating")
            _copy_weights(model, kept)
            scores = evaluate(predictor, validation, dataset.classes)
            epoch = _epoch(state, batches.steps_per_epoch, scores, optimizer, time.monotonic() - epoch_started)
            history.append(epoch)
            is_best = state.improve(epoch.miou)
            if is_best:
                replace_whole(run.model, kept.save)
                run.write_spec(_with_metrics(spec, scores, epoch))
            run.write_history(history)
            board.write({"loss": epoch.loss, "miou": epoch.miou, "learning_rate": epoch.learning_rate}, epoch.step)
            state.save()
            progress.epoch(epoch, is_best)
            epoch_started = time.monotonic()
    if state.step < total_steps:
        state.save()
        progress.say(f"stopped at step {state.step} of {total_steps}; go on with --resume --out {out}")
    if history:
        _draw(run, history, validation)
    return TrainResult(state.best_miou, state.step, len(history), state.step < total_steps, time.monotonic() - started)


def _data(settings: TrainSettings, dataset: Dataset) -> tuple[TrainingBatches, list[Sample]]:
    cache_bytes = settings.cache_mb * MIB
    training = FittedSamples(
        dataset.split("train"),
        settings.size,
        settings.fit,
        settings.crop,
        padding_colour(_spec(settings, dataset)),
        cache_bytes,
    )
    batches = TrainingBatches(training, settings.batch, settings.seed, settings.augmentation)
    return batches, remembered(dataset.split("val"), cache_bytes)


def _spec(settings: TrainSettings, dataset: Dataset) -> ModelSpec:
    colour_order, mean, scale = preprocessing(settings.model)
    encoder = ARCHITECTURES[settings.model].encoder
    return ModelSpec(
        name=f"{settings.model}-{encoder}",
        architecture=settings.model,
        encoder=encoder,
        input_size=settings.size,
        colour_order=colour_order,
        mean=mean,
        scale=scale,
        classes=dataset.classes,
        fit=settings.fit,
        crop=settings.crop,
        options={"width": settings.width, "dropout": settings.dropout},
        trained_on=settings.data,
        versions={"edgeseg": edgeseg.__version__, "tensorflow": tf.__version__, "keras": keras.__version__},
    )


def _models(settings: TrainSettings, classes: int) -> tuple[Any, Any]:
    """Return the model that is trained and the float32 one that is validated and kept: the same one if it can be."""

    def build(policy: str) -> Any:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return build_model(settings.model, settings.size, classes, settings.width, settings.dropout)
        finally:
            keras.config.set_dtype_policy(before)

    keras.utils.set_random_seed(settings.seed)
    model = build(settings.precision)
    return model, model if settings.precision == "float32" else build("float32")


def _copy_weights(model: Any, kept: Any) -> None:
    if kept is not model:
        kept.set_weights(model.get_weights())


def _optimizer(settings: TrainSettings, model: Any, total_steps: int) -> Any:
    """AdamW (Loshchilov, Hutter 2019) under a linear warm-up and a cosine down to 0."""
    warmup_steps = round(settings.warmup * total_steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=settings.learning_rate / 10 if warmup_steps else settings.learning_rate,
        decay_steps=total_steps - warmup_steps,
        warmup_target=settings.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, beta_2=ADAM_BETA_2)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)  # before a checkpoint is restored into it
    return optimizer


def _train_step(model: Any, optimizer: Any, spec: ModelSpec, weights: NDArray[np.float32]) -> Any:
    def step(frames: Any, class_maps: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(network_input(frames, spec), training=True)
            loss = cross_entropy(class_maps, logits, weights, IGNORE_INDEX)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return tf.function(step)


def _epoch(state: TrainingState, steps: int, scores: Scores, optimizer: Any, seconds: float) -> Epoch:
    return Epoch(
        epoch=state.step // steps,
        step=state.step,
        loss=state.take_mean_loss(steps),
        miou=scores.miou,
        pixel_accuracy=scores.pixel_accuracy,
        learning_rate=float(optimizer.learning_rate),
        seconds=round(seconds, 2),
    )


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
        f"the loss is {loss} at step {step}; expected a finite number: lower the learning rate "
        f"({settings.learning_rate:g}) or check the images; {kept}"
    )
