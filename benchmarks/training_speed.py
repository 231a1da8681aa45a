"""Images a second of edgeseg's training loop, of the same model under Model.fit, and of a generator of the old kind.

    python benchmarks/training_speed.py camvid:data/camvid [--encoder compact] [--width 0.25] [--rounds 8] [--steps 20]
    python benchmarks/training_speed.py camvid:data/camvid --model unet --width 0.5 --score-stride 4 --size 480x352 \\
        --train-size 352x256 --loss cross_entropy+dice [--precision mixed_bfloat16]  # the preset `balanced`

The same network, optimiser (Keras's own AdamW, where edgeseg's is fused), loss (of Keras's own) and batch; `Model.fit`
is fed by edgeseg's own input, and compiles as it does by default. The generator reads each batch with OpenCV, resizes
it to what is trained on and makes its masks one-hot in the training thread. The three take turns in one process, and
ratios are taken within a round: by the clock, and by the CPU time of all threads, which other work on the machine
disturbs less. Between turns is a pause in which the input of the one before comes to rest. Resident memory is read
after each round: once all pictures are in the cache it must not grow.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeseg.core.geometry import Size
from edgeseg.core.labels import IGNORE_INDEX
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Dataset
from edgeseg.data.feeding.pipeline import FittedSamples, TrainingBatches
from edgeseg.data.parallel import prefetched
from edgeseg.models.inputs import network_input
from edgeseg.tf import keras, tf
from edgeseg.training.distribution import Distribution
from edgeseg.training.loop import TrainingLoop
from edgeseg.training.losses import SegmentationLoss
from edgeseg.training.optimiser import ADAM_BETA_2, LossScale, make_models, make_optimizer
from edgeseg.training.progress import TrainingProgress
from edgeseg.training.schedule import Schedule
from edgeseg.training.settings import TrainSettings
from edgeseg.training.state import DataMark, TrainingState
from edgeseg.training.step import TrainStep
from edgeseg.training.train import _spec

Way = Callable[[int], None]
PAUSE_S = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--model", default="fcn8")
    parser.add_argument("--encoder", default="compact")
    parser.add_argument("--xla", action="store_true", help="compile edgeseg's step with XLA")
    parser.add_argument("--precision", default="float32", help="of all three, such as mixed_bfloat16")
    parser.add_argument("--size", type=Size.parse, default=Size(128, 256))
    parser.add_argument("--train-size", type=Size.parse, help="of windows; by default whole pictures of --size")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--score-stride", type=int, default=TrainSettings.score_stride, help="of unet's scores")
    parser.add_argument("--loss", choices=list(KERAS_LOSSES), default="cross_entropy", help="of all three")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    settings = TrainSettings(
        data=arguments.data,
        model=arguments.model,
        encoder=arguments.encoder,
        size=arguments.size,
        train_size=arguments.train_size,
        width=arguments.width,
        score_stride=arguments.score_stride,
        batch=arguments.batch,
        xla=arguments.xla,
        loss=arguments.loss,
        precision=arguments.precision,
    )
    with contextlib.ExitStack() as held:
        compare(settings, arguments.rounds, arguments.steps, held)


def compare(settings: TrainSettings, rounds: int, steps: int, held: contextlib.ExitStack) -> None:
    dataset = open_dataset(settings.data)
    ways = {
        "edgeseg": edgeseg_loop(settings, dataset, held),
        "Model.fit": model_fit(settings, dataset),
        "generator": generator(settings, dataset),
    }
    for way in ways.values():
        way(3)  # compiles
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    memory = []
    for turn in range(rounds):
        names = list(ways) if turn % 2 else list(reversed(ways))  # whoever comes first has no advantage
        for name in names:
            start, start_cpu = time.perf_counter(), time.process_time()
            ways[name](steps)
            wall[name].append((time.perf_counter() - start) / (steps * settings.batch))
            cpu[name].append((time.process_time() - start_cpu) / (steps * settings.batch))
            time.sleep(PAUSE_S)
        memory.append(resident_mib())
    print(f"{'':<12}{'images/s':>10}{'edgeseg is times as fast':>30}{'CPU ms/image':>14}{'edgeseg by CPU time':>30}")
    for name in ways:
        by_clock, by_cpu = (ratio(each["edgeseg"], each[name]) for each in (wall, cpu))
        speed, cost = 1 / statistics.median(wall[name]), 1000 * statistics.median(cpu[name])
        print(f"{name:<12}{speed:>10.1f}{by_clock:>30}{cost:>14.1f}{by_cpu:>30}")
    print("resident memory after each round, MiB:", *(f"{each:.0f}" for each in memory))


def ratio(own: Sequence[float], other: Sequence[float]) -> str:
    """Return how many times as quick the first is: the median of the rounds, and their quartiles."""
    low, middle, high = statistics.quantiles((b / a for a, b in zip(own, other, strict=True)), n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def edgeseg_loop(settings: TrainSettings, dataset: Dataset, held: contextlib.ExitStack) -> Way:
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
    ready = held.enter_context(contextlib.closing(prefetched(source.iterate())))

    def run(steps: int) -> None:
        for _ in range(steps):
            loop._train(*next(ready), share=0.5)

    return run


def keras_optimizer(settings: TrainSettings) -> Any:
    """Return the default settings' optimiser as one writes it with Keras."""
    optimizer = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, beta_2=ADAM_BETA_2)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def cross_entropy_of_one_hot(truth: Any, logits: Any) -> Any:
    return keras.losses.CategoricalCrossentropy(from_logits=True)(truth, logits)


