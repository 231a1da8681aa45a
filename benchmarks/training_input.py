"""How much of the training speed does the input cost? Augmented as it goes, against batches that lie ready in memory.

    python benchmarks/training_input.py camvid:CamVid [--rounds 5] [--steps 10]

The same network takes the same training steps from three inputs in turn: batches augmented beforehand and held as
tensors, the default augmentation, and every augmentation at once. FCN-8 on VGG16 at 576x160, batch 8.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from edgeseg.core.labels import IGNORE_INDEX
from edgeseg.data.argument import open_dataset
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.data.feeding.pipeline import FittedSamples, TrainingBatches
from edgeseg.tf import tf
from edgeseg.training.distribution import Distribution
from edgeseg.training.losses import SegmentationLoss
from edgeseg.training.optimiser import LossScale, make_models, make_optimizer
from edgeseg.training.settings import TrainSettings
from edgeseg.training.step import TrainStep
from edgeseg.training.train import _spec

EVERYTHING = Augmentation(zoom=0.2, rotation=10, translation=0.1, hue=10, white_balance=0.5, blur=1, noise=8)
HELD_BATCHES = 4
PREFETCHED = 6
SETTLE_S = 1.0  # in which the other inputs fill their buffers, so that they work on nobody else's time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    settings = TrainSettings(data=arguments.data)
    train_step, samples = prepare(settings)

    def batches(augmentation: Augmentation) -> TrainingBatches:
        return TrainingBatches(samples, settings.batch, settings.seed, augmentation)

    held = list(itertools.islice(batches(EVERYTHING).iterate(), HELD_BATCHES))
    inputs: dict[str, Iterator[tuple[Any, Any]]] = {
        "held tensors": itertools.cycle(held),
        "default augmentation": batches(settings.augmentation).iterate(),
        "every augmentation": batches(EVERYTHING).iterate(),
    }
    print(f"{settings.model} at width {settings.width:g}, {settings.size}, batch {settings.batch}")
    report(measure(train_step, inputs, arguments.rounds, arguments.steps), settings.batch)


def prepare(settings: TrainSettings) -> tuple[Any, FittedSamples]:
    """Return the train step and the samples, all read: the first epoch, which decodes files, is not what is asked."""
    dataset = open_dataset(settings.data)
    distribution = Distribution.open()
    model, kept = make_models(settings, len(dataset.classes), distribution)
    optimizer, scale = make_optimizer(settings, model, distribution), LossScale(settings.precision)
    loss = SegmentationLoss(settings.losses, np.ones(len(dataset.classes), np.float32), IGNORE_INDEX)
    step = TrainStep(model, kept, optimizer, loss, scale, distribution, _spec(settings, dataset), settings)
    samples = FittedSamples(dataset.split("train"), settings.size)
    for index in range(len(samples)):
        samples.source(index)
    return step, samples


def measure(
    train_step: Any, inputs: dict[str, Iterator[tuple[Any, Any]]], rounds: int, steps: int
) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds a step of each round, by the wall and of CPU, the inputs in turn.

    Training keeps every core busy, so on a machine that others use too, CPU time is the steadier of the two.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in inputs}
    rate = tf.constant(TrainSettings.learning_rate)
    for _ in range(rounds):
        for name, batches in inputs.items():
            time.sleep(SETTLE_S)
            for _ in range(PREFETCHED):  # made while another input had its turn: no merit of this one
                next(batches)
            float(train_step(*next(batches), rate))
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(steps):
                float(train_step(*next(batches), rate))
            seconds[name].append(((time.perf_counter() - wall) / steps, (time.process_time() - cpu) / steps))
    return seconds


def report(seconds: dict[str, list[tuple[float, float]]], batch: int) -> None:
    reference = seconds["held tensors"]
    print(
        "| input | images/s median | of held tensors | images/CPU s median | of held tensors |\n|---|---|---|---|---|"
    )
    for name, times in seconds.items():
        cells = []
        for kind in (0, 1):
            speed = statistics.median(batch / each[kind] for each in times)
            ratios = [held[kind] / each[kind] for held, each in zip(reference, times, strict=True)]
            cells += [f"{speed:.2f}", f"{statistics.median(ratios):.1%} ({min(ratios):.1%} to {max(ratios):.1%})"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
