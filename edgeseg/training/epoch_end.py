"""What happens at the end of an epoch: the model is validated, the best one kept, the run's files are renewed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeseg.core.files import replace_whole
from edgeseg.core.metrics import Scores
from edgeseg.core.spec import ModelSpec
from edgeseg.data.base import Sample
from edgeseg.data.parallel import OnProgress
from edgeseg.evaluation.evaluate import evaluate
from edgeseg.evaluation.predictors import KerasPredictor
from edgeseg.training.optimiser import copy_weights
from edgeseg.training.progress import TrainingProgress
from edgeseg.training.report import class_scalars, snapshots
from edgeseg.training.run_directory import Epoch, RunDirectory
from edgeseg.training.state import TrainingState
from edgeseg.training.tensorboard import BoardWriter


class EpochEnd:
    """Ends epochs, and knows how they went.

    Args:
        run: where the best model and the history are written.
        model, kept: of edgeseg.training.optimiser.make_models.
        averaged: `kept` is the moving average, and not to be overwritten by the weights.
        spec: of the model.
        validation: the val split.
        history: of a resumed run, up to its checkpoint.
    """

    def __init__(
        self,
        run: RunDirectory,
        model: Any,
        kept: Any,
        averaged: bool,
        spec: ModelSpec,
        validation: Sequence[Sample],
        history: list[Epoch],
    ) -> None:
        self.run, self.model, self.kept, self.averaged = run, model, kept, averaged
        self.spec, self.validation, self.history = spec, validation, history
        self.seconds = 0.0
        self.train_shares = np.zeros(len(spec.classes))  # for the report
        self._predictor = KerasPredictor(kept, spec)
        self._started = time.monotonic()

    @property
    def best(self) -> float:
        """The best validation mean IoU so far; -1 if there is none."""
        return max((epoch.miou for epoch in self.history), default=-1.0)

    @property
    def since_best(self) -> int:
        """Validations since the best one."""
        scores = [epoch.miou for epoch in self.history]
        return len(scores) - 1 - scores.index(self.best) if scores else 0

    def __call__(
        self,
        state: TrainingState,
        learning_rate: float,
        progress: TrainingProgress,
        board: BoardWriter,
        on_progress: OnProgress,
    ) -> None:
        """Save a checkpoint, validate, and write what came of it. Raises UsageError if that cannot be written."""
        started = time.monotonic()
        state.save()  # first: whatever goes wrong in validation does not cost the epoch
        if not self.averaged:
            copy_weights(self.model, self.kept)
        scores = evaluate(self._predictor, self.validation, self.spec.classes, on_progress)
        epoch = self._epoch(state, scores, learning_rate, -(-state.step // progress.steps_per_epoch))
        is_best = epoch.miou > self.best
        self.history.append(epoch)
        if is_best:
            self._keep(scores, epoch)
        self.run.write_history(self.history)
        scalars = {"loss": epoch.loss, "miou": epoch.miou, "learning_rate": learning_rate}
        board.write({**scalars, **class_scalars(scores)}, epoch.step)
        board.write_pictures(snapshots(self._predictor, self.validation), epoch.step)
        progress.epoch(epoch, is_best)
        self._started = time.monotonic()
        self.seconds = self._started - started

    def _epoch(self, state: TrainingState, scores: Scores, learning_rate: float, number: int) -> Epoch:
        before = self.history[-1] if self.history else None
        return Epoch(
            epoch=number,
            step=state.step,
            loss=state.loss_sum / max(state.step - (before.step if before else 0), 1),
            miou=scores.miou,
            pixel_accuracy=scores.pixel_accuracy,
            learning_rate=learning_rate,
            seconds=round(time.monotonic() - self._started, 2),
        )

    def _keep(self, scores: Scores, epoch: Epoch) -> None:
        metrics = {"miou": scores.miou, "pixel_accuracy": scores.pixel_accuracy, "epoch": epoch.epoch}
        replace_whole(self.run.model, self.kept.save)
        self.run.write_spec(dataclasses.replace(self.spec, metrics=metrics))
        self.run.write_scores(scores, self.train_shares)
