"""Which convolutions int8 leaves in float: those that change most pixels, as many as the limits ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError
from edgeseg.export.network import OUTPUT
from edgeseg.export.onnx_file import OnnxFile
from edgeseg.export.quantise import Pixels, Quantiser

FEW_FRAMES = 100
HELD_OUT = 8  # frames that tell what quantising changes
RANKING_FRAMES = 4
INT8_REMEDY = "raise --int8-budget, calibrate on more varied frames, or use fp16"


@dataclass(frozen=True)
class Quantised:
    """A quantised network.

    Attributes:
        network: QDQ graph with the float network's input and output.
        costs: by layer, the share of pixels that change when it alone is quantised, the costliest first; empty if no
            layer had to be ranked.
        left_in_float: names of the layers that were not quantised because of their cost.
        equal_pixels: share of pixels as the float network's on some of the calibration frames.
    """

    network: onnx.ModelProto
    costs: dict[str, float]
    left_in_float: list[str]
    equal_pixels: float


def quantise(
    network: onnx.ModelProto,
    quantiser: Quantiser,
    frames: Sequence[Pixels],
    equal_pixels: float,
    budget: int,
    progress: Callable[[str], None],
) -> Iterator[Quantised]:
    """Quantise, and leave the costliest layers in float until enough pixels are the float network's.

    Whoever asks for another one after that, since a limit on other frames does not hold, gets one with more layers in
    float, while the budget lasts.

    Args:
        network: the float32 network.
        quantiser: calibrated on it.
        frames: network inputs that tell how many pixels change.
        equal_pixels: the share to reach.
        budget: greatest number of layers left in float.
        progress: told each step.

    Raises:
        ModelError: the share is not reached within the budget.
    """
    session = OnnxFile(network)
    wanted = [_classes(session, pixels) for pixels in frames]
    few = range(min(RANKING_FRAMES, len(frames)))
    costs: dict[str, float] = {}
    share = 0.0
    for count in _counts(min(budget, len(quantiser.layers))):
        if count and not costs:
            progress("ranking the layers by what quantising each costs")
            costs = _ranked(quantiser, [frames[i] for i in few], [wanted[i] for i in few])
        if count:
            progress(f"leaving {count} of {len(quantiser.layers)} convolutions in float")
        candidate = quantiser.quantise(list(costs)[:count])
        share = _equal(candidate, frames, wanted)
        if share >= equal_pixels:
            titles = [quantiser.titles[name] for name in costs]
            yield Quantised(candidate, dict(zip(titles, costs.values(), strict=True)), titles[:count], share)
    if share < equal_pixels:
        raise ModelError(
            f"int8 gives {share:.3%} of the float network's pixels with {count} layers left in float; "
            f"expected {equal_pixels:.2%}: {INT8_REMEDY}"
        )


def _counts(budget: int) -> Iterator[int]:
    """0, 1, 2, 4, ... and last the budget itself."""
    yield 0
    count = 1
    while count < budget:
        yield count
        count *= 2
    if budget:
        yield budget


def _ranked(quantiser: Quantiser, frames: Sequence[Pixels], wanted: Sequence[NDArray[Any]]) -> dict[str, float]:
    cost = {}
    for layer in quantiser.layers:
        alone = quantiser.quantise([each for each in quantiser.layers if each != layer])
        cost[layer] = 1 - _equal(alone, frames, wanted)
    return dict(sorted(cost.items(), key=lambda item: -item[1]))


def _equal(network: onnx.ModelProto, frames: Sequence[Pixels], wanted: Sequence[NDArray[Any]]) -> float:
    session = OnnxFile(network)
    pairs = zip(frames, wanted, strict=True)
    return float(np.mean([np.mean(_classes(session, pixels) == classes) for pixels, classes in pairs]))


def _classes(session: OnnxFile, pixels: Pixels) -> NDArray[Any]:
    return np.asarray(session.run(pixels)[OUTPUT].argmax(1))
