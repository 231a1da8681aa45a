"""What a training run must remember to go on after it was stopped or killed."""

from __future__ import annotations

import shutil
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.data.base import Sample
from edgeseg.tf import first_line, tf
from edgeseg.training.run_directory import checkpoints_in


class DataMark(NamedTuple):
    """By what a resumed run knows its data again: how many pictures it has, and a checksum of their names."""

    train: int
    val: int
    names: int

    @classmethod
    def of(cls, train: Sequence[Sample], val: Sequence[Sample]) -> DataMark:
        names = "\n".join(sample.name for sample in (*train, *val))
        return cls(len(train), len(val), zlib.crc32(names.encode(errors="surrogateescape")))


class TrainingState:
    """Weights, optimiser, step, sum of losses and time, in checkpoints of which the last complete one always survives.

    Order and augmentation need no place here: they are functions of seed and step. Nor do scores: they are in the
    history.

    Args:
        model, optimizer: what is trained.
        folder: where the checkpoints are.
        data: by which a resumed run knows its data again.
        average: the model that holds the moving average of the weights, if there is one.
        loss_scale: float16's.
        writes: false where another host writes the run: nothing is saved then.

    Attributes:
        step: steps done so far; the optimiser counts them.
        loss_sum: sum of the losses of the steps since the last validation.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        folder: Path,
        data: DataMark,
        average: Any = None,
        loss_scale: Any = None,
        writes: bool = True,
    ) -> None:
        self.folder, self.data, self.writes = folder, data, writes
        self._optimizer = optimizer
        self.step, self.loss_sum, self._seconds_before = int(optimizer.iterations.numpy()), 0.0, 0.0
        # Only for the checkpoint: to read or write a variable takes a tenth of a millisecond.
        self._loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._data = tf.Variable(data, dtype=tf.int64, trainable=False)
        self._seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._saved_step = 0
        self._opened = self._saved_at = time.monotonic()
        parts = {"average": average, "loss_scale": loss_scale}
        checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            # Keras does not track the state of dropout's random numbers (it is in no layer's weights).
            untracked=[variable.value for variable in model.variables if "seed_generator" in variable.path],
            loss_sum=self._loss_sum,
            seconds=self._seconds,
            **{name: part for name, part in parts.items() if part is not None},
            data=self._data,
        )
        self._manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=2)

    @property
    def seconds(self) -> float:
        """Time spent on the run, earlier parts of a resumed one included."""
        return self._seconds_before + time.monotonic() - self._opened

    @property
    def seconds_since_saved(self) -> float:
        """How much time a kill would cost now."""
        return time.monotonic() - self._saved_at

    def spent_at_least(self, seconds: float) -> None:
        """Count the time of the validations too, which begin after their checkpoint: by the run's history."""
        self._seconds_before = max(self._seconds_before, seconds)

    def add_step(self, loss: float, is_first: bool) -> None:
        """Count a step, and its loss to those since the last validation; the first after it starts the sum anew."""
        self.step = int(self._optimizer.iterations.numpy())
        self.loss_sum = loss if is_first else self.loss_sum + loss

    def save(self) -> None:
        """Write a checkpoint of this step, once. Raises UsageError if it cannot be written."""
        if self.step == self._saved_step or not self.writes:
            return
        self._seconds_before = self.seconds
        self._opened = self._saved_at = time.monotonic()
        self._seconds.assign(self._seconds_before)
        self._loss_sum.assign(self.loss_sum)
        try:
            self._manager.save(checkpoint_number=self.step)
        except (OSError, tf.errors.OpError) as error:
            self._remove_halves()
            whole = [path.name for path in checkpoints_in(self.folder) if path.name != f"ckpt-{self.step}"]
            kept = f"the checkpoint before, {whole[0]}, is kept" if whole else "there is no checkpoint yet"
            raise UsageError(f"{self.folder} cannot be written ({first_line(error)}); {kept}; free the disk") from error
        self._saved_step = self.step

    def restore(self) -> list[str]:
        """Read the newest checkpoint that is whole; without any, the run starts at its beginning.

        Returns:
            A line for each newer one that could not be read.

        Raises:
            ModelError: there are checkpoints, but none can be read.
            UsageError: the run was trained on other data.
        """
        if self.writes:
            self._remove_halves()
        damaged = []
        for path in checkpoints_in(self.folder):
            try:
                self._manager.checkpoint.restore(str(path)).assert_consumed()
            except Exception as error:  # TensorFlow raises nearly anything for a damaged file, IndexError included
                damaged.append(f"{path} is damaged or of another model ({first_line(error)})")
                continue
            self._check_data()
            self.step = self._saved_step = int(self._optimizer.iterations.numpy())
            self.loss_sum, self._seconds_before = float(self._loss_sum), float(self._seconds)
            return damaged
        if damaged:
            raise ModelError(f"{damaged[0]}, and no other checkpoint can be read; start a new run with another --out")
        return []

    def _check_data(self) -> None:
        before, now = DataMark(*(int(number) for number in self._data.numpy())), self.data
        if before == now:
            return
        is_now = f"it has {now.train} and {now.val}" if before[:2] != now[:2] else "as many, but by other names"
        raise UsageError(
            f"{self.folder.parent} was trained on {before.train} and validated on {before.val} pictures, now the data "
            f"has changed: {is_now}; restore the data, or start a new run with another --out"
        )

    def _remove_halves(self) -> None:
        for half in self.folder.glob("ckpt-*_temp*"):
            shutil.rmtree(half, ignore_errors=True)
