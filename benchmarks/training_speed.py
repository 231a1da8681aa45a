"""Images a second of edgeseg's training loop, of the same model under Model.fit, and of a generator of the old kind.

    python benchmarks/training_speed.py camvid:data/camvid [--size 256x128] [--rounds 5] [--steps 20]

The same network, optimiser, loss and batch; `Model.fit` is fed by edgeseg's own input, and compiles as it does by
default. The generator reads each batch with OpenCV, resizes it and makes its masks one-hot in the training thread. The
three take turns in one process; ratios are taken within a round. Resident memory is read after each round: it must not
grow.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeseg.data import Dataset, open_dataset
from edgeseg.data.pipeline import FittedSamples, TrainingBatches
from edgeseg.distribution import Distribution
from edgeseg.geometry import Size
from edgeseg.labels import IGNORE_INDEX
from edgeseg.losses import SegmentationLoss
from edgeseg.models.inputs import network_input
from edgeseg.optimisation import LossScale, make_models, make_optimizer
from edgeseg.progress import TrainingProgress
from edgeseg.schedules import Schedule
from edgeseg.settings import TrainSettings
from edgeseg.spec import ModelSpec
from edgeseg.tf import keras
from edgeseg.train import _spec
from edgeseg.train_step import TrainStep
from edgeseg.training_loop import TrainingLoop
from edgeseg.training_state import DataMark, TrainingState

Way = Callable[[int], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--model", default="fcn8")
    parser.add_argument("--size", type=Size.parse, default=Size(128, 256))
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    settings = TrainSettings(
        data=arguments.data, model=arguments.model, size=arguments.size, width=arguments.width, batch=arguments.batch
    )
    dataset = open_dataset(settings.data)
    ways = {
        "edgeseg": edgeseg_loop(settings, dataset),
        "Model.fit": model_fit(settings, dataset),
        "generator": generator(settings, dataset),
    }
    for way in ways.values():
        way(3)  # compiles
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    seconds_of_cpu = dict.fromkeys(ways, 0.0)
    memory = []
    for turn in range(arguments.rounds):
        names = list(ways) if turn % 2 else list(reversed(ways))  # whoever comes first has no advantage
        for name in names:
            start, cpu = time.perf_counter(), time.process_time()
            ways[name](arguments.steps)
            seconds_of_cpu[name] += time.process_time() - cpu
            speeds[name].append(arguments.steps * settings.batch / (time.perf_counter() - start))
        memory.append(resident_mib())
    print(f"{'':<12}{'images/s median':>16}{'min':>8}{'max':>8}{'edgeseg is times as fast':>26}{'CPU ms/image':>16}")
    for name, rates in speeds.items():
        ratio = statistics.median(own / other for own, other in zip(speeds["edgeseg"], rates, strict=True))
        cpu_ms = 1000 * seconds_of_cpu[name] / (arguments.rounds * arguments.steps * settings.batch)
        print(
            f"{name:<12}{statistics.median(rates):16.1f}{min(rates):8.1f}{max(rates):8.1f}{ratio:26.2f}{cpu_ms:16.1f}"
        )
    print("resident memory after each round, MiB:", *(f"{each:.0f}" for each in memory))


def edgeseg_loop(settings: TrainSettings, dataset: Dataset) -> Way:
    """The steps of `edgeseg train` with all that surrounds them, but no epochs' ends."""
    distribution = Distribution.open()
    model, kept = make_models(settings, len(dataset.classes), distribution)
    optimizer, scale = make_optimizer(settings, model, distribution), LossScale(settings.precision)
    loss = SegmentationLoss(settings.losses, np.ones(len(dataset.classes), np.float32), IGNORE_INDEX)
    step = TrainStep(model, kept, optimizer, loss, scale, distribution, _spec(settings, dataset), settings)
    source = batches(settings, dataset)
    loop = TrainingLoop(
        settings=settings,
        batches=source,
        step=step,
        state=TrainingState(model, optimizer, Path("unused"), DataMark(0, 0, 0), loss_scale=scale, writes=False),
        end_epoch=None,  # type: ignore[arg-type]
        schedule=Schedule(settings, source.steps_per_epoch),
        distribution=distribution,
        progress=TrainingProgress(10**6, source.steps_per_epoch, 0),
        board=None,  # type: ignore[arg-type]
        watch=None,  # type: ignore[arg-type]
        stop_requested=lambda: False,
    )
    stream = source.iterate()

    def run(steps: int) -> None:
        for _ in range(steps):
            loop._train(*next(stream), share=0.5)

    return run


def model_fit(settings: TrainSettings, dataset: Dataset) -> Way:
    model, spec = make_models(settings, len(dataset.classes))[0], _spec(settings, dataset)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORE_INDEX)
    model.compile(make_optimizer(settings, model), loss)
    stream = batches(settings, dataset).stream()
    stream = stream.map(lambda frames, class_maps: (network_input(frames, spec), class_maps)).prefetch(2)

    def run(steps: int) -> None:
        model.fit(stream, steps_per_epoch=steps, epochs=1, verbose=0)

    return run


def generator(settings: TrainSettings, dataset: Dataset) -> Way:
    model, spec = make_models(settings, len(dataset.classes))[0], _spec(settings, dataset)
    model.compile(make_optimizer(settings, model), keras.losses.CategoricalCrossentropy(from_logits=True))
    endless = batches_of_the_old_kind(settings, dataset, spec)

    def run(steps: int) -> None:
        for _ in range(steps):
            model.train_on_batch(*next(endless))

    return run


def batches_of_the_old_kind(settings: TrainSettings, dataset: Dataset, spec: ModelSpec) -> Iterator[tuple[Any, Any]]:
    """Yield normalised pictures (B, H, W, 3) and one-hot masks (B, H, W, classes), float32; ignored pixels are 0."""
    samples, size = dataset.split("train"), (settings.size.width, settings.size.height)
    random = np.random.default_rng(0)
    one_hot = np.vstack([np.eye(len(dataset.classes)), np.zeros((256 - len(dataset.classes), len(dataset.classes)))])
    while True:
        images, masks = [], []
        for index in random.integers(0, len(samples), settings.batch):
            image, class_map = samples[index].read()
            images.append((cv2.resize(image, size) - np.array(spec.mean)) * np.array(spec.scale))
            masks.append(one_hot[cv2.resize(class_map, size, interpolation=cv2.INTER_NEAREST)])
        yield np.array(images, np.float32), np.array(masks, np.float32)


def batches(settings: TrainSettings, dataset: Dataset) -> TrainingBatches:
    return TrainingBatches(
        FittedSamples(dataset.split("train"), settings.size), settings.batch, settings.seed, settings.augmentation
    )


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main()