def with_dice_of_one_hot(truth: Any, logits: Any) -> Any:
    return cross_entropy_of_one_hot(truth, logits) + dice(truth, logits)


def cross_entropy_of_ids(class_maps: Any, logits: Any) -> Any:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORE_INDEX)(class_maps, logits)


def with_dice_of_ids(class_maps: Any, logits: Any) -> Any:
    truth = tf.one_hot(tf.cast(class_maps, tf.int32), logits.shape[-1])  # all 0 where ignored: no class's id
    return cross_entropy_of_ids(class_maps, logits) + dice(truth, logits)


def dice(truth: Any, logits: Any) -> Any:
    """Return Keras's Dice loss of the labelled pixels, the mean of the classes that occur, as edgeseg's is."""
    labelled, occurs = tf.reduce_sum(truth, axis=-1, keepdims=True), tf.reduce_max(truth, axis=(0, 1, 2))
    lost = keras.losses.dice(truth, tf.nn.softmax(logits) * labelled, axis=(0, 1, 2))
    return tf.reduce_sum(lost * occurs) / tf.reduce_sum(occurs)


# By edgeseg's name: of class ids and of one-hot masks.
KERAS_LOSSES = {
    "cross_entropy": (cross_entropy_of_ids, cross_entropy_of_one_hot),
    "cross_entropy+dice": (with_dice_of_ids, with_dice_of_one_hot),
}


def model_fit(settings: TrainSettings, dataset: Dataset) -> Way:
    model, spec = make_models(settings, len(dataset.classes))[0], _spec(settings, dataset)
    model.compile(keras_optimizer(settings), KERAS_LOSSES[settings.loss][0])
    stream = batches(settings, dataset).stream()
    stream = stream.map(lambda frames, class_maps: (network_input(frames, spec), class_maps))  # reads no further ahead

    turns = Turns()
    named = {"steps_per_epoch": 10**9, "verbose": 0, "callbacks": [turns]}
    threading.Thread(target=model.fit, args=(stream,), kwargs=named, daemon=True).start()
    return turns.run


class Turns(keras.callbacks.Callback):  # type: ignore[misc]
    """Lets one long Model.fit, in a thread of its own, do so many steps at a time: none has to start its input anew."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.done = threading.Semaphore(0), threading.Semaphore(0)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.asked.acquire()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done.release()

    def run(self, steps: int) -> None:
        self.asked.release(steps)
        for _ in range(steps):
            self.done.acquire()


def generator(settings: TrainSettings, dataset: Dataset) -> Way:
    model, spec = make_models(settings, len(dataset.classes))[0], _spec(settings, dataset)
    model.compile(keras_optimizer(settings), KERAS_LOSSES[settings.loss][1])
    endless = batches_of_the_old_kind(settings, dataset, spec)

    def run(steps: int) -> None:
        for _ in range(steps):
            model.train_on_batch(*next(endless))

    return run


def batches_of_the_old_kind(settings: TrainSettings, dataset: Dataset, spec: ModelSpec) -> Iterator[tuple[Any, Any]]:
    """Yield normalised pictures (B, H, W, 3) and one-hot masks (B, H, W, classes), float32; ignored pixels are 0."""
    samples, size = dataset.split("train"), (settings.window.width, settings.window.height)
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
    samples = FittedSamples(dataset.split("train"), settings.size)
    return TrainingBatches(samples, settings.batch, settings.seed, settings.augmentation, settings.window)


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main()
