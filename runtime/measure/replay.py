"""`edgeseg replay`: the frames of a recording through a model again; the regression test of a vehicle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.metrics import ConfusionMatrix
from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.measure.budgets import STAGES
from edgeseg.runtime.measure.timings import statistics
from edgeseg.runtime.sinks.kinds.recording import Recording
from edgeseg.runtime.timing import segment

_WARM_UP_RUNS = 3


def replay(
    recording: Recording, engine: Engine, stop: threading.Event, on_frame: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Run each recorded frame, in order, one at a time, and compare its mask with the recorded one.

    Args:
        recording: what to run again.
        engine: the model that is tested.
        stop: set it to end early, after one frame at the soonest; what was compared so far is returned.
        on_frame: called after each frame.

    Returns:
        `backend`, `device`, `frames`, `fps` (of the mean frame); `masks`: equal_pixels, worst_frame and its name,
        mean_iou and iou by class, all between recorded and new masks; and for each stage the statistics of its
        milliseconds, with `recorded` beside it.

    Raises:
        UsageError: the recording is empty, or was made by a model of other classes or another size.
        DataError: it is damaged.
        EngineError: the engine failed.
    """
    _check(recording, engine)
    engine.warm_up(_WARM_UP_RUNS)
    confusion = ConfusionMatrix(engine.spec.classes)
    equal: list[tuple[float, str]] = []
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for frame in recording:
        if stop.is_set() and equal:
            break
        result, ms = segment(frame.picture(), engine)
        before = frame.class_map()
        if before.shape != result.class_map.shape:
            raise DataError(
                f"{recording.path}, mask {frame.name}: {Size(*before.shape)} pixels; expected the model's "
                f"{Size(*result.class_map.shape)}: the recording is damaged"
            )
        equal.append((float(np.mean(before == result.class_map)), frame.name))
        confusion.add(before, np.asarray(result.class_map), frame.name)
        for stage in STAGES:
            times[stage].append(ms[stage])
        on_frame()
    scores = confusion.scores()
    worst, name = min(equal)
    masks = {
        "equal_pixels": sum(share for share, _ in equal) / len(equal),
        "worst_frame": worst,
        "worst_frame_name": name,
        "mean_iou": scores.miou,
        "iou": scores.iou,
    }
    compared = recording.records[: len(equal)]
    recorded = {stage: [each["ms"][stage] for each in compared if stage in each["ms"]] for stage in STAGES}
    figures = {stage: statistics(times[stage]) for stage in STAGES}
    return {
        "backend": engine.backend,
        "device": engine.device,
        "frames": len(equal),
        "fps": round(1e3 / max(figures["frame"]["mean"], 1e-3), 3),
        "masks": masks,
        **figures,
        "recorded": {stage: statistics(recorded[stage]) for stage in STAGES},
    }


def _check(recording: Recording, engine: Engine) -> None:
    """Raise UsageError if the masks of the engine cannot be compared with those of the recording."""
    if engine.spec.classes.names != recording.spec.classes.names:
        raise UsageError(
            f"{recording.path} was recorded with the classes {', '.join(recording.spec.classes.names)}, the model has "
            f"{', '.join(engine.spec.classes.names)}; expected the same"
        )
    if engine.spec.input_size != recording.spec.input_size:
        raise UsageError(
            f"{recording.path} holds masks of {recording.spec.input_size}, the model makes {engine.spec.input_size}; "
            "expected the same: record it anew with a model of this size"
        )
    if not len(recording):
        raise UsageError(f"{recording.path} holds no frame; record some seconds")
