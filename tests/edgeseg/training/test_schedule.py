"""The course of a run: by steps and by the clock."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgeseg.training.schedule import Schedule
from edgeseg.training.settings import TrainSettings


def schedule(epochs: int = 5, steps_per_epoch: int = 2, **changes: Any) -> Schedule:
    return Schedule(TrainSettings(epochs=epochs, **{"learning_rate": 1e-2, **changes}), steps_per_epoch)


def rates(course: Schedule) -> list[float]:
    return [course.learning_rate(course.share(step, 0)) for step in range(11)]


def test_the_learning_rate_warms_up_and_falls_to_nothing() -> None:
    values = rates(schedule(warmup=0.2))
    assert values[:3] == pytest.approx([1e-3, 5.5e-3, 1e-2])
    assert values[2:] == sorted(values[2:], reverse=True)
    assert values[6] == pytest.approx(5e-3)
    assert values[10] == pytest.approx(0, abs=1e-12)


def test_poly_and_constant() -> None:
    assert rates(schedule(warmup=0, schedule="poly")) == pytest.approx([1e-2 * (1 - i / 10) ** 0.9 for i in range(11)])
    assert rates(schedule(warmup=0.1, schedule="constant")) == pytest.approx([1e-3, *[1e-2] * 10])


def test_a_run_of_one_step_has_its_learning_rate() -> None:
    course = schedule(epochs=1, steps_per_epoch=1, warmup=0.6)
    assert course.learning_rate(course.share(0, 0)) == pytest.approx(1e-2)


def validations(settings: TrainSettings) -> list[int]:
    return [step for step in range(1, 1200) if settings.validates_at(step, steps_per_epoch=45)]


def test_steps_take_the_place_of_epochs_and_minutes_that_of_steps() -> None:
    assert schedule(epochs=5, steps=7).total_steps == 7
    assert schedule(epochs=5, steps=7, minutes=1).total_steps == 0
    assert validations(TrainSettings(validate_every=0)) == [50, 500, 1000]
    assert validations(TrainSettings(validate_every=3))[:3] == [135, 270, 405]
    assert validations(TrainSettings(validate_every=3, minutes=5))[:3] == [45, 135, 270]
    assert validations(TrainSettings(validate_every=0, minutes=5)) == [45, 500, 1000]


def test_with_minutes_the_clock_decides_and_the_last_validation_has_its_time() -> None:
    course = schedule(minutes=10, warmup=0)
    assert course.total_steps == 0
    course.closing_seconds = 60.0
    assert course.share(10**6, 270) == 0.5
    assert course.learning_rate(0.5) == pytest.approx(1e-2 * (1 + math.cos(math.pi / 2)) / 2)
    assert course.share(0, 540) == course.share(0, 10**6) == 1
    course.closing_seconds = 1200.0  # a validation longer than the budget
    assert course.share(0, 1) == 1
