"""What a training run must remember to go on after it was stopped or killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeseg.errors import ModelError, UsageError
from edgeseg.tf import tf


class TrainingState:
    """Weights, optimiser, step and best score, in checkpoints of which the last complete one always survives.

    Order and augmentation need no place here: they are functions of seed and step.
    """

    def __init__(self, model: Any, optimizer: Any, folder: Path) -> None:
        self._optimizer = optimizer
        self._best_miou = tf.Variable(-1.0, dtype=tf.float64, trainable=False)
        self._loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            # Keras does not track the state of dropout's random numbers (it is in no layer's weights).
            untracked=[variable.value for variable in model.variables if "seed_generator" in variable.path],
            best_miou=self._best_miou,
            loss_sum=self._loss_sum,
        )
        self._manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=2)

    @property
    def step(self) -> int:
        """Steps done so far; the optimiser counts them."""
        return int(self._optimizer.iterations.value)

    @property
    def best_miou(self) -> float:
        return float(self._best_miou)

    def improve(self, miou: float) -> bool:
        """Note a score; return whether it is the best so far."""
        if miou <= self.best_miou:
            return False
        self._best_miou.assign(miou)
        return True

    def add_loss(self, loss: float) -> None:
        self._loss_sum.assign_add(loss)

    def take_mean_loss(self, steps: int) -> float:
        """Return the mean of the losses since the last call, and start again."""
        mean = float(self._loss_sum) / steps
        self._loss_sum.assign(0.0)
        return mean

    def save(self) -> None:
        """Write a checkpoint. Raises UsageError if it cannot be written."""
        try:
            self._manager.save(checkpoint_number=self.step)
        except (OSError, tf.errors.OpError) as error:
            folder = self._manager.directory
            raise UsageError(
                f"{folder} cannot be written ({_first_line(error)}); the checkpoint before is kept"
            ) from error

    def restore(self) -> None:
        """Read the newest checkpoint; without one the run starts at its beginning. Raises ModelError."""
        newest = self._manager.latest_checkpoint
        if not newest:
            return
        try:
            self._manager.checkpoint.restore(newest).assert_consumed()
        except (AssertionError, ValueError, OSError, tf.errors.OpError) as error:
            raise ModelError(
                f"{newest}: not a checkpoint of this model ({_first_line(error)}); "
                f"remove {self._manager.directory} to start again"
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
