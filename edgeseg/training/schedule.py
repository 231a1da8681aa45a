"""How far a run is, and what the learning rate is there. Without TensorFlow."""

from __future__ import annotations

import math

from edgeseg.training.settings import TrainSettings

POLY_POWER = 0.9  # as in DeepLab (Chen et al. 2017)
WARMUP_FROM = 0.1  # share of the learning rate at which the warm-up begins
CLOSING_SHARE = 0.05  # of the minutes, kept for the last validation until one has been timed


class Schedule:
    """The course of a run from 0 to 1: by its steps, or with `minutes` by the clock.

    Args:
        settings: of the run.
        steps_per_epoch: how many make an epoch.

    Attributes:
        total_steps: of the run; 0 if the clock ends it.
        closing_seconds: how long before the end of the minutes training ends; the last validation's time.
    """

    def __init__(self, settings: TrainSettings, steps_per_epoch: int) -> None:
        self.settings = settings
        self.total_steps = 0 if settings.minutes else settings.steps or settings.epochs * steps_per_epoch
        self.closing_seconds = CLOSING_SHARE * settings.minutes * 60
        self._warmup = settings.warmup
        if not settings.minutes:  # at least one step is left for the fall
            self._warmup = min(round(settings.warmup * self.total_steps), self.total_steps - 1) / self.total_steps

    def share(self, step: int, seconds: float) -> float:
        """Return the share of the run that is done after so many steps and seconds, earlier parts included; 1: all.

        With `minutes`, training ends as long before them as the last validation took.
        """
        if not self.settings.minutes:
            return step / self.total_steps
        return min(1.0, seconds / max(self.settings.minutes * 60 - self.closing_seconds, 1e-3))

    def learning_rate(self, share: float) -> float:
        """Return the learning rate at a share of the run; at 1, unless it is constant, it is 0."""
        peak = self.settings.learning_rate
        if share < self._warmup:
            return peak * (WARMUP_FROM + (1 - WARMUP_FROM) * share / self._warmup)
        left = 1 - (share - self._warmup) / (1 - self._warmup)
        if self.settings.schedule == "cosine":
            return peak * (1 - math.cos(math.pi * left)) / 2
        return peak * left**POLY_POWER if self.settings.schedule == "poly" else peak
