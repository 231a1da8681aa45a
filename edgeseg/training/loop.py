"""The loop: what happens before, in and after each step of a training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.data.feeding.pipeline import TrainingBatches
from edgeseg.data.parallel import OnProgress, prefetched
from edgeseg.tf import tf
from edgeseg.training.distribution import Distribution, HostConsensus
from edgeseg.training.epoch_end import EpochEnd
from edgeseg.training.progress import TrainingProgress
from edgeseg.training.schedule import Schedule
from edgeseg.training.settings import TrainSettings
from edgeseg.training.state import TrainingState
from edgeseg.training.step import TrainStep
from edgeseg.training.tensorboard import BoardWriter

NAMES_SHOWN = 8


class Stopped(Exception):  # noqa: N818  (no error)
    """A stop was asked for; what is under way is given up."""


@dataclass
class TrainingLoop:
    """The parts of a run, and the loop over its steps.

    Every host runs its own loop in step with the others': whatever decides how it goes on is agreed on first.
    """

    settings: TrainSettings
    batches: TrainingBatches
    step: TrainStep
    state: TrainingState
    end_epoch: EpochEnd
    schedule: Schedule
    distribution: Distribution
    progress: TrainingProgress
    board: BoardWriter
    watch: Callable[[str], OnProgress]
    stop_requested: Callable[[], bool]

    def run(self) -> None:
        """Train to the end of the run. Raises Stopped, and what `train` says."""
        with closing(prefetched(self.batches.iterate(first_step=self.state.step))) as batches:
            self._run(batches)

    def _run(self, batches: Iterator[tuple[Any, Any]]) -> None:
        last = self.end_epoch.history[-1].step if self.end_epoch.history else 0
        over = False
        while True:
            now = self.distribution.agree(HostConsensus(self.stop_requested(), over, self.state.seconds))
            if now.stop:
                raise Stopped
            share = self.schedule.share(self.state.step, now.seconds)
            if self.state.step > last and (share >= 1 or self._at_validation):
                last = self.state.step
                over = self._validate(share)
                continue
            if now.over or share >= 1:
                return
            if self.settings.validate_every and self._at_epoch_end:
                self.state.save()
            self._train(*next(batches), share)
            if self.state.seconds_since_saved > self.settings.checkpoint_minutes * 60:
                self.state.save()

    @property
    def _at_epoch_end(self) -> bool:
        return self.state.step % self.batches.steps_per_epoch == 0

    @property
    def _at_validation(self) -> bool:
        return self.settings.validates_at(self.state.step, self.batches.steps_per_epoch)

    def _train(self, frames: Any, class_maps: Any, share: float) -> None:
        is_first = self._at_validation
        loss = self._update_weights(frames, class_maps, tf.constant(self.schedule.learning_rate(share), tf.float32))
        if not math.isfinite(loss):
            raise ModelError(self._not_finite(loss))
        self.state.add_step(loss, is_first)
        self.progress.step(self.state.step, loss, share)

    def _update_weights(self, frames: Any, class_maps: Any, learning_rate: Any) -> float:
        """Move the weights by a batch; where it takes too much memory, from now on in smaller parts.

        So the steps, their batches and the learning rate stay what they would be with more memory. Nothing but
        batch-norm statistics and dropout's random state may have moved when the memory ran out.
        """
        while True:
            try:
                return float(self.step(frames, class_maps, learning_rate))
            except tf.errors.ResourceExhaustedError:
                pictures = self.settings.batch // self.distribution.replicas
                if self.distribution.cluster or self.step.parts * 2 > pictures:
                    raise
                self.step = self.step.in_smaller_parts()
                self.progress.say(
                    f"the memory does not suffice for {pictures} pictures at once: each step works on them in "
                    f"{self.step.parts} parts, which is slower; --batch {max(pictures // self.step.parts, 1)} or a "
                    f"smaller --train-size or --width needs no parts"
                )

    def _validate(self, share: float) -> bool:
        """Validate after an epoch, on the chief; the others wait in the next agreement.

        Returns:
            Whether the run is over early.
        """
        if not self.distribution.is_chief:
            return False
        try:
            learning_rate = self.schedule.learning_rate(share)
            self.end_epoch(self.state, learning_rate, self.progress, self.board, self.watch("validating"))
        except Stopped:
            self.distribution.agree(HostConsensus(True, False, self.state.seconds))  # lets the waiting ones go
            raise
        self.schedule.closing_seconds = self.end_epoch.seconds
        patience = self.settings.patience
        if not (patience and self.end_epoch.since_best >= patience):
            return False
        self.progress.say(
            f"{self.end_epoch.since_best} validations without a better one: ended early, as --patience {patience} asks"
        )
        return True

    def _not_finite(self, loss: float) -> str:
        step, run = self.state.step, self.end_epoch.run
        first = step * self.settings.batch
        indices = [self.batches.index(position) for position in range(first, first + self.settings.batch)]
        names = [self.batches.samples.samples[index].name for index in indices]
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        kept = f"the best model so far is {run.model}" if run.model.exists() else "no epoch was completed"
        return (
            f"the loss or a gradient is {loss} at step {step + 1}; expected a finite number: lower the learning rate "
            f"({self.settings.learning_rate:g}) or set --clip-norm in a new run, or check the step's pictures "
            f"({', '.join(names[:NAMES_SHOWN])}{more}); {kept}"
        )


@contextmanager
def translate_resource_errors(settings: TrainSettings, out: Path, distribution: Distribution) -> Iterator[None]:
    """Turn TensorFlow's errors about memory and lost hosts into a line. Raises UsageError, EngineError."""
    try:
        with distribution.translate_host_errors(f"go on with --resume --out {out} on all hosts"):
            yield
    except tf.errors.ResourceExhaustedError as error:
        raise UsageError(
            f"the memory does not suffice for batch {settings.batch} at {settings.window} and width "
            f"{settings.width:g}; use a lower --batch or --train-size, in a new run with another --out"
        ) from error
