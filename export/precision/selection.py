"""Which layers a lower precision leaves in float: those that change most pixels, as many as the limits ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError
from edgeseg.export.camera_graph import OUTPUT
from edgeseg.export.onnx_file import OnnxFile
from edgeseg.export.precision.sibling import float32_sibling

RANKING_FRAMES = 4
Pixels = NDArray[np.float32]


class Reducer(Protocol):
    """Writes a network in a lower precision, all of it or in part.

    Attributes:
        titles: by layer that can be reduced, what a user knows it by.
        kept: layers that stay in float because the user says so.
        precision: what it is called.
        remedy: what a user can do where it fails.
    """

    titles: dict[str, str]
    kept: list[str]
    precision: str
    remedy: str

    def reduced(self, left: Sequence[str]) -> onnx.ModelProto:
        """Return the network with all layers in the lower precision but `kept` and those left in float."""

    def suspects(self) -> Mapping[str, str]:
        """Return the layers that may be at fault, and of each what is known against it, or an empty text."""


@dataclass(frozen=True)
class Reduced:
    """A network in a lower precision.

    Attributes:
        network: with the float network's input and output.
        costs: by layer, the share of pixels that change when it alone is reduced, the costliest first; empty if no
            layer had to be ranked.
        left_in_float: titles of the layers that were not reduced because of their cost, with what is known of them.
        equal_pixels: share of pixels as the float network's on some frames.
    """

    network: onnx.ModelProto
    costs: dict[str, float]
    left_in_float: dict[str, str]
    equal_pixels: float


def choose(
    network: onnx.ModelProto,
    reducer: Reducer,
    frames: Sequence[Pixels],
    equal_pixels: float,
    budget: int,
    progress: Callable[[str], None],
) -> Iterator[Reduced]:
    """Reduce the precision, and leave the costliest layers in float until enough pixels are the float network's.

    Whoever asks for another one after that, since a limit on other frames does not hold, gets one with more layers in
    float, while the budget lasts.

    Args:
        network: the float32 network.
        reducer: of it.
        frames: network inputs that tell how many pixels change.
        equal_pixels: the share to reach.
        budget: greatest number of layers left in float.
        progress: told each step.

    Raises:
        ModelError: the share is not reached within the budget.
    """
    session = OnnxFile(network)
    wanted = [_logits(session, pixels) for pixels in frames]
    suspects: Mapping[str, str] = {}
    costs: dict[str, float] = {}
    left: list[str] = []
    share = 0.0
    for count in _counts(budget):
        if count and not costs:
            progress(f"ranking the layers by what {reducer.precision} costs in each")
            suspects = reducer.suspects()
            few = min(RANKING_FRAMES, len(frames))
            costs = _ranked(reducer, suspects, frames[:few], wanted[:few])
        if count and len(left) == len(costs):
            break  # the last one left all that may be at fault
        left = list(costs)[:count]
        if count:
            progress(f"leaving {len(left)} of {len(reducer.titles)} layers in float")
        candidate = reducer.reduced(left)
        share = _equal(candidate, frames, wanted)
        if share >= equal_pixels:
            named = {reducer.titles[name]: suspects[name] for name in left}
            yield Reduced(candidate, {reducer.titles[name]: cost for name, cost in costs.items()}, named, share)
    if share < equal_pixels:
        suspects = suspects or reducer.suspects()
        first = next((f"; {reducer.titles[name]} is a layer {why}" for name, why in suspects.items() if why), "")
        raise ModelError(
            f"{reducer.precision} gives {share:.3%} of the float network's pixels with {len(left)} layers "
            f"left in float; expected {equal_pixels:.2%}{first}: {reducer.remedy}"
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


def _ranked(
    reducer: Reducer, suspects: Mapping[str, str], frames: Sequence[Pixels], wanted: Sequence[NDArray[Any]]
) -> dict[str, float]:
    cost = {}
    for layer in suspects:
        alone = reducer.reduced([each for each in reducer.titles if each != layer])
        cost[layer] = 1 - _equal(alone, frames, wanted)
    return dict(sorted(cost.items(), key=lambda item: -item[1]))


def _equal(network: onnx.ModelProto, frames: Sequence[Pixels], wanted: Sequence[NDArray[Any]]) -> float:
    """Share of pixels with the class of the float network; a frame whose logits are not finite has none."""
    session = OnnxFile(float32_sibling(network))
    shares = []
    for pixels, logits in zip(frames, wanted, strict=True):
        found = _logits(session, pixels)
        finite = bool(np.all(np.isfinite(found) | ~np.isfinite(logits)))
        shares.append(float(np.mean(found.argmax(1) == logits.argmax(1))) if finite else 0.0)
    return float(np.mean(shares))


def _logits(session: OnnxFile, pixels: Pixels) -> NDArray[Any]:
    return np.asarray(session.run(pixels)[OUTPUT])
